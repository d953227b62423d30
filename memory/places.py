"""Where on a path a row stands that is not on it: an edited message, or one that comes back."""

from __future__ import annotations

from collections.abc import Sequence

from memory.glue import MOST_PARAGRAPHS, bare, joined, paragraphs, readings, said_paragraphs
from memory.incoming import Incoming, fingerprint
from memory.path import Path
from memory.transcript import TreeView

FARTHEST = 64
"""Messages of the path that are looked at, back from where the row must stand before."""
FARTHEST_EDIT = 8


def place_before(row: Incoming, end: int, path: Path, tree: TreeView) -> int:
    """How many of the path's first `end` messages stand before the row; those between leave the path.

    A message that the tree holds comes back to where it stood, or to where it stands with text glued to it
    or without; any other is an edit of the nearest one of its role, or a new one where there is none near.
    """
    glued = [at for i in tree.within(row.fingerprint) if (at := path.position(i)) is not None and at < end]
    if glued:
        return max(glued)
    if (at := _without_glue(row, end, path, tree)) is not None:
        return at
    places = [
        place
        for i in tree.ids_of(row.fingerprint)
        if (place := _place_of(i, end, path, tree, merged=row.merged)) is not None
    ]
    if places:
        return max(places)
    begun = [at for at in begun_with(row, path, tree) if end - FARTHEST_EDIT <= at < end]
    if begun:
        return max(begun)
    nearest = range(end - 1, max(-1, end - 1 - FARTHEST_EDIT), -1)
    return next((n for n in nearest if tree.role(path[n]) == row.role), end)


def _without_glue(row: Incoming, end: int, path: Path, tree: TreeView) -> int | None:
    """The place of the message near `end` that the row may be with text glued to it."""
    near = {tree.fingerprint(path[n]): n for n in range(max(0, end - FARTHEST_EDIT), end)}
    shorter = readings(row.role, said_paragraphs(row)) if row.glued else ()
    return next((near[fingerprint] for fingerprint, _ in shorter if fingerprint in near), None)


def begun_with(row: Incoming, path: Path, tree: TreeView) -> list[int]:
    """Where messages stand, with text glued to them or without, with which a row begins that has glue too."""
    parts = said_paragraphs(row)[:MOST_PARAGRAPHS] if row.glued else []
    begins = (fingerprint(row.role, joined(parts[:length])) for length in range(len(parts), 0, -1))
    held = ({*tree.ids_of(mark), *tree.within(mark)} for mark in begins if not tree.is_glue(mark))
    places = ([at for i in ids if (at := path.position(i)) is not None] for ids in held)
    return next((at for at in places if at), [])


def merged_before(
    window: Sequence[Incoming], end: int, position: int, path: Path, tree: TreeView
) -> tuple[int, int] | None:
    """How many rows that end before row `end` are one message that was stored merged, and where it stands.

    It is looked for before `position` on the path; between them hidden messages may stand.
    """
    for at in range(position - 1, max(-1, position - 1 - FARTHEST_EDIT), -1):
        if rows := _merged(window[:end], path[at], tree):
            return rows, at
    return None


def merged_rows(window: Sequence[Incoming], new: set[int], ids: Sequence[int], tree: TreeView) -> set[int]:
    """Those of the `new` rows that are one of the last messages of `ids` with the rows beside them, or with notes."""
    last = {*ids[-FARTHEST_EDIT:]}
    found = {n for n in new if not last.isdisjoint(tree.within(window[n].fingerprint))}
    for end in (n + 1 for n in new):
        rows = window[max(0, end - MOST_PARAGRAPHS) : end]
        for i in ids[-FARTHEST_EDIT:]:
            found.update(range(end - _merged(rows, i, tree), end))
    return found & new


def _merged(rows: Sequence[Incoming], message_id: int, tree: TreeView) -> int:
    """How many of the last rows, at least two, are a message together; 0: none are."""
    together = {
        tree.fingerprint(message_id),
        fingerprint(tree.role(message_id), bare(tree.paragraphs(message_id))),
    }
    said: list[str] = []
    for row in reversed(rows):
        if row.role != tree.role(message_id):
            break
        text = row.text.lstrip()
        said.insert(0, text.removeprefix(f"{row.speaker}:").strip() if row.speaker else text.strip())
        parts = [part for text in said for part in paragraphs(text)]
        if len(said) > 1 and {fingerprint(row.role, text) for text in (joined(said), bare(parts))} & together:
            return len(said)
    return 0


def _place_of(message_id: int, end: int, path: Path, tree: TreeView, *, merged: bool) -> int | None:
    """The place of a stored message: after its ancestors, and what replaced those that left the path.

    Where the window shows neighbours of one role `merged`, what replaced the one before it may be both in one.
    """
    gone: list[int] = []
    ancestor = tree.parent(message_id)
    while ancestor is not None and ancestor not in path:
        gone.append(ancestor)
        if len(gone) > FARTHEST:
            return None
        ancestor = tree.parent(ancestor)
    after = -1 if ancestor is None else path.position(ancestor)
    if after is None or not end - FARTHEST <= after + 1 <= end:
        return None
    place = after + 1
    for i in reversed(gone):
        if place < end and tree.role(path[place]) == tree.role(i):
            if merged and i == gone[0] and tree.role(i) == tree.role(message_id):
                return place
            place += 1
    while place > after + 1 and _stands_after(path[place - 1], message_id, tree):
        place -= 1
    while place < end and stands_before(path[place], message_id, path, tree):
        place += 1
    return place


def stands_before(earlier: int, message_id: int, path: Path, tree: TreeView) -> bool:
    """Whether a message beside another's place was said before it: it is older, and no other wording of it, said
    after the same message of the path."""
    if earlier > message_id:
        return False
    after = (_after(i, path, tree) for i in (earlier, message_id))
    return tree.role(earlier) != tree.role(message_id) or next(after) != next(after)


def _after(message_id: int, path: Path, tree: TreeView) -> int | None:
    """The nearest message of the path that a message was stored after."""
    ancestor = tree.parent(message_id)
    for _ in range(FARTHEST):
        if ancestor is None or ancestor in path:
            break
        ancestor = tree.parent(ancestor)
    return ancestor


def _stands_after(later: int, message_id: int, tree: TreeView) -> bool:
    """Whether a message was stored after another one on one line, not far from it."""
    ancestor = tree.parent(later)
    for _ in range(FARTHEST):
        if ancestor is None or ancestor == message_id:
            break
        ancestor = tree.parent(ancestor)
    return ancestor == message_id
