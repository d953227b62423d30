"""Messages of requests that post-processing wrote, and what memory has of them."""

from __future__ import annotations

from typing import Any

from tests.truth.held import Kept

GREETING = "Welcome to the inn, stranger."
INSTRUCTIONS = "Keep replies under 80 words."
NOTE = "The mood is calm."
CARD = {"role": "system", "content": "A keeper of an inn."}


def user(*parts: str) -> dict[str, Any]:
    return {"role": "user", "content": "\n\n".join(parts)}


def character(*parts: str) -> dict[str, Any]:
    return {"role": "assistant", "content": "\n\n".join(parts)}


def texts(kept: Kept) -> list[str]:
    return [message.text for message in kept.path]
