"""Text that post-processing glued to messages: paragraphs, and what of a stored message is certainly said."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from memory.incoming import BLANK_LINE, Incoming, fingerprint
from memory.likely_names import LIKE_A_NAME
from memory.stored import Message

MOST_PARAGRAPHS = 24
"""Of longer messages only the first and last so many paragraphs are looked at."""


def paragraphs(text: str) -> list[str]:
    """The parts of a text between blank lines; a front-end glues texts with one."""
    return BLANK_LINE.split(text.strip())


def said_paragraphs(row: Incoming) -> list[str]:
    """The row's paragraphs without its speaker's name."""
    text = row.text.lstrip()
    return paragraphs(text.removeprefix(f"{row.speaker}:") if row.speaker else text)


def unled(text: str) -> str:
    """A text without what may be a speaker's name that leads it."""
    led = LIKE_A_NAME.match(text)
    return text[led.end() :] if led else text


def bare(parts: Sequence[str]) -> str:
    """Paragraphs as one text, each without what may be a speaker's name."""
    return joined([unled(part) for part in parts])


def joined(parts: Sequence[str]) -> str:
    return "\n\n".join(parts)


def glue_of(parts: Sequence[str]) -> set[int]:
    """The identities of paragraphs nobody said."""
    return {fingerprint("system", part) for part in parts}


def readings(role: str, parts: Sequence[str]) -> Iterator[tuple[int, Sequence[str]]]:
    """What was said if the rest was glued on: fingerprint and paragraphs of every shorter run of them."""
    for mark, first, last in _shorter(role, parts):
        yield mark, parts[first:last]


def _shorter(role: str, parts: Sequence[str]) -> Iterator[tuple[int, int, int]]:
    """Every shorter run with its fingerprint, also without what may be a speaker's name that leads it."""
    for first, last in runs(len(parts)):
        if last - first < len(parts):
            said = joined(parts[first:last])
            yield fingerprint(role, said), first, last
            bare = unled(said) if first else said
            if bare != said:
                yield fingerprint(role, bare), first, last


@dataclass(frozen=True, slots=True)
class Beside:
    """Identities of the paragraphs before and after what was said."""

    before: set[int]
    after: set[int]

    @property
    def glue(self) -> set[int]:
        """All of them."""
        return self.before | self.after

    def is_apart_from(self, other: Beside) -> bool:
        """Whether none stands on the same side there."""
        return self.before.isdisjoint(other.before) and self.after.isdisjoint(other.after)


def beside(role: str, parts: Sequence[str], said: int) -> Beside:
    """What stands beside the shorter run of paragraphs that has the fingerprint `said`, which is one of them."""
    first, last = next((first, last) for mark, first, last in _shorter(role, parts) if mark == said)
    return Beside(glue_of(parts[:first]), glue_of(parts[last:]))


def runs(length: int) -> Iterator[tuple[int, int]]:
    """Every (first, past-the-last) of a run, of long texts only those at either end; longer ones first."""
    for size in range(length, 0, -1):
        for first in range(length - size + 1):
            if length <= MOST_PARAGRAPHS or first == 0 or first + size == length:
                yield first, first + size


def certain_text(message: Message) -> str:
    """What a message certainly says, without its speaker's name before it: see `said_in`."""
    return said_in(message.text, message.speaker, is_certain=not message.unsettled)


def said_in(text: str, speaker: str, *, is_certain: bool) -> str:
    """A text without its speaker's name before it; of one that glue may stand before and after only the first
    paragraph, and that where the name leads it."""
    said = text.lstrip()
    is_led = bool(speaker) and said.startswith(f"{speaker}:")
    led = said.removeprefix(f"{speaker}:").lstrip() if is_led else text
    if is_certain:
        return led
    return paragraphs(led)[0] if is_led else ""
