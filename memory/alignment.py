"""An alignment: what a turn would make of a session's path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from memory.incoming import Incoming
from memory.path import Path, PathBuilder, Ranges
from memory.stored import Settled
from memory.transcript import TreeView

Change = Literal["new", "append", "retry", "edit", "fork"]


@dataclass(frozen=True, slots=True)
class Alignment:
    """The plan of a turn; what leaves the path is in `left` or in `holes`, never in both."""

    change: Change
    path: Ranges
    """The path as the window shows it; a negative entry -i-1 is the new message of window row i."""
    rows: list[int | None]
    """The stored message of each window row, None where it is new."""
    matched: int
    """Rows that were found on the stored path, in order."""
    matched_users: int
    left: list[int]
    """Messages that leave the path: its tail, and what edits replace."""
    left_users: int
    """User messages of the tail that leaves."""
    holes: list[int]
    """Messages between two matched ones that the window does not show: hidden, deleted or moved."""
    head: int
    """How many messages stand on the path before the window's first row."""
    apart_from_holes: Change
    """What the change would be if the holes were shown."""
    hole_after: list[int]
    """For each hole the row after which it stood, -1 where it stood before the first one."""
    window: Sequence[Incoming] = ()
    """The window's rows as they were read: `rows` and `path` speak of these."""
    settled: Sequence[Settled] = ()
    glue: Sequence[int] = ()


def without_head(alignment: Alignment) -> Alignment:
    """Nothing stands before the window's first row: what did is absent as holes are, and back when it is shown."""
    if not alignment.head or not alignment.rows:
        return alignment
    path = Path(alignment.path)
    absent = path.slice(0, alignment.head)
    return replace(
        alignment,
        path=path.between(alignment.head),
        holes=[*absent, *alignment.holes],
        hole_after=[-1] * len(absent) + alignment.hole_after,
        head=0,
        change="edit" if alignment.change in ("append", "retry") else alignment.change,
    )


def with_moved(alignment: Alignment, moved: set[int]) -> Alignment:
    """Put holes that the front-end moved into a system message back on the path, where they stood."""
    back = [(after, i) for after, i in zip(alignment.hole_after, alignment.holes, strict=True) if i in moved]
    if not back:
        return alignment
    laid = PathBuilder(Path(alignment.path).between(0, alignment.head))
    for row in range(-1, len(alignment.rows)):
        if row >= 0:
            stored = alignment.rows[row]
            laid.add(-row - 1 if stored is None else stored)
        for after, hole in back:
            if after == row:
                laid.add(hole)
    stay = [(a, i) for a, i in zip(alignment.hole_after, alignment.holes, strict=True) if i not in moved]
    return replace(
        alignment,
        path=laid.ranges,
        holes=[i for _, i in stay],
        hole_after=[a for a, _ in stay],
        change=alignment.change if stay else alignment.apart_from_holes,
    )


def users_of(ids: Sequence[int], tree: TreeView) -> int:
    """How many of these messages the user said."""
    return sum(tree.role(i) == "user" for i in ids)
