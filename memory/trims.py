"""Which unsettled message of the path a row is, without what was glued to either."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from memory.glue import bare, beside, glue_of, joined, paragraphs, readings, runs, said_paragraphs
from memory.incoming import Incoming, fingerprint
from memory.path import Path
from memory.read_rows import Reading, follows, is_after, moved_from, stands_there
from memory.runs import row_part
from memory.stored import Settled
from memory.transcript import TreeView


def trims(row: Incoming, path: Path, tree: TreeView, reading: Reading) -> Incoming | None:
    """The unsettled message of the path that the row shows without what was glued to it."""
    for i in tree.within(row.fingerprint):
        taken = any(i == other.id for other in reading.settled)
        is_part = _is_rest(row, i, tree, reading) or _lacks_a_message(row, i, tree, reading)
        if stands_there(i, path, tree, reading) and not (taken or is_part):
            reading.settled.append(Settled(i, row.text, row.fingerprint))
            reading.glue |= moved_from(row, tree.paragraphs(i), reading)
            return replace(row, fingerprint=tree.fingerprint(i))
    return None


def trims_both(row: Incoming, path: Path, tree: TreeView, reading: Reading) -> Incoming | None:
    """The unsettled message of the path in whose place the row stands with other glue: both have what was said.

    What else the message has ends other rows now, or stands on the other side of what was said. What else the
    row has is glue where it is known, or where the answer follows that was given without it and what stands before
    it is what stood there: where that is gone it may be a part of this row.
    """
    parts = said_paragraphs(row)
    for mark, said in readings(row.role, parts):
        unsettled = tree.within(mark)
        if not unsettled or _is_beside_a_message(said, parts, row, path, tree, reading):
            continue
        for i in unsettled:
            here, there = beside(row.role, parts, mark), beside(row.role, tree.paragraphs(i), mark)
            rest, more = there.glue, here.glue
            moved = rest and rest <= reading.tails and there.is_apart_from(here)
            is_glue = all(one in rest or one in reading.glue or tree.is_glue(one) for one in more)
            taken = any(i == other.id for other in reading.settled) or _says_more(i, said, tree, reading)
            stands = stands_there(i, path, tree, reading) if is_glue else follows(i, path, tree, reading)
            apart = is_glue or not here.before or _is_first_of_its_row(i, path, tree, reading)
            if moved and not taken and stands and apart and (reading.went_on or len(said) == 1):
                part = row_part(row, said, tree)
                reading.glue |= rest | more
                if tree.ids_of(part.fingerprint):
                    return part
                reading.settled.append(Settled(i, part.text, part.fingerprint))
                return replace(part, fingerprint=tree.fingerprint(i))
    return None


def _is_first_of_its_row(i: int, path: Path, tree: TreeView, reading: Reading) -> bool:
    """Whether what stands on the path before a message was no part of the row being read: it is shown before that, or
    is the other side's."""
    at = path.position(i)
    if reading.rows or not at:
        return is_after(i, path, tree, reading)
    return tree.role(path[at - 1]) != tree.role(i)


def _is_beside_a_message(
    said: Sequence[str], parts: Sequence[str], row: Incoming, path: Path, tree: TreeView, reading: Reading
) -> bool:
    """Whether what stands beside some paragraphs of a row is a message, and so not glued to them: one of the path,
    one that left it and is not known as glue, or a part of an unsettled one that no other row shows."""
    here = {mark for mark, _ in readings(row.role, said)} | {fingerprint(row.role, joined(said))}
    at = next(n for n in range(len(parts)) if list(parts[n : n + len(said)]) == list(said))
    sides = (parts[:at], parts[at + len(said) :])
    for part in (joined(side[first:last]) for side in sides for first, last in runs(len(side))):
        mark = fingerprint(row.role, part)
        ids = tree.ids_of(mark)
        if any(i in path for i in ids) or (ids and not tree.is_glue(fingerprint("system", part))):
            return True
        unsettled = (tree.fingerprints_of(i) for i in tree.within(mark) if i in path)
        if any(here.isdisjoint(marks) and reading.shown.isdisjoint(marks) for marks in unsettled):
            return True
    return False


def _says_more(i: int, said: Sequence[str], tree: TreeView, reading: Reading) -> bool:
    """Whether a paragraph of an unsettled message beside what was `said` is a message elsewhere, or all that may
    have been said in another one."""
    for part in (part for part in tree.paragraphs(i) if part not in said):
        mark = fingerprint(tree.role(i), part)
        others = (tree.paragraphs(j) for j in tree.within(mark) if j != i)
        glue = (glue_of([other for other in parts if other != part]) for parts in others)
        if tree.ids_of(mark) or any(all(one in reading.glue or tree.is_glue(one) for one in g) for g in glue):
            return True
    return False


def _lacks_a_message(row: Incoming, i: int, tree: TreeView, reading: Reading) -> bool:
    """Whether a row that may have a note lacks more of a message than notes: where a message is gone that followed
    it there, the note stands where it stood although the user said more."""
    parts = said_paragraphs(row)
    rest = glue_of([part for part in tree.paragraphs(i) if part not in parts])
    known = reading.tails | reading.glue
    return row.glued and len(parts) > 1 and not all(one in known or tree.is_glue(one) for one in rest)


def _is_rest(row: Incoming, i: int, tree: TreeView, reading: Reading) -> bool:
    """Whether the rows before this one show what comes before it in a message: it was stored merged."""
    parts, said = tree.paragraphs(i), said_paragraphs(row)
    starts_at = (n for n in range(len(parts)) if parts[n : n + len(said)] == said)
    before = parts[: next(starts_at, len(parts) - len(said))]
    starts = {fingerprint(row.role, bare(before[n:])) for n in range(len(before))}
    shown = paragraphs(reading.rows[-1].text) if reading.rows else []
    return fingerprint(row.role, bare(shown)) in starts
