"""Reading a window before it is aligned: what of its text is stored messages, and what was glued on.

A front-end's post-processing may write several messages as one, or glue system text (notes, post-history
instructions) to a message, with a blank line between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from memory.glue import MOST_PARAGRAPHS, glue_of, joined, paragraphs, said_paragraphs
from memory.incoming import Incoming, fingerprint
from memory.path import Path
from memory.read_rows import Reading, may_be, moved_from, stands_there
from memory.runs import StoredRuns, row_part, stored_part
from memory.transcript import TreeView
from memory.tree_shape import NO_TREE
from memory.trims import trims, trims_both

NEWEST_SEAMS = 8
"""Rows at the window's end of which the seams are looked at."""


def read(window: Sequence[Incoming], path: Path, tree: TreeView) -> Reading:
    """Read every row; one of one paragraph that the tree knows, or that nobody glued to, is left as it is."""
    reading = Reading(shown={row.fingerprint for row in window})
    if any(row.glued for row in window):
        reading.tails = glue_of([part for row in window if row.glued for part in said_paragraphs(row)[1:]])
    reading.unnamed = {row.role for row in window if not (row.speaker and row.is_named)}
    reading.unnamed |= {"user"} if "assistant" in reading.unnamed else set()
    said_last = _said_last(window, tree)
    for n, row in enumerate(window):
        reading.after = may_be(window[n + 1]) if n + 1 < len(window) else set()
        reading.went_on = n < said_last
        reading.rows += _read_row(row, path, tree, reading, newest=n == len(window) - 1)
    return reading


def _said_last(window: Sequence[Incoming], tree: TreeView) -> int:
    """The last row that the user certainly said: one after it is nothing but what was glued to others, as
    instructions are that end the prompt where the character speaks again; or it begins with such, behind which
    a front-end's extensions ask."""
    theirs = [n for n, row in enumerate(window) if row.role == "user"]
    return next((n for n in reversed(theirs) if not _may_be_glue(said_paragraphs(window[n])[0], tree)), -1)


def _may_be_glue(part: str, tree: TreeView) -> bool:
    mark = fingerprint("system", part)
    return tree.is_glue(mark) or any(part in tree.paragraphs(i)[1:] for i in tree.glued_to(mark))


def paragraphs_of(row: Incoming) -> list[Incoming]:
    """The row's paragraphs as rows."""
    parts = paragraphs(row.text) if row.glued or row.merged else []
    return [row] if len(parts) < 2 else [row_part(row, [part], NO_TREE) for part in parts]


def begun_and_more(row: Incoming, path: Path, tree: TreeView) -> list[Incoming]:
    """A row that begins with a message of the path as that one and the rest, where a front-end may have written both as
    one; otherwise the row."""
    parts = paragraphs(row.text) if row.merged else []
    for size in range(len(parts) - 1, 0, -1):
        part = stored_part(row, parts[:size], tree)
        if part is not None and _stands(part, path, tree, last=False):
            return [part, row_part(row, parts[size:], tree)]
    return [row]


def at_the_seams(window: Sequence[Incoming]) -> list[Incoming]:
    """Of the newest rows each one beside what its neighbour may end or begin with, where that may be several
    messages: some paragraphs of it."""
    found: list[Incoming] = []
    for before, after in pairwise(window[-NEWEST_SEAMS:]):
        end = paragraphs(before.text)[-MOST_PARAGRAPHS:] if before.merged else []
        start = paragraphs(after.text)[:MOST_PARAGRAPHS] if after.merged else []
        found += [r for n in range(1, len(end)) for r in (row_part(before, end[n:], NO_TREE), after)]
        found += [r for n in range(1, len(start)) for r in (before, row_part(after, start[:n], NO_TREE))]
    return found


def _read_row(row: Incoming, path: Path, tree: TreeView, reading: Reading, *, newest: bool) -> list[Incoming]:
    parts = paragraphs(row.text)
    may_be_glued = row.glued and len(parts) > 1
    is_named = row.role not in reading.unnamed
    if several := _several_on_path(row, parts, path, tree, is_named=is_named):
        return [*several]
    if _is_stored(row, path, tree, reading):
        _learn(row, path, tree, reading)
        return [replace(row, unsettled=True)] if may_be_glued else [row]
    settled = None if may_be_glued and not reading.went_on else trims(row, path, tree, reading)
    if settled is None and may_be_glued and not newest:
        settled = trims_both(row, path, tree, reading)
    if settled is not None:
        return [settled]
    if not (row.glued or (row.merged and len(parts) > 1)):
        return [row]
    stored = StoredRuns.of(row, parts, path, tree, is_named=is_named)
    if stored.before[-1]:
        return [*stored.before[-1]]
    said = _without_glue(row, path, tree, reading) if row.glued else parts
    if 0 < len(said) < len(parts):
        if row.speaker and row.text.lstrip().startswith(f"{row.speaker}:"):
            said = [f"{row.speaker}: {said[0]}", *said[1:]]
        return _read_row(row_part(row, said, tree), path, tree, reading, newest=newest)
    return _with_more(row, parts, stored, path, tree, newest=newest, is_named=is_named)


def _several_on_path(
    row: Incoming, parts: Sequence[str], path: Path, tree: TreeView, *, is_named: bool
) -> Sequence[Incoming]:
    """The neighbours on the path that a row is which the tree also holds as one message, off the path: what was first
    seen merged, and apart in a file since."""
    ids = tree.ids_of(row.fingerprint) if row.merged and len(parts) > 1 else ()
    if not ids or any(i in path for i in ids):
        return []
    several = StoredRuns.of(row, parts, path, tree, is_named=is_named).before[-1]
    return several if all(_stands(one, path, tree, last=False) for one in several) else []


def _is_stored(row: Incoming, path: Path, tree: TreeView, reading: Reading) -> bool:
    """Whether the row is a stored message as it is, and not rather another one, with glue, in whose place it
    stands."""
    trimmed = {settled.id for settled in reading.settled}
    same = (i for i in tree.ids_of(row.fingerprint) if i not in trimmed)
    if not any(stands_there(i, path, tree, reading) for i in tree.within(row.fingerprint)):
        return next(same, None) is not None
    return any(i not in path or stands_there(i, path, tree, reading) for i in same)


def _learn(row: Incoming, path: Path, tree: TreeView, reading: Reading) -> None:
    """A stored message that comes back in the place of itself with glue tells what the glue was."""
    if not any(i in path for i in tree.ids_of(row.fingerprint)):
        for i in tree.within(row.fingerprint):
            if stands_there(i, path, tree, reading):
                reading.glue |= moved_from(row, tree.paragraphs(i), reading)


def _without_glue(row: Incoming, path: Path, tree: TreeView, reading: Reading) -> Sequence[str]:
    """The paragraphs between those at either end that are known as glue, or that end another message too."""
    parts = said_paragraphs(row)
    marks = [fingerprint("system", part) for part in parts]
    known = {mark for mark in marks if tree.is_glue(mark) or mark in reading.glue}
    for part, mark in zip(parts[1:], marks[1:], strict=True):
        if any(_ends_another(i, part, row, path, tree, reading) for i in tree.glued_to(mark)):
            known.add(mark)
    said = [n for n, mark in enumerate(marks) if mark not in known]
    if said and len(said) < len(parts):
        reading.glue |= known
    return parts[said[0] : said[-1] + 1] if said else []


def _ends_another(i: int, part: str, row: Incoming, path: Path, tree: TreeView, reading: Reading) -> bool:
    """Whether an unsettled message ends with a paragraph, and the window shows it without: glue moves.

    Not one of the path's last two: it may be this row before an edit. Nor where the path has another message
    that says the same: the window may show that one.
    """
    *said, end = tree.paragraphs(i)
    if end != part or i in path.slice(len(path) - 2) or said[0] == said_paragraphs(row)[0]:
        return False
    without = fingerprint(row.role, joined(said))
    return without in reading.shown and not any(other in path for other in tree.ids_of(without))


def _with_more(
    row: Incoming,
    parts: Sequence[str],
    stored: StoredRuns,
    path: Path,
    tree: TreeView,
    *,
    newest: bool,
    is_named: bool,
) -> list[Incoming]:
    """A row that begins or ends with stored messages of the path, and the rest as a message of its own.

    Where the rest may be glue it is a message only when it follows one that nobody answered yet. A name before
    the first is not the rest's unless everybody `is_named`.
    """
    unsettled = row.glued
    if not row.glued or (newest and len(path) and tree.role(path[-1]) == row.role):
        for size in range(len(parts) - 1, 0, -1):
            before = stored.before[size] or _neighbour(row, parts[:size], 1, path, tree)
            if before and _stands(before[-1], path, tree, last=row.glued):
                more = row_part(row, parts[size:], tree)
                if not is_named and row.text.lstrip().startswith(f"{row.speaker}:"):
                    more = replace(more, speaker="")
                return [*before, replace(more, unsettled=unsettled and len(parts) - size > 1)]
            after = stored.after[size] or _neighbour(row, parts[-size:], -1, path, tree)
            if after and not row.glued and _stands(after[0], path, tree, last=False):
                return [row_part(row, parts[:-size], tree), *after]
    return [replace(row, unsettled=unsettled and len(parts) > 1)]


def _neighbour(row: Incoming, parts: Sequence[str], step: int, path: Path, tree: TreeView) -> list[Incoming]:
    """One stored message that the row begins (1) or ends (-1) with and whose neighbour there has its role too, so
    that the front-end writes them as one."""
    part = None if row.glued else stored_part(row, parts, tree)
    if part is None:
        return []
    places = (at for i in tree.ids_of(part.fingerprint) if (at := path.position(i)) is not None)
    beside = (path[at + step] for at in places if 0 <= at + step < len(path))
    return [part] if any(tree.role(i) == row.role for i in beside) else []


def _stands(row: Incoming, path: Path, tree: TreeView, *, last: bool) -> bool:
    """Whether a row is on the path, or at its end."""
    ids = tree.ids_of(row.fingerprint)
    return path[-1] in ids if last and len(path) else any(i in path for i in ids)
