"""What a request's `messages` say: rows of the conversation with their fingerprints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Any

ROLES = ("user", "assistant")


@dataclass(frozen=True, slots=True)
class Incoming:
    """One row of the window; `index` is its place in the request's `messages`."""

    role: str
    speaker: str
    text: str
    fingerprint: int
    index: int


@lru_cache(maxsize=8192)
def fingerprint(role: str, text: str) -> int:
    """A message's identity: signed 64 bits of blake2b over role and text, runs of whitespace as one space."""
    said = f"{role}\n{' '.join(text.split())}".encode(errors="surrogatepass")
    return int.from_bytes(blake2b(said, digest_size=8).digest(), "big", signed=True)


def incoming(messages: Sequence[Mapping[str, Any]], names: Iterable[str]) -> list[Incoming]:
    """The window: user and assistant messages that have text, in order.

    The speaker is the message's `name`, or a leading "Name: " whose Name is in `names`. The text is kept as
    it came, the fingerprint leaves such a prefix out, so that a chat stays the same when prefixes are
    switched on or off. Any: OpenAI's JSON.
    """
    known = [name for name in names if name]
    rows = []
    for index, message in enumerate(messages):
        role = message.get("role", "")
        text = text_of(message.get("content")) if role in ROLES else ""
        if text.strip():
            name = str(message.get("name") or "")
            rows.append(row_of(role, name, text, known, index))
    return rows


def row_of(role: str, name: str, text: str, names: Sequence[str], index: int = 0) -> Incoming:
    """One row of a text; `name` is its speaker's, where that came beside the text."""
    prefix = _prefix(text, [name, *names] if name else names)
    said = text.lstrip()[len(prefix) + 1 :] if prefix else text
    return Incoming(role, name or prefix, text, fingerprint(role, said), index)


def text_of(content: object) -> str:
    """The text of a message's content: a string, or parts whose texts are joined by newlines."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    return "\n".join(
        part["text"]
        for part in content
        if isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)
    )


def _prefix(text: str, names: Sequence[str]) -> str:
    """The name that a text leads with, as in "Mira: Hello"; empty when what follows is empty too."""
    said = text.lstrip()
    for name in names:
        if said.startswith(f"{name}:") and said[len(name) + 1 :].strip():
            return name
    return ""
