"""Reading a window before it is aligned: which of its text is messages the tree holds, and which was glued on.

A front-end's post-processing may write several messages as one, or glue system text (notes, post-history
instructions) to a message, with a blank line between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from memory.glue import glue_of, joined, paragraphs, readings
from memory.incoming import Incoming, fingerprint, row_of
from memory.path import Path
from memory.transcript import Settled, TreeView


@dataclass(slots=True)
class Reading:
    """A window as its messages, and what it tells of stored messages that were unsettled."""

    rows: list[Incoming] = field(default_factory=list)
    settled: list[Settled] = field(default_factory=list)
    glue: set[int] = field(default_factory=set)
    """Paragraphs that turned out to be glue."""
    shown: set[int] = field(default_factory=set)
    """Fingerprints of the window's rows as they came."""


def read(window: Sequence[Incoming], path: Path, tree: TreeView) -> Reading:
    """Read every row; one of one paragraph that the tree knows, or that nobody glued to, is left as it is."""
    reading = Reading(shown={row.fingerprint for row in window})
    for n, row in enumerate(window):
        reading.rows += _read_row(row, path, tree, reading, newest=n == len(window) - 1)
    return reading


def paragraphs_of(row: Incoming) -> list[Incoming]:
    """The row's paragraphs as rows."""
    parts = paragraphs(row.text) if row.glued or row.merged else []
    return [row] if len(parts) < 2 else [_part(row, [part]) for part in parts]


def _read_row(row: Incoming, path: Path, tree: TreeView, reading: Reading, *, newest: bool) -> list[Incoming]:
    parts = paragraphs(row.text)
    trimmed = {settled.id for settled in reading.settled}
    if any(i not in trimmed for i in tree.ids_of(row.fingerprint)):
        _learn(row, path, tree, reading)
        return [replace(row, unsettled=row.glued and len(parts) > 1)]
    if settled := _trims(row, path, tree, reading):
        return [settled]
    if len(parts) == 1 and not row.glued:
        return [row]
    if merged := _run_of_stored(row, parts, tree):
        return merged
    said = _without_glue(parts, row.speaker, path, tree, reading) if row.glued else parts
    if len(said) < len(parts):
        return _read_row(_part(row, said), path, tree, reading, newest=newest) if said else []
    if row.glued or row.merged:
        return _with_more(row, parts, path, tree, newest=newest)
    return [row]


def _trims(row: Incoming, path: Path, tree: TreeView, reading: Reading) -> Incoming | None:
    """The unsettled message of the path that the row shows without what was glued to it."""
    for i in tree.within(row.fingerprint):
        if i in path and all(i != other.id for other in reading.settled):
            reading.settled.append(Settled(i, row.text, row.fingerprint))
            reading.glue |= _rest(row, tree.paragraphs(i))
            return replace(row, fingerprint=tree.fingerprint(i))
    return None


def _learn(row: Incoming, path: Path, tree: TreeView, reading: Reading) -> None:
    """A stored message that comes back in the place of itself with glue tells what the glue was."""
    if not any(i in path for i in tree.ids_of(row.fingerprint)):
        for i in tree.within(row.fingerprint):
            if i in path:
                reading.glue |= _rest(row, tree.paragraphs(i))


def _rest(row: Incoming, parts: Sequence[str]) -> set[int]:
    """The paragraphs of a message besides those that the row shows."""
    shown = next((run for fp, run in readings(row.role, parts) if fp == row.fingerprint), ())
    at = next((n for n in range(len(parts)) if list(parts[n : n + len(shown)]) == list(shown)), 0)
    return glue_of([*parts[:at], *parts[at + len(shown) :]])


def _run_of_stored(row: Incoming, parts: Sequence[str], tree: TreeView) -> list[Incoming]:
    """The stored messages that the row consists of, none left over; empty where it does not."""
    best: list[list[Incoming] | None] = [[]]
    for last in range(1, len(parts) + 1):
        found: list[Incoming] | None = None
        for first in range(last):
            before = best[first]
            part = _part(row, parts[first:last]) if before is not None else None
            if before is not None and part is not None and tree.ids_of(part.fingerprint):
                if found is None or len(before) + 1 < len(found):
                    found = [*before, part]
        best.append(found)
    return best[-1] or []


def _without_glue(
    parts: Sequence[str], speaker: str, path: Path, tree: TreeView, reading: Reading
) -> Sequence[str]:
    """The paragraphs between those at either end that are glue.

    Known as such, or standing at the end of another message too, that is unsettled and that the window does not
    show so.
    """
    parts = [parts[0].removeprefix(f"{speaker}:").strip() if speaker else parts[0], *parts[1:]]
    marks = [fingerprint("system", part) for part in parts]
    known = {mark for mark in marks if tree.is_glue(mark) or mark in reading.glue}
    known |= {
        mark
        for mark in marks[1:]
        if any(_is_another(i, parts, path, tree, reading) for i in tree.glued_to(mark))
    }
    said = [n for n, mark in enumerate(marks) if mark not in known]
    if said and len(said) < len(parts):
        reading.glue |= known
    return parts[said[0] : said[-1] + 1] if said else []


def _is_another(i: int, parts: Sequence[str], path: Path, tree: TreeView, reading: Reading) -> bool:
    """Whether a message that the window does not show so has one of these paragraphs, and only one, too.

    Not one of the path's last two: it may be these paragraphs before the user edited them.
    """
    if tree.fingerprint(i) in reading.shown or i in path.slice(len(path) - 2):
        return False
    return len(set(tree.paragraphs(i)) & set(parts)) == 1


def _with_more(
    row: Incoming, parts: Sequence[str], path: Path, tree: TreeView, *, newest: bool
) -> list[Incoming]:
    """A row that begins or ends with stored messages of the path, and the rest as a message of its own.

    Where the rest may be glue it is a message only when it follows one that nobody answered yet.
    """
    unsettled = row.glued
    if not row.glued or (newest and len(path) and tree.role(path[-1]) == row.role):
        for size in range(len(parts) - 1, 0, -1):
            before = _run_of_stored(row, parts[:size], tree)
            if before and _stands(before[-1], path, tree, last=row.glued):
                more = _part(row, parts[size:])
                return [*before, replace(more, unsettled=unsettled and len(parts) - size > 1)]
            after = [] if row.glued else _run_of_stored(row, parts[-size:], tree)
            if after and _stands(after[0], path, tree, last=False):
                return [_part(row, parts[:-size]), *after]
    return [replace(row, unsettled=unsettled and len(parts) > 1)]


def _stands(row: Incoming, path: Path, tree: TreeView, *, last: bool) -> bool:
    """Whether a row is on the path, or at its end."""
    ids = tree.ids_of(row.fingerprint)
    return path[-1] in ids if last and len(path) else any(i in path for i in ids)


def _part(row: Incoming, parts: Sequence[str]) -> Incoming:
    """Some paragraphs of a row as a row."""
    part = row_of(row.role, row.speaker, joined(parts), [], row.index)
    return replace(part, glued=row.glued, merged=row.merged)
