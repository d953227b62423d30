"""Where on a path a row stands that is not on it: an edited message, or one that comes back."""

from __future__ import annotations

from collections.abc import Sequence

from memory.glue import joined
from memory.incoming import Incoming, fingerprint
from memory.path import Path
from memory.reading import may_be
from memory.transcript import TreeView

FARTHEST = 64
"""Messages of the path that are looked at, back from where the row must stand before."""
FARTHEST_EDIT = 8


def place_before(row: Incoming, end: int, path: Path, tree: TreeView) -> int:
    """How many of the path's first `end` messages stand before the row; those between leave the path.

    One that stands there without what is glued to it here is replaced. A message that the tree holds comes
    back to where it stood, or to where it stands with text glued to it; any other is an edit of the nearest
    one of its role, or a new one where there is none near.
    """
    nearest = range(end - 1, max(-1, end - 1 - FARTHEST_EDIT), -1)
    beside = next((n for n in nearest if tree.role(path[n]) == row.role), end)
    if row.glued and beside < end and tree.fingerprint(path[beside]) in may_be(row):
        return beside
    glued = [at for i in tree.within(row.fingerprint) if (at := path.position(i)) is not None and at < end]
    if glued:
        return max(glued)
    places = [
        place for i in tree.ids_of(row.fingerprint) if (place := _place_of(i, end, path, tree)) is not None
    ]
    if places:
        return max(places)
    return beside


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


def _merged(rows: Sequence[Incoming], message_id: int, tree: TreeView) -> int:
    """How many of the last rows, at least two, are a message together; 0: none are."""
    said: list[str] = []
    for row in reversed(rows):
        if row.role != tree.role(message_id):
            break
        text = row.text.lstrip()
        said.insert(0, text.removeprefix(f"{row.speaker}:").strip() if row.speaker else text.strip())
        if len(said) > 1 and fingerprint(row.role, joined(said)) == tree.fingerprint(message_id):
            return len(said)
    return 0


def _place_of(message_id: int, end: int, path: Path, tree: TreeView) -> int | None:
    """The place of a stored message: after its ancestors, and what replaced those that left the path."""
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
            place += 1
    while place > after + 1 and _stands_after(path[place - 1], message_id, tree):
        place -= 1
    while place < end and stands_before(path[place], message_id, tree):
        place += 1
    return place


def stands_before(earlier: int, message_id: int, tree: TreeView) -> bool:
    """Whether a message beside another's place was said before it: it is older, and no other wording of it."""
    if earlier > message_id:
        return False
    return tree.role(earlier) != tree.role(message_id) or tree.parent(earlier) != tree.parent(message_id)


def _stands_after(later: int, message_id: int, tree: TreeView) -> bool:
    """Whether a message was stored after another one on one line, not far from it."""
    ancestor = tree.parent(later)
    for _ in range(FARTHEST):
        if ancestor is None or ancestor == message_id:
            break
        ancestor = tree.parent(ancestor)
    return ancestor == message_id
