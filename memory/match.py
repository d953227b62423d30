"""Which rows of a window are which messages of a path: the plain cases, else a longest common subsequence."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from memory.incoming import Incoming
from memory.name_field import are_others
from memory.path import Path
from memory.read_rows import may_be
from memory.subsequence import longest_common
from memory.transcript import TreeView

STRAY = 4
"""So many messages missing after the first match make it doubtful."""


class Match(NamedTuple):
    """A window row that is a message of the path."""

    row: int
    position: int
    message_id: int


Matches = list[Match]


def matches(window: Sequence[Incoming], path: Path, tree: TreeView) -> Matches:
    """The rows found on the path, in order; ties go to the newest messages. Neither may be empty."""
    exactly, but_for_glue = _exact_run, _run_but_for_glue
    plain = _plain(window, path, tree, exactly) or _plain(window, path, tree, but_for_glue)
    if plain:
        return plain
    longest = _longest(window, path, tree)
    is_glued = any(row.glued for row in window)
    moved = _plain(window, path, tree, _run_with_moved_glue) if is_glued else []
    return moved if moved and len(moved) >= len(longest) else longest


Run = Callable[[Sequence[Incoming], int, int, Path, TreeView], Matches]


def _plain(window: Sequence[Incoming], path: Path, tree: TreeView, run: Run) -> Matches:
    """The window that shows the path's end: with nothing new, without the last reply, or with one more row.

    Where a chat repeats itself so exactly that it could be either, one message more is meant, unless the
    window reaches the path's beginning.
    """
    start = len(path) - len(window)
    same = run(window, len(window), start, path, tree)
    if same:
        return same
    append = run(window, len(window) - 1, start + 1, path, tree) if len(window) > 1 else []
    retry = run(window, len(window), start - 1, path, tree) if tree.role(path[-1]) == "assistant" else []
    return retry if start == 1 or not append else append


def _exact_run(window: Sequence[Incoming], length: int, start: int, path: Path, tree: TreeView) -> Matches:
    """The first `length` rows against the path from position `start`: all of them or none."""
    found = _run_but_for_glue(window, length, start, path, tree)
    return found if len(found) == length else []


def _run_but_for_glue(
    window: Sequence[Incoming], length: int, start: int, path: Path, tree: TreeView
) -> Matches:
    """Those of the first `length` rows that are the path's messages from position `start`, where each other one is
    the message in its place without what was glued to that; none where one is not, or the first one is no match."""
    if start < 0 or tree.fingerprint(path[start]) != window[0].fingerprint:
        return []
    found = []
    for row, i in enumerate(path.slice(start, start + length)):
        if tree.fingerprint(i) == window[row].fingerprint and not _is_anothers(window[row], i, tree):
            found.append(Match(row, start + row, i))
        elif i not in tree.within(window[row].fingerprint):
            return []
    return found


def _is_anothers(row: Incoming, message_id: int, tree: TreeView) -> bool:
    """Whether a message was said by somebody else than a row of the same words, which somebody may have said too."""
    is_other = are_others(row.speaker, tree.speaker(message_id))
    return is_other and len(tree.ids_of(row.fingerprint)) > 1


def _run_with_moved_glue(
    window: Sequence[Incoming], length: int, start: int, path: Path, tree: TreeView
) -> Matches:
    """The same where text is glued to any of them, in the window or on the path."""
    found = []
    for row, i in enumerate(path.slice(start, start + length) if start >= 0 else ()):
        said = window[row]
        if tree.fingerprint(i) == said.fingerprint:
            found.append(Match(row, start + row, i))
        elif i not in tree.within(said.fingerprint) and tree.fingerprint(i) not in may_be(said):
            return []
    return found


@dataclass(slots=True)
class _Places:
    """Where each fingerprint of the window stands: its rows, and the newest (position, id) on the path."""

    rows: dict[int, list[int]] = field(default_factory=dict)
    positions: dict[int, list[tuple[int, int]]] = field(default_factory=dict)


def _longest(window: Sequence[Incoming], path: Path, tree: TreeView) -> Matches:
    """The longest common subsequence; ties go to the newest."""
    places = _places(window, path, tree)
    positions = {symbol: [position for position, _ in found] for symbol, found in places.positions.items()}
    pairs = longest_common([row.fingerprint for row in window], positions)
    found = [Match(row, position, path[position]) for row, position in pairs]
    return _without_stray(_settled(found, window, places, len(path), tree), window, path, tree)


def _places(window: Sequence[Incoming], path: Path, tree: TreeView) -> _Places:
    """Of each fingerprint no more positions than the window has rows, the newest, ascending."""
    places = _Places()
    for row, said in enumerate(window):
        places.rows.setdefault(said.fingerprint, []).append(row)
    for fingerprint in places.rows:
        newest: list[tuple[int, int]] = []
        for message_id in reversed(tree.ids_of(fingerprint)):
            position = path.position(message_id)
            if position is not None:
                newest.append((position, message_id))
                if len(newest) == len(window):
                    break
        places.positions[fingerprint] = sorted(newest)
    return places


def _settled(
    found: Matches, window: Sequence[Incoming], places: _Places, length: int, tree: TreeView
) -> Matches:
    """Where a phrase was matched that was said more than once, take the pair, of this phrase or of another
    message beside it, that nobody else said and that leaves its neighbourhood most even; of such the one that goes on
    from the match before."""
    for n, match in enumerate(found):
        fingerprint = window[match.row].fingerprint
        if len(places.rows[fingerprint]) == 1 and _times_said(fingerprint, tree) == 1:
            continue
        before = found[n - 1] if n else None
        after = found[n + 1] if n + 1 < len(found) else Match(len(window), length, 0)
        low_row, low_position = (before.row, before.position) if before else (-1, -1)
        choices = [
            Match(row, position, i)
            for row in range(low_row + 1, after.row)
            for position, i in _between(
                places.positions[window[row].fingerprint], low_position, after.position
            )
        ]
        found[n] = min(
            [match, *choices],
            key=lambda m: (
                are_others(window[m.row].speaker, tree.speaker(m.message_id)),
                _unevenness(before, m, after),
                before is None or m.row - before.row != m.position - before.position,
                -m.position,
            ),
        )
    return found


def _between(positions: Sequence[tuple[int, int]], low: int, high: int) -> Sequence[tuple[int, int]]:
    """Those of the ascending (position, id) with low < position < high."""
    return positions[bisect_left(positions, (low + 1, 0)) : bisect_left(positions, (high, 0))]


def _times_said(fingerprint: int, tree: TreeView) -> int:
    """How many messages of the tree are this phrase, or are it with text glued to it."""
    return len(tree.ids_of(fingerprint)) + len(tree.within(fingerprint))


def _without_stray(found: Matches, window: Sequence[Incoming], path: Path, tree: TreeView) -> Matches:
    """Without a first match that is a phrase said more than once, far on the path from the next match.

    It is rather the later message of that wording, off the path or with text glued to it, than a sign that
    all between was hidden.
    """
    while len(found) > 1:
        first, following = found[0], found[1]
        fingerprint = window[first.row].fingerprint
        within = tree.within(fingerprint)
        place = following.position - (following.row - first.row)
        hidden = place - first.position
        stands_later = hidden > 0 and path[place] in within
        if not stands_later and (_times_said(fingerprint, tree) < 2 or hidden < STRAY):
            break
        found = found[1:]
    return found


def _unevenness(before: Match | None, match: Match, after: Match) -> int:
    """Rows or messages without a counterpart around a match; a trimmed head of the path costs nothing."""
    behind = abs((after.row - match.row) - (after.position - match.position))
    if before is None:
        return behind + match.row
    return behind + abs((match.row - before.row) - (match.position - before.position))
