"""How likely a window belongs to a stored session: what it has in common with it, and what that tells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from memory.align import Alignment
from memory.incoming import Incoming
from memory.name_field import are_others
from memory.places import begun_with
from memory.read_rows import may_be
from memory.stored import Session
from memory.transcript import TreeView

LINES_A_TREE = 4
"""Sessions of one tree that are aligned; the others hold fewer of the window's newest messages."""
NEWEST_ROWS = 12
TELLING = 3
"""So many messages in common, each said once in its tree, tell whose a window is that begins later."""
SHARED_BY_A_FORK = 3
"""Messages in common from which on a fork shares its origin's tree: a greeting and "hi" tell nothing."""


class Candidate(NamedTuple):
    """A session and what a window is to it."""

    session: Session
    tree: TreeView
    alignment: Alignment
    is_fork: bool
    """Its line stays as it is: what comes is a new session of its tree."""
    is_kin: bool = False
    """One says that it branched off the other."""

    def rank(self) -> tuple[float, ...]:
        """A line that just goes on first (another chat may have gone on with the same words), then most in
        common, lines that are no fork, lines without an id, less left behind, used last."""
        a, s = self.alignment, self.session
        forks = (not self.is_fork, a.matched, not s.chat_id)
        return (self.is_plain(), self.common(), *forks, -len(a.left), s.updated_at)

    def common(self) -> int:
        """Rows that stand on the session's own path, and those that do but for glued text."""
        return sum(i in self.session.path for i in self.alignment.rows) + len(self.glued())

    def glued(self) -> list[Incoming]:
        """Rows that the session's path has too, but for text glued to them here or there."""
        a, path = self.alignment, self.session.path
        off_path = [row for row, i in zip(a.window, a.rows, strict=True) if i not in path]
        return [
            row
            for row in off_path
            if any(i in path for i in self._may_be(row)) or begun_with(row, path, self.tree)
        ]

    def _may_be(self, row: Incoming) -> Iterator[int]:
        yield from self.tree.within(row.fingerprint)
        for fingerprint in may_be(row) if row.glued else ():
            yield from self.tree.ids_of(fingerprint)

    def tells(self) -> bool:
        """Whether the window belongs to this session, or to one that shares its tree."""
        stored = sum(i is not None for i in self.alignment.rows)
        shares = not self.is_fork or self.is_kin or stored >= SHARED_BY_A_FORK
        return shares and _identifies(self.alignment, self.tree, self.glued())

    def is_mostly_shown(self) -> bool:
        """Whether more of the session stands in the window than is left out where the window stands."""
        return self.alignment.matched > len(self.alignment.left) + len(self.alignment.holes)

    def is_plain(self) -> bool:
        """Whether it matches everything but at most the last row, where that is new: no other can match better."""
        a = self.alignment
        goes_on = a.apart_from_holes in ("append", "retry") and not self.is_fork
        return goes_on and a.matched >= len(a.window) - (a.rows[-1:] == [None])


def _identifies(alignment: Alignment, tree: TreeView, glued: Sequence[Incoming]) -> bool:
    """Whether a window without an id belongs to the session it was aligned with; `glued` rows it has as well.

    A greeting alone tells nothing, a lone message only when it is asked again; what its reply is to begin with adds
    nothing. Where the window does not show the session's beginning, chance matches must not lend a stranger's: it
    has to end where the session does, with more than a phrase of the user's that is said again, or to have several
    messages in common that are not said all the time.
    """
    window = alignment.window
    matched_users = alignment.matched_users + sum(row.role == "user" for row in glued)
    if not alignment.matched:
        return False
    if len(window) == 1:
        return bool(matched_users) and alignment.change == "retry"
    if not alignment.head:
        return bool(matched_users) and (
            alignment.matched >= SHARED_BY_A_FORK or _is_said_by_them(alignment, tree)
        )
    if alignment.matched < 2 and all(row.role == "assistant" for row in window[1:]):
        return False
    known = [n for n, i in enumerate(alignment.rows) if i is not None]
    users = sum(row.role == "user" for row in window[: known[-1]])
    known_users = sum(window[n].role == "user" for n in known)
    known_users = max(known_users, matched_users)
    if not known_users or known_users * 2 < users - 1:
        return False
    telling = [n for n in known if len(tree.ids_of(window[n].fingerprint)) == 1]
    is_told = alignment.matched >= len(window) - 1 or any(window[n].role == "user" for n in telling)
    goes_on = matched_users > 0 and alignment.apart_from_holes in ("append", "retry")
    return (goes_on and (is_told or bool(glued))) or len(telling) + len(glued) >= TELLING


def _is_said_by_them(alignment: Alignment, tree: TreeView) -> bool:
    """Whether any message of the user's is known that another user is not known to have said."""
    said = zip(alignment.window, alignment.rows, strict=True)
    theirs = [(row, i) for row, i in said if row.role == "user" and i is not None]
    return not theirs or not all(are_others(row.speaker, tree.speaker(i)) for row, i in theirs)


def may_be_first(alignment: Alignment) -> bool:
    """Whether a window may be of a chat that never told whose it is: more than a greeting and "hi" is common, or
    something, and nothing of the user's is left out."""
    return alignment.matched >= SHARED_BY_A_FORK or (alignment.matched > 0 and not alignment.left_users)


def likeliest(lines: Sequence[Session], window: Sequence[Incoming], tree: TreeView) -> Sequence[Session]:
    """The sessions of a tree that hold most of the window's newest messages, a bounded few."""
    if len(lines) <= LINES_A_TREE:
        return lines
    known = [ids[-1] for row in reversed(window) if (ids := tree.ids_of(row.fingerprint))][:NEWEST_ROWS]
    shared = {line.session_id: sum(i in line.path for i in known) for line in lines}
    return sorted(lines, key=lambda line: shared[line.session_id], reverse=True)[:LINES_A_TREE]
