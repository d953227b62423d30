"""Which session a request belongs to, by id or by content, and the lock that serialises a session's turns."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Hashable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

from memory.align import Aligner, Alignment, Incoming, align
from memory.files import safe_name
from memory.locks import KeyedLocks
from memory.path import Path
from memory.reading import paragraphs_of
from memory.transcript import Session, Transcript, TreeKey, TreeView
from memory.tree_shape import NO_TREE

LINES_A_TREE = 4
"""Sessions of one tree that are aligned; the others hold fewer of the window's newest messages."""
NEWEST_ROWS = 12
TELLING = 3
"""So many messages in common, each said once in its tree, tell whose a window is that begins later."""


SHARED_BY_A_FORK = 3
"""Messages in common from which on a fork shares its origin's tree: a greeting and "hi" tell nothing."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is known of a request; ids that are empty or hold an unreplaced macro (`{{`) count as none."""

    owner: str
    window: Sequence[Incoming]
    session_id: str = ""
    chat_id: str = ""
    user: str = ""
    character: str = ""
    continues: bool = False


@dataclass(frozen=True, slots=True)
class Assignment:
    """The session of a request and how it changes; `session` None: its first turn makes it."""

    key: TreeKey
    session_id: str
    session: Session | None
    alignment: Alignment
    forked_from: str = ""
    """The session whose tree and path a new one shares."""


class Finder(Protocol):
    """What tells sessions by what a request holds (`memory.catalog`)."""

    async def of_chat(self, owner: str, chat_id: str) -> str | None: ...

    async def of_person(self, owner: str, user: str, character: str) -> str | None: ...

    async def holding(self, owner: str, fingerprints: Sequence[int]) -> list[TreeKey]: ...


class Sessions:
    """Finds sessions and serialises their turns; one a process."""

    def __init__(self, transcript: Transcript, finder: Finder, aligner: Aligner = align) -> None:
        self._transcript = transcript
        self._finder = finder
        self._align = aligner
        self._locks = KeyedLocks()

    @asynccontextmanager
    async def turn(self, request: Request) -> AsyncIterator[Assignment]:
        """The request's assignment, under its session's lock: nobody else stores there until the block ends.

        It is looked up again when the session changed while the lock was awaited. Requests that begin the
        same chat at once wait for each other, so that they make one session.
        """
        request = _cleaned(request)
        while True:
            found = await self._find(request)
            async with AsyncExitStack() as held:
                if found.session is None:
                    await held.enter_async_context(self._locks.hold(_beginning(request)))
                    found = await self._find(request)
                    if found.session is not None:
                        continue
                await held.enter_async_context(self.locked(request.owner, found.session_id))
                sure = await self._as_it_is(found, request)
                if sure is not None:
                    yield sure
                    return

    def locked(self, owner: str, session_id: str) -> AbstractAsyncContextManager[None]:
        """The lock of one session, for what must not meet a turn of it."""
        return self._locks.hold((owner, session_id))

    async def _as_it_is(self, found: Assignment, request: Request) -> Assignment | None:
        """The assignment under its lock, looked up again if the session moved; None: it is another now."""
        session = await self._transcript.session(request.owner, found.session_id)
        if _version(session) == _version(found.session):
            return found
        again = await self._find(request)
        return again if again.session and again.session_id == found.session_id else None

    async def find(self, request: Request) -> Assignment:
        """The request's assignment as things stand, without a lock."""
        return await self._find(_cleaned(request))

    async def _find(self, request: Request) -> Assignment:
        if request.session_id:
            session = await self._transcript.session(request.owner, request.session_id)
            return await self._on(session, request) if session else self._new(request, request.session_id)
        if request.chat_id:
            return await self._of_chat(request)
        if request.user and _is_lone(request.window):
            return await self._of_person(request)
        best = await self._by_content(request)
        if best is None:
            return self._new(request, new_id())
        if best.is_fork:
            return _fork(best, new_id())
        return Assignment(best.session.key, best.session.session_id, best.session, best.alignment)

    async def _of_chat(self, request: Request) -> Assignment:
        """The chat's session, or one without an id that goes on, or a branch of what the window matches."""
        session_id = await self._finder.of_chat(request.owner, request.chat_id)
        session = await self._transcript.session(request.owner, session_id) if session_id else None
        if session is not None:
            return await self._on(session, request)
        name = await self._free_id(request)
        best = await self._by_content(request)
        if best is None:
            return self._new(request, name)
        if best.is_fork:
            return _fork(best, name)
        return await self._on(best.session, request)

    async def _free_id(self, request: Request) -> str:
        name = safe_name(request.chat_id)
        taken = await self._transcript.session(request.owner, name)
        return new_id() if taken else name

    async def _of_person(self, request: Request) -> Assignment:
        session_id = await self._finder.of_person(request.owner, request.user, request.character)
        session = await self._transcript.session(request.owner, session_id) if session_id else None
        return await self._on(session, request) if session else self._new(request, new_id())

    async def _on(self, session: Session, request: Request) -> Assignment:
        """A session known by an id."""
        tree = await self._transcript.tree(session.key)
        alignment = self._align(request.window, session.path, tree, pinned=True, continues=request.continues)
        return Assignment(session.key, session.session_id, session, alignment)

    @staticmethod
    def _new(request: Request, session_id: str) -> Assignment:
        alignment = align(request.window, Path([]), NO_TREE, pinned=False, continues=request.continues)
        return Assignment(TreeKey(request.owner, safe_name(session_id)), session_id, None, alignment)

    async def _trees_of(self, request: Request) -> list[TreeKey]:
        """Trees that hold parts of the window; where none does, of what its merged rows may consist of."""
        window = request.window
        found = await self._finder.holding(request.owner, [row.fingerprint for row in window])
        if found or not any(row.glued or row.merged for row in window):
            return found
        parts = [part for row in window for part in paragraphs_of(row)]
        return await self._finder.holding(request.owner, [part.fingerprint for part in parts])

    async def _by_content(self, request: Request) -> _Candidate | None:
        """The session that the window matches best, of a bounded number of likely ones."""
        window = request.window
        best: _Candidate | None = None
        for key in await self._trees_of(request):
            tree = await self._transcript.tree(key)
            for session in _likeliest(await self._transcript.lines(key), window, tree):
                alignment = self._align(window, session.path, tree, pinned=False, continues=request.continues)
                anothers = bool(request.chat_id and session.chat_id)
                candidate = _Candidate(session, tree, alignment, anothers or alignment.change == "fork")
                if candidate.tells() and (best is None or candidate.rank() > best.rank()):
                    best = candidate
            if best is not None and best.is_plain():
                break
        return best


class _Candidate(NamedTuple):
    session: Session
    tree: TreeView
    alignment: Alignment
    is_fork: bool
    """Its line stays as it is: what comes is a new session of its tree."""

    def rank(self) -> tuple[float, ...]:
        """A line that just goes on first (another chat may have gone on with the same words), then most in
        common, lines that are no fork, lines without an id, less left behind, used last."""
        a, s = self.alignment, self.session
        plain = self.is_plain()
        return (plain, a.matched, not self.is_fork, not s.chat_id, -len(a.left), s.updated_at)

    def tells(self) -> bool:
        """Whether the window belongs to this session, or to one that shares its tree."""
        stored = sum(i is not None for i in self.alignment.rows)
        shares = not self.is_fork or stored >= SHARED_BY_A_FORK
        return shares and _identifies(self.alignment, self.tree)

    def is_plain(self) -> bool:
        """Whether it matches everything but at most one new row: no other can match better."""
        goes_on = self.alignment.apart_from_holes in ("append", "retry") and not self.is_fork
        return goes_on and self.alignment.matched >= len(self.alignment.window) - 1


def new_id() -> str:
    """A short id, safe as a file name, later ones sorting after earlier ones."""
    return f"{time.time_ns() // 1_000_000:011x}{secrets.token_hex(4)}"


def _identifies(alignment: Alignment, tree: TreeView) -> bool:
    """Whether a window without an id belongs to the session it was aligned with.

    A greeting alone tells nothing, a lone message only when it is asked again. Where the window does not show
    the session's beginning, chance matches must not lend a stranger's: it has to end where the session does,
    or to have several messages in common that are not said all the time.
    """
    window = alignment.window
    if not alignment.matched_users:
        return False
    if len(window) == 1:
        return alignment.change == "retry"
    if not alignment.head:
        return True
    known = [n for n, i in enumerate(alignment.rows) if i is not None]
    users = sum(row.role == "user" for row in window[: known[-1]])
    goes_on = alignment.apart_from_holes in ("append", "retry")
    if alignment.matched_users * 2 < users - 1:
        return False
    return goes_on or sum(len(tree.ids_of(window[n].fingerprint)) == 1 for n in known) >= TELLING


def _likeliest(lines: Sequence[Session], window: Sequence[Incoming], tree: TreeView) -> Sequence[Session]:
    """The sessions of a tree that hold most of the window's newest messages, a bounded few."""
    if len(lines) <= LINES_A_TREE:
        return lines
    known = [ids[-1] for row in reversed(window) if (ids := tree.ids_of(row.fingerprint))][:NEWEST_ROWS]
    shared = {line.session_id: sum(i in line.path for i in known) for line in lines}
    return sorted(lines, key=lambda line: shared[line.session_id], reverse=True)[:LINES_A_TREE]


def _fork(candidate: _Candidate, session_id: str) -> Assignment:
    base = candidate.session
    alignment = replace(candidate.alignment, change="fork")
    return Assignment(base.key, session_id, None, alignment, forked_from=base.session_id)


def _cleaned(request: Request) -> Request:
    return replace(
        request,
        session_id=_id(request.session_id),
        chat_id=_id(request.chat_id),
        user=_id(request.user),
        character=_id(request.character),
    )


def _id(text: str) -> str:
    return "" if "{{" in text else text.strip()


def _is_lone(window: Sequence[Incoming]) -> bool:
    return len(window) == 1 and window[0].role == "user"


def _version(session: Session | None) -> int | None:
    return None if session is None else session.version


def _beginning(request: Request) -> Hashable:
    """What two requests have in common that may both begin the same session."""
    if request.session_id:
        return ("session", request.owner, request.session_id)
    if request.chat_id:
        return ("chat", request.owner, request.chat_id)
    if request.user and _is_lone(request.window):
        return ("person", request.owner, request.user, request.character)
    users = [n for n, row in enumerate(request.window) if row.role == "user"]
    first = request.window[: users[0] + 1 if users else None]
    return ("start", request.owner, *(row.fingerprint for row in first))
