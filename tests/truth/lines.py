"""What is said, as lines that can be compared: role and plain text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby

from memory.stored import Message
from tests.truth.chat import NAMES, Shown

COMMON = ("go on", "yes", "Nods.", "I see. Tell me more.")
"""What is said again and again."""
GLUE = re.compile(r"NOTE|NARRATOR|LORE|POSTHISTORY|Start a new|Continue your last|Where is the lantern")
NUDGES = re.compile(
    r"\[Continue your last|\[Write (your next reply|the next reply only)|\[Start a new|Continue your last"
)
"""What nobody can have said."""
BLANK_LINE = re.compile(r"\n\s*\n")
Line = tuple[str, str]


def plain(text: str) -> str:
    """A text without its speaker's name in front, of each where several were merged, whitespace as one space."""
    return " ".join(filter(None, map(_unnamed, BLANK_LINE.split(text))))


def _unnamed(text: str) -> str:
    text = " ".join(text.split())
    name = next((name for name in NAMES if text.startswith(f"{name}: ")), "")
    return text[len(name) + 2 :] if name else text


def said_in(message: Message) -> str:
    """A stored message's plain text, without what post-processing glued to it where it is unsettled."""
    if not message.unsettled and not GLUE.match(message.text):
        return plain(message.text)
    parts = BLANK_LINE.split(message.text)
    return plain("\n\n".join(part for part in parts if not GLUE.match(part)))


def is_led(message: Message) -> bool:
    """Whether a stored message begins with the name of somebody who is not known to be its speaker."""
    return any(message.text.startswith(f"{name}: ") for name in NAMES if name != message.speaker)


def is_of_nobody(message: Message) -> bool:
    """Whether a name leads a message of the user's that nobody was known by when it came, or a later part of one
    that came merged: it is a part of the text."""
    later = BLANK_LINE.split(message.text)[1:]
    is_led_inside = any(part.startswith(f"{name}: ") for part in later for name in NAMES)
    return message.role == "user" and (is_led(message) or is_led_inside)


def role_of(shown: Shown) -> str:
    """Its message's role."""
    return shown.said.role


def lines_of(shown: Sequence[Shown]) -> list[Line]:
    """The lines that memory should hold."""
    return [(s.said.role, plain(s.text)) for s in shown]


def merged(lines: Sequence[Line]) -> list[Line]:
    """Neighbours of one role as one."""
    return [
        (role, " ".join(text for _, text in run)) for role, run in groupby(lines, key=lambda line: line[0])
    ]


def common(rows: Sequence[Line], lines: Sequence[Line]) -> int:
    """Length of the longest common subsequence."""
    lengths = [0] * (len(lines) + 1)
    for row in rows:
        before = 0
        for n, line in enumerate(lines):
            before, lengths[n + 1] = (
                lengths[n + 1],
                max(before + 1 if row == line else lengths[n + 1], lengths[n]),
            )
    return lengths[-1]


def near(got: Sequence[tuple[float, str]], wanted: Sequence[tuple[float, str]]) -> bool:
    """Whether two rankings differ only among scores that rounding cannot tell apart."""
    if sorted(t for _, t in got) != sorted(t for _, t in wanted):
        return False
    return all(abs(a - b) <= 0.0021 for (a, _), (b, _) in zip(got, wanted, strict=True))


def difference(got: Sequence[Line], wanted: Sequence[Line]) -> str:
    """Where two lists of lines part."""
    at = next(
        (n for n, (a, b) in enumerate(zip(got, wanted, strict=False)) if a != b), min(len(got), len(wanted))
    )
    here = slice(at, at + 4)
    return f"at {at}: memory has {got[here]} of {len(got)}, shown was {wanted[here]} of {len(wanted)}"
