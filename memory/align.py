"""Align: what a request's window is to the stored path. Pure; the heart of keeping memory true to the chat.

The aligned path is always a head of the stored path (what the window no longer shows, because its oldest
messages were trimmed) followed by every row of the window. What the window shows is the truth.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Protocol

from memory.alignment import Alignment, Change, users_of, with_moved
from memory.incoming import Incoming, fingerprint, incoming
from memory.match import Match, Matches, matches
from memory.other_line import line_elsewhere, on_another_line
from memory.path import Path, PathBuilder
from memory.places import begun_with, merged_before, place_before
from memory.read_rows import Reading, may_be
from memory.reading import begun_and_more, read
from memory.reuse import stored_again
from memory.stored import Settled
from memory.transcript import TreeView

__all__ = ["Aligner", "Alignment", "Change", "Incoming", "align", "fingerprint", "incoming", "with_moved"]

TELLING_ROWS = 3
"""So many rows that a tree holds off the path tell that they are another line of it."""
MOST_NOTES = 2
"""So many messages before a chat's first one may be what a front-end writes into it in a speaker's role."""
MOST_REPLIES = 50
"""So many messages may follow a user's: a group's members answer one after another."""
LONE_PATH = 16
"""A longer path is no single message and its answers."""


class Aligner(Protocol):
    """`align`, as those who need it take it."""

    def __call__(
        self,
        window: Sequence[Incoming],
        path: Path,
        tree: TreeView,
        *,
        pinned: bool,
        continues: bool,
        again: bool = False,
        lines: Sequence[Path] = (),
    ) -> Alignment: ...


def align(
    window: Sequence[Incoming],
    path: Path,
    tree: TreeView,
    *,
    pinned: bool,
    continues: bool,
    again: bool = False,
    lines: Sequence[Path] = (),
) -> Alignment:
    """Align a window with the path of a session.

    `pinned`: the session is known otherwise (by an id), so that it cannot fork, and a lone user message,
    from a client that sends no history, goes on from the path. `continues`: the window's last row is an
    assistant message being lengthened; it stays on the aligned path, the longer reply takes its place when
    it is stored. `again`: another reply is asked for in the place of the last one. `lines`: paths of other sessions of
    the tree.
    """
    reading = read(window, path, tree)
    if pinned and len(reading.rows) == 1 and _only_user(path, tree) is not None:
        reading.rows = begun_and_more(reading.rows[0], path, tree)
    rows = reading.rows
    if pinned and len(path) and len(rows) == 1 and rows[0].role == "user":
        found = _lone(rows, path, tree, again=again)
    else:
        found = _align(rows, path, tree, lines, pinned=pinned, continues=continues)
    settled = [*reading.settled]
    if found.change == "append" and None in found.rows:
        settled += _shown_again(found, reading, tree)
    return replace(found, window=reading.rows, settled=settled, glue=sorted(reading.glue))


def _align(
    window: Sequence[Incoming],
    path: Path,
    tree: TreeView,
    lines: Sequence[Path] = (),
    *,
    pinned: bool,
    continues: bool,
) -> Alignment:
    if not window or not len(path):
        return _unmatched(window, path, tree)
    found = matches(window, path, tree)
    if len(found) == 1 and not continues and _is_a_beginning(window, found[0], path):
        found = []
    begins_at = _begins_at(window, path, tree) if pinned and not found else None
    if begins_at is not None:
        return _unmatched(window, path, tree, begins_at)
    known = sum(bool(tree.ids_of(row.fingerprint)) for row in window)
    if known >= len(found) + TELLING_ROWS or (pinned and not _tells(found, window, tree)):
        line = line_elsewhere(window, path, tree, lines)
        if line is not None and len(matches(window, line, tree)) > len(found):
            elsewhere = _align(window, line, tree, pinned=True, continues=continues)
            return on_another_line(elsewhere, path, tree, "edit" if pinned else "fork")
    if not found:
        return _unmatched(window, path, tree)
    return _matched(window, path, tree, found, pinned=pinned, continues=continues)


def _tells(found: Matches, window: Sequence[Incoming], tree: TreeView) -> bool:
    """Whether anything was found besides phrases that the tree holds more than once, and besides the newest message
    alone: that may be said anew."""
    telling = [match for match in found if len(tree.ids_of(window[match.row].fingerprint)) == 1]
    return len(telling) > 1 or any(match.row < len(window) - 1 for match in telling)


def _shown_again(found: Alignment, reading: Reading, tree: TreeView) -> list[Settled]:
    """Unsettled messages that stand unchanged while the chat went on: glue would have moved.

    That it went on tells what the user said after them before the newest message, which may be instructions
    that end the prompt whenever the character speaks again.
    """
    theirs = [n for n, row in enumerate(reading.rows) if row.role == "user"]
    went_on = max((n for n in theirs[:-1] if found.rows[n] is not None), default=0)
    trimmed = {settled.id for settled in reading.settled}
    return [
        Settled(i, row.text, row.fingerprint)
        for i, row in zip(found.rows[:went_on], reading.rows, strict=False)
        if i is not None and tree.unsettled(i) and i not in trimmed
    ]


def _matched(
    window: Sequence[Incoming], path: Path, tree: TreeView, found: Matches, *, pinned: bool, continues: bool
) -> Alignment:
    gaps = _gaps(window, path, tree, found)
    laid = PathBuilder(path.between(0, gaps.head))
    rows = _rows(window, tree, found, laid)
    on_path = {i for i in rows if i is not None}
    tail_rows = range(found[-1].row + 1, len(window))
    tail = path.slice(found[-1].position + 1)
    with_glue = {mark for row in tail_rows if window[row].glued for mark in may_be(window[row])}
    left_users = users_of([i for i in _answered(tail, tree) if tree.fingerprint(i) not in with_glue], tree)
    base = _tail_change([window[r] for r in tail_rows], [rows[r] for r in tail_rows], tail, left_users)
    if base == "append" and not tail and not tail_rows and (window[-1].role == "user" or continues):
        base = "retry"
    if base == "fork" and pinned:
        base = "edit"
    apart: Change = "edit" if gaps.edited and base != "fork" else base
    holes = [
        (after, i) for after, i in (*gaps.holes, *_left_out(rows, tail_rows, tail, tree)) if i not in on_path
    ]
    hidden = {i for _, i in holes}
    return Alignment(
        change="edit" if holes and apart != "fork" else apart,
        path=laid.ranges,
        rows=rows,
        matched=len(found),
        matched_users=sum(window[match.row].role == "user" for match in found),
        left=[i for i in gaps.replaced + tail if i not in on_path and i not in hidden],
        left_users=left_users,
        holes=[i for _, i in holes],
        head=gaps.head,
        apart_from_holes=apart,
        hole_after=[after for after, _ in holes],
    )


def _answered(tail: Sequence[int], tree: TreeView) -> Sequence[int]:
    """The messages of a path's tail without the last one, where that is the user's and nobody answered it: another
    line is not told by what was taken back at once."""
    return tail[:-1] if tail and tree.role(tail[-1]) == "user" else tail


def _left_out(
    rows: Sequence[int | None], tail_rows: Sequence[int], tail: Sequence[int], tree: TreeView
) -> Iterator[tuple[int, int]]:
    """The messages of the path's tail that stood before one that comes back, with the row after which they did."""
    for row in tail_rows:
        stored = rows[row]
        parent = None if stored is None else tree.parent(stored)
        before: list[int] = []
        while parent is not None and parent in tail:
            before.insert(0, parent)
            parent = tree.parent(parent)
        yield from ((row - 1, i) for i in before)


@dataclass(slots=True)
class _Gaps:
    """What lies before and between the matches."""

    head: int
    replaced: list[int]
    holes: list[tuple[int, int]]
    edited: bool


def _gaps(window: Sequence[Incoming], path: Path, tree: TreeView, found: Matches) -> _Gaps:
    """Pair the unmatched rows before and between the matches with the path's messages there, by role."""
    first = found[0]
    merged, head = merged_before(window, first.row, first.position, path, tree) or (0, first.position)
    for row in reversed(range(first.row - merged)):
        is_part = head < first.position and path[head] in tree.within(window[row].fingerprint)
        head = head if is_part else place_before(window[row], head, path, tree)
    if head <= MOST_NOTES and _went_elsewhere(path.slice(0, head), window, found, tree):
        head = 0
    gaps = _Gaps(head, path.slice(head, first.position), [], first.row > 0)
    for before, after in pairwise(found):
        absent = path.slice(before.position + 1, after.position)
        shown_after = before.row
        for row in range(before.row + 1, after.row):
            gaps.edited = True
            role = window[row].role
            pair = next((n for n, i in enumerate(absent) if tree.role(i) == role), None)
            if pair is not None:
                gaps.holes += [(shown_after, i) for i in absent[:pair]]
                gaps.replaced.append(absent[pair])
                absent = absent[pair + 1 :]
            shown_after = row
        gaps.holes += [(shown_after, i) for i in absent]
    return gaps


def _went_elsewhere(head: Sequence[int], window: Sequence[Incoming], found: Matches, tree: TreeView) -> bool:
    """Whether the window shows the path's first messages in other places: they are notes of the front-end's.

    Not in the place of its last row: there somebody may say the same again. Nor is what is stored elsewhere too.
    """
    matched = {match.row for match in found}
    new = {row.fingerprint for n, row in enumerate(window[:-1]) if n not in matched}
    return all(tree.fingerprint(i) in new and [*tree.ids_of(tree.fingerprint(i))] == [i] for i in head)


def _rows(
    window: Sequence[Incoming], tree: TreeView, found: Sequence[Match], laid: PathBuilder
) -> list[int | None]:
    """Lay every row of the window on the path; the stored message of each, None where it is new."""
    known = {match.row: match.message_id for match in found}
    later = set(known.values())
    last = found[-1].row if found else -1
    rows: list[int | None] = []
    new = {-row - 1: said.fingerprint for row, said in enumerate(window)}
    for row, said in enumerate(window):
        stored = known.get(row)
        if stored is None:
            mark, speaker = said.fingerprint, said.speaker
            stored = stored_again(tree, laid, later, mark, speaker, inner=row < last, new=new)
        laid.add(-row - 1 if stored is None else stored)
        rows.append(stored)
    return rows


def _tail_change(
    coming: Sequence[Incoming], stored: Sequence[int | None], leaving: Sequence[int], left_users: int
) -> Change:
    """What the ends of window and path are to each other, after their last common message.

    Two lines of one tree are told from an edit of the last messages by how much stays behind: more user
    messages than come, or any at all when far more come, or when a stored reply comes back in the place of
    what was said since.
    """
    users = sum(row.role == "user" for row in coming)
    taken_up = any(i is not None and row.role == "assistant" for i, row in zip(stored, coming, strict=True))
    if left_users > users or (left_users and (users > left_users + 1 or taken_up)):
        return "fork"
    if not coming:
        return "retry" if leaving else "append"
    if not leaving or (not left_users and stored[0] is not None):
        return "append"
    return "edit"


def _is_a_beginning(window: Sequence[Incoming], found: Match, path: Path) -> bool:
    """Whether a prompt's last row is what the reply is to begin with, in a prompt of one message: in the same words
    as an earlier reply began."""
    last = window[-1]
    is_last = last.role == "assistant" and last.glued and found.row == len(window) - 1
    return is_last and found.position < len(path) - 1


def _begins_at(window: Sequence[Incoming], path: Path, tree: TreeView) -> int | None:
    """The place of the message in which the window's first two messages stand on the path, written as one, or its
    first one, with glue there or here."""
    merged = [{i for mark in may_be(row) for i in tree.within(mark)} for row in window[:2]]
    both = merged[0] & merged[1] if len(merged) == 2 else set()
    if not both and (begun := begun_with(window[0], path, tree)):
        return max(begun)
    glued = {*tree.within(window[0].fingerprint)}
    glued |= {i for mark in may_be(window[0]) for i in tree.ids_of(mark)} if window[0].glued else set()
    return max((at for i in both or glued if (at := path.position(i)) is not None), default=None)


def _unmatched(window: Sequence[Incoming], path: Path, tree: TreeView, head: int = 0) -> Alignment:
    """Nothing in common: after the path's head the window is the path; an empty one leaves it as it is."""
    head = head if window else len(path)
    laid = PathBuilder(path.between(0, head))
    rows = _rows(window, tree, [], laid)
    shown = set(rows)
    left = [i for i in path.slice(head) if i not in shown]
    change: Change = ("edit" if head else "new") if window else "append"
    return Alignment(change, laid.ranges, rows, 0, 0, left, users_of(left, tree), [], head, change, [])


def _only_user(path: Path, tree: TreeView) -> int | None:
    """The place of the user's only message on a path that is a single message and its answers."""
    users = [n for n, i in enumerate(path.slice(0, LONE_PATH)) if tree.role(i) == "user"]
    return users[0] if len(users) == 1 and len(path) <= LONE_PATH else None


def _lone(window: Sequence[Incoming], path: Path, tree: TreeView, *, again: bool) -> Alignment:
    """A user message without history: the same again where that is told, or while it is the only one or
    unanswered, otherwise one more."""
    said = window[0]
    only = _only_user(path, tree)
    same = len(path) - 1 if only is None else only
    if again:
        is_gone = tree.role(path[-1]) == "user" and tree.fingerprint(path[-1]) != said.fingerprint
        last = len(path) - 1 - is_gone
        same = next(
            (n for n in range(last, max(last - MOST_REPLIES, -1), -1) if tree.role(path[n]) == "user"), same
        )
    if tree.fingerprint(path[same]) == said.fingerprint:
        kept = path.between(0, same + 1)
        return Alignment("retry", kept, [path[same]], 1, 1, path.slice(same + 1), 0, [], same, "retry", [])
    laid = PathBuilder(path.ranges)
    rows = _rows(window, tree, [], laid)
    return Alignment("append", laid.ranges, rows, 0, 0, [], 0, [], len(path), "append", [])
