"""The messages of a request, by role: system, user, assistant."""

from __future__ import annotations

from typing import Any

Message = dict[str, Any]
"""Any: OpenAI's JSON."""


def s(text: str) -> Message:
    return {"role": "system", "content": text}


def u(text: str) -> Message:
    return {"role": "user", "content": text}


def a(text: str) -> Message:
    return {"role": "assistant", "content": text}
