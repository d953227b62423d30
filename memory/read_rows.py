"""What is known of a window while its rows are read one by one, and where the row being read stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from memory.glue import glue_of, readings, said_paragraphs
from memory.incoming import Incoming
from memory.path import Path
from memory.stored import Settled
from memory.transcript import TreeView


@dataclass(slots=True)
class Reading:
    """A window as its messages, and what it tells of stored messages that were unsettled."""

    rows: list[Incoming] = field(default_factory=list)
    settled: list[Settled] = field(default_factory=list)
    glue: set[int] = field(default_factory=set)
    """Paragraphs that turned out to be glue."""
    shown: set[int] = field(default_factory=set)
    """Fingerprints of the window's rows as they came."""
    after: set[int] = field(default_factory=set)
    """Fingerprints that the row after the one being read may turn out to have."""
    tails: set[int] = field(default_factory=set)
    """Their paragraphs but the first: of these some may be glue."""
    went_on: bool = True
    """The user said more after the row being read: a note in it would have moved."""
    unnamed: set[str] = field(default_factory=set)
    """Roles whose present speaker has no name before what they say: the user's too where the character's has none,
    for then a name tells a former persona."""


def stands_there(i: int, path: Path, tree: TreeView, reading: Reading) -> bool:
    """Whether the row being read is where a message stands on the path: beside one of its neighbours."""
    return is_after(i, path, tree, reading) or follows(i, path, tree, reading)


def is_after(i: int, path: Path, tree: TreeView, reading: Reading) -> bool:
    """Whether the row before the one being read is what a message follows on the path, or both are the first."""
    at = path.position(i)
    if at is None or at == 0 or not reading.rows:
        return at == 0 and not reading.rows
    return reading.rows[-1].fingerprint == tree.fingerprint(path[at - 1])


def follows(i: int, path: Path, tree: TreeView, reading: Reading) -> bool:
    """Whether the row after the one being read is what follows a message on the path."""
    at = path.position(i)
    return at is not None and at + 1 < len(path) and tree.fingerprint(path[at + 1]) in reading.after


def may_be(row: Incoming) -> set[int]:
    """The row's fingerprint, and those it has without what may be glued to it."""
    shorter = readings(row.role, said_paragraphs(row)) if row.glued else ()
    return {row.fingerprint, *(fingerprint for fingerprint, _ in shorter)}


def moved_from(row: Incoming, parts: Sequence[str], reading: Reading) -> set[int]:
    """A message's paragraphs that the row does not show, if other rows end with each: glue moves."""
    shown = next((list(run) for fp, run in readings(row.role, parts) if fp == row.fingerprint), [])
    rest = glue_of([part for part in parts if part not in shown])
    return rest if rest <= reading.tails else set()
