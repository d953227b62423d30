"""Which session a request belongs to, by id or by content, and the lock that serialises a session's turns."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Hashable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Protocol

from memory.align import TELLING_ROWS, Aligner, Alignment, Incoming, align
from memory.bulk import BulkWrite, SessionLine, line_of
from memory.candidates import SHARED_BY_A_FORK, Candidate, likeliest
from memory.files import safe_name
from memory.locks import KeyedLocks
from memory.path import Path
from memory.reading import paragraphs_of
from memory.transcript import Session, Transcript, TreeKey, TreeView
from memory.tree_shape import NO_TREE
from memory.whose import ANYBODY, Whose


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
    whose: Whose = ANYBODY
    """Whose chat the chat id names, where the front-end tells it."""


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

    async def of_chat(self, owner: str, chat_id: str, whose: Whose) -> str | None: ...

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
                    left = await self._line_left(sure, request)
                    yield sure
                    if left is not None:
                        await self._keep(left)
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
        session = await self._named(request)
        if session is not None:
            return await self._on_its_line(session, request)
        name = await self._free_id(request)
        best = await self._by_content(request)
        if best is None:
            return self._new(request, name)
        if best.is_fork:
            return _fork(best, name)
        return await self._on(best.session, request)

    async def _named(self, request: Request) -> Session | None:
        """The session of the chat's id and character. A group's id tells no group from another, nor always
        from a chat with one of its members: there the window must not show another chat."""
        session_id = await self._finder.of_chat(request.owner, request.chat_id, request.whose)
        session = await self._transcript.session(request.owner, session_id) if session_id else None
        if session is None or not request.whose.told or _is_lone(request.window):
            return session
        if not (session.is_group or request.whose.is_group):
            return session
        candidate = self._candidate(session, await self._transcript.tree(session.key), request)
        if request.whose.may_have(session):
            return session if candidate.alignment.matched or len(request.window) < 2 else None
        return session if candidate.tells() else None

    async def _free_id(self, request: Request) -> str:
        names = [request.chat_id]
        if request.whose.character:
            names.append(f"{request.whose.character}/{request.chat_id}")
        for name in map(safe_name, names):
            if await self._transcript.session(request.owner, name) is None:
                return name
        return new_id()

    async def _of_person(self, request: Request) -> Assignment:
        session_id = await self._finder.of_person(request.owner, request.user, request.character)
        session = await self._transcript.session(request.owner, session_id) if session_id else None
        return await self._on(session, request) if session else self._new(request, new_id())

    async def _on(self, session: Session, request: Request) -> Assignment:
        """A session known by an id."""
        tree = await self._transcript.tree(session.key)
        alignment = self._align(request.window, session.path, tree, pinned=True, continues=request.continues)
        return Assignment(session.key, session.session_id, session, alignment)

    async def _on_its_line(self, named: Session, request: Request) -> Assignment:
        """The chat's session, or a line that was left, where the window clearly shows that one: branches
        inherit the id of their origin."""
        on = await self._on(named, request)
        if not on.alignment.left or _is_lone(request.window):
            return on
        lines = [s for s in await self._transcript.lines(named.key) if _may_be_of(s, named)]
        tree = await self._transcript.tree(named.key)
        here = self._candidate(named, tree, request)
        best: Candidate | None = None
        for line in likeliest(lines, request.window, tree):
            found = self._candidate(line, tree, request)
            if not found.is_fork and (best is None or found.rank() > best.rank()):
                best = found
        more = TELLING_ROWS if here.common() and not here.is_fork else 0
        if best is None or not best.common() or best.common() < here.common() + more:
            return on
        return await self._on(best.session, request)

    async def _line_left(self, found: Assignment, request: Request) -> Session | None:
        """The line that a chat known by its id leaves: it may be the origin of a branch that has the same id."""
        old = found.session
        if old is None or not request.chat_id or not found.alignment.left_users:
            return None
        tree = await self._transcript.tree(found.key)
        change = self._candidate(old, tree, request).alignment.change
        return old if change in ("fork", "new") else None

    async def _keep(self, left: Session) -> None:
        """Keep a line that a turn left, unless the turn only took messages from its end."""
        now = await self._transcript.session(left.key.owner, left.session_id)
        if now is not None and any(i not in left.path for i in now.path):
            await self._transcript.absorb(BulkWrite(left.key, [_left_line(left)], []))

    @staticmethod
    def _new(request: Request, session_id: str) -> Assignment:
        alignment = align(request.window, Path([]), NO_TREE, pinned=False, continues=request.continues)
        return Assignment(TreeKey(request.owner, safe_name(session_id)), session_id, None, alignment)

    async def _trees_of(self, request: Request) -> AsyncIterator[TreeKey]:
        """Trees that hold parts of the window, then those that hold what its merged rows may consist of."""
        window = request.window
        found = await self._finder.holding(request.owner, [row.fingerprint for row in window])
        for key in found:
            yield key
        if any(row.glued or row.merged for row in window):
            parts = [part for row in window for part in paragraphs_of(row)]
            for key in await self._finder.holding(request.owner, [part.fingerprint for part in parts]):
                if key not in found:
                    yield key

    async def _by_content(self, request: Request) -> Candidate | None:
        """The session that the window matches best, of a bounded number of likely ones."""
        window = request.window
        best: Candidate | None = None
        async for key in self._trees_of(request):
            tree = await self._transcript.tree(key)
            for session in likeliest(await self._transcript.lines(key), window, tree):
                candidate = self._candidate(session, tree, request)
                if _fits(candidate, request) and (best is None or candidate.rank() > best.rank()):
                    best = candidate
            if best is not None and best.is_plain():
                break
        return best

    def _candidate(self, session: Session, tree: TreeView, request: Request) -> Candidate:
        alignment = self._align(request.window, session.path, tree, pinned=False, continues=request.continues)
        anothers = request.chat_id and session.chat_id and request.chat_id != session.chat_id
        goes_on = not session.was_live and alignment.apart_from_holes in ("append", "retry")
        forks = bool(anothers) and not goes_on
        return Candidate(session, tree, alignment, forks or alignment.change == "fork")


def new_id() -> str:
    """A short id, safe as a file name, later ones sorting after earlier ones."""
    return f"{time.time_ns() // 1_000_000:011x}{secrets.token_hex(4)}"


def _fork(candidate: Candidate, session_id: str) -> Assignment:
    base = candidate.session
    alignment = replace(candidate.alignment, change="fork")
    return Assignment(base.key, session_id, None, alignment, forked_from=base.session_id)


def _fits(candidate: Candidate, request: Request) -> bool:
    """Whether a window may belong to a session. One that has the chat's id under another character's name is
    the same chat, its character renamed, where they share more than a greeting and "hi"."""
    session = candidate.session
    has_id = bool(request.chat_id) and session.chat_id == request.chat_id
    renamed = has_id and not request.whose.may_have(session)
    return candidate.tells() and (not renamed or candidate.alignment.matched >= SHARED_BY_A_FORK)


def _may_be_of(line: Session, named: Session) -> bool:
    """Whether a line may have the id of a session of its tree: it has it, or was left and has none."""
    own = line.session_id == named.session_id
    return not own and (line.chat_id == named.chat_id or (line.left_behind and not line.chat_id))


def _left_line(left: Session) -> SessionLine:
    """A session that is where another one was, as a fork leaves it behind: no id names it."""
    return replace(line_of(left), session_id=new_id(), chat_id="", forked_from="", left_behind=True)


def _cleaned(request: Request) -> Request:
    return replace(
        request,
        session_id=_id(request.session_id),
        chat_id=_id(request.chat_id),
        user=_id(request.user),
        character=_id(request.character),
        whose=replace(request.whose, character=_id(request.whose.character)),
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
