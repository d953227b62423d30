"""What a request's `messages` say: rows of the conversation with their fingerprints."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import pairwise
from typing import Any

ROLES = ("user", "assistant")
SYSTEM = ("system", "developer")
BLANK_LINE = re.compile(r"\n[ \t]*\n\s*")
BRACKETED = re.compile(r"\[[^\]\n]+\]")
MOST_FINGERPRINTS = 32_768
"""About 5 MB."""
_fingerprints: dict[int, int] = {}


@dataclass(frozen=True, slots=True)
class Speakers:
    """Names by the role of those who have them."""

    users: tuple[str, ...] = ()
    characters: tuple[str, ...] = ()

    def of(self, role: str) -> tuple[str, ...]:
        return self.users if role == "user" else self.characters


NOBODY = Speakers()


@dataclass(frozen=True, slots=True)
class Incoming:
    """One row of the window; `index` is its place in the request's `messages`."""

    role: str
    speaker: str
    text: str
    fingerprint: int
    index: int
    glued: bool = False
    """Post-processing may have glued other text to it, or it to others."""
    merged: bool = False
    """It may be several messages in one: no two neighbours of the request have the same role."""
    unsettled: bool = False
    """Of its text some may not have been said."""


def fingerprint(role: str, text: str) -> int:
    """A message's identity: signed 64 bits of blake2b over role and text, runs of whitespace as one space.

    A window is read anew with each request, so results are kept, under 64 bits of Python's hash instead of the
    texts themselves, which would keep whole windows in RAM.
    """
    key = hash((role, text))
    known = _fingerprints.get(key)
    if known is None:
        said = f"{role}\n{' '.join(text.split())}".encode(errors="surrogatepass")
        known = int.from_bytes(blake2b(said, digest_size=8).digest(), "big", signed=True)
        if len(_fingerprints) >= MOST_FINGERPRINTS:
            _fingerprints.clear()
        _fingerprints[key] = known
    return known


def incoming(
    messages: Sequence[Mapping[str, Any]],
    names: Iterable[str],
    user_name: str = "",
    others: Speakers = NOBODY,
) -> list[Incoming]:
    """The window: user and assistant messages that have text, in order.

    The speaker is the message's `name`, or a leading "Name: " whose Name is in `names`, or in those of
    `others` that have the message's role: who spoke before and is not told any more. The text is kept as it
    came, the fingerprint leaves such a prefix out, so that a chat stays the same when prefixes are
    switched on or off. A prompt that is a single message is taken apart (`_single`), into texts without the
    names that were written before them. Any: OpenAI's JSON.
    """
    known = [name for name in names if name]
    if len(messages) == 1 and len(known) > 1:
        rows = _single(text_of(messages[0].get("content")), known, user_name, others)
        return rows or _rows(messages, known, others)
    return _rows(messages, known, others)


def _rows(
    messages: Sequence[Mapping[str, Any]], names: Sequence[str], others: Speakers = NOBODY
) -> list[Incoming]:
    rows: list[Incoming] = []
    known = {role: [*names, *others.of(role)] for role in ROLES}
    glued = all(message.get("role") not in SYSTEM for message in messages[1:])
    merged = all(a.get("role") != b.get("role") for a, b in pairwise(messages))
    named = _all_named(messages, {"user": names, "assistant": known["assistant"]})
    for index, message in enumerate(messages):
        role = message.get("role", "")
        text = text_of(message.get("content")) if role in ROLES else ""
        if text.strip():
            name = str(message.get("name") or "")
            all_named = named and glued and role == "user"
            texts = _turns(text, known[role], all_named=all_named) if merged else [text]
            parts = (row_of(role, name, part, known[role], index) for part in texts)
            rows += [replace(row, glued=glued and role == "user", merged=merged) for row in parts]
    return rows


def _all_named(messages: Sequence[Mapping[str, Any]], names: Mapping[str, Sequence[str]]) -> bool:
    """Whether names lead the messages: every one of the character's, and the user's, whatever persona."""
    texts = {role: [text_of(m.get("content")) for m in messages if m.get("role") == role] for role in ROLES}
    users = (part for text in texts["user"] for part in BLANK_LINE.split(text))
    return all(prefix_of(text, names["assistant"]) for text in texts["assistant"] if text.strip()) and any(
        prefix_of(part, names["user"]) for part in users
    )


def _turns(text: str, names: Sequence[str], *, all_named: bool) -> list[str]:
    """A text cut before every paragraph that a name leads, where one leads the first.

    Where all messages have names, what stands before the first name was glued on, and is none.
    """
    parts = BLANK_LINE.split(text)
    starts = [n for n, part in enumerate(parts) if prefix_of(part, names)]
    if not all_named and (len(starts) < 2 or starts[0]):
        return [text]
    if not starts:
        return []
    return ["\n\n".join(parts[a:b]) for a, b in zip(starts, [*starts[1:], len(parts)], strict=True)]


def _single(text: str, names: Sequence[str], user_name: str, others: Speakers) -> list[Incoming]:
    """The messages of a prompt that was written as one text, each led by its speaker's name.

    What stands before the first name, or before the last line of its own in brackets that a name follows
    (the start of the chat, after example dialogues), is no message. Where the user's name is not known it is
    the last one's, who is answered; the other names are characters. A message of somebody else's gets the
    name of the one who has its role now before its own.
    """
    known = [*names, *others.users, *others.characters]
    parts = BLANK_LINE.split(text.strip())
    speakers = [prefix_of(part, known) for part in parts]
    heads = [n for n, part in enumerate(parts) if BRACKETED.fullmatch(part) and any(speakers[n + 1 : n + 2])]
    starts = [n for n, name in enumerate(speakers) if name and n > (heads[-1] if heads else -1)]
    if len(starts) < (1 if heads else 2):
        return []
    user = user_name if user_name in names else speakers[starts[-1]]
    rows = []
    for start, end in zip(starts, [*starts[1:], len(parts)], strict=True):
        speaker = speakers[start]
        role = "user" if speaker == user or speaker in others.users else "assistant"
        said = without(speaker, "\n\n".join(parts[start:end]))
        own = prefix_of(said, others.of(role))
        rows.append(replace(row_of(role, own or speaker, without(own, said), []), glued=True))
    return rows


def row_of(role: str, name: str, text: str, names: Sequence[str], index: int = 0) -> Incoming:
    """One row of a text; `name` is its speaker's, where that came beside the text."""
    prefix = prefix_of(text, [name, *names] if name else names)
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


def without(name: str, text: str) -> str:
    """A text without the name that it leads with."""
    return text.removeprefix(f"{name}:").lstrip(" ") if name else text


def prefix_of(text: str, names: Iterable[str]) -> str:
    """The name that a text leads with, as in "Mira: Hello"; empty when what follows is empty too."""
    said = text.lstrip()
    for name in names:
        if said.startswith(f"{name}:") and said[len(name) + 1 :].strip():
            return name
    return ""
