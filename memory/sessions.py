"""The sessions: each request's one, under the lock that serialises a session's turns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Protocol

from memory.align import Aligner, align
from memory.assign import Assigner
from memory.assign import Finder as ByContent
from memory.assignment import Assignment, Request, new_id
from memory.begun_anew import Chats, former_of
from memory.bulk import BulkWrite, SessionLine, line_of
from memory.locks import KeyedLocks
from memory.stored import Session
from memory.transcript import Transcript

LONG = 1000
"""Messages in a window from which on finding its session is no work for the event loop: 25 ms."""


class Finder(ByContent, Chats, Protocol):
    """What tells sessions by what a request holds, and which a character has (`memory.catalog`)."""


class Sessions:
    """Finds sessions and serialises their turns; one a process."""

    def __init__(self, transcript: Transcript, finder: Finder, aligner: Aligner = align) -> None:
        self._transcript = transcript
        self._chats: Chats = finder
        self._assigner = Assigner(transcript, finder, aligner)
        self._locks = KeyedLocks()

    async def _assign(self, request: Request) -> Assignment:
        """The request's assignment, beside the event loop where there is much to compare."""
        if len(request.window) < LONG:
            return await self._assigner.assign(request)
        return await asyncio.to_thread(asyncio.run, self._assigner.assign(request))

    @asynccontextmanager
    async def turn(self, request: Request) -> AsyncIterator[Assignment]:
        """The request's assignment, under its session's lock: nobody else stores there until the block ends.

        It is looked up again when the session changed while the lock was awaited. Requests that begin the
        same chat at once wait for each other, so that they make one session.
        """
        request = request.cleaned()
        while True:
            found = await self._assign(request)
            async with AsyncExitStack() as held:
                if found.session is None:
                    await held.enter_async_context(self._locks.hold(request.beginning()))
                    found = await self._assign(request)
                    if found.session is not None:
                        continue
                await held.enter_async_context(self.locked(request.owner, found.session_id))
                sure = await self._as_it_is(found, request)
                if sure is not None:
                    left = await self._line_left(sure, request)
                    yield sure
                    if left is not None:
                        await self._keep(left)
                    await self._leave_former(sure, request)
                    return

    def locked(self, owner: str, session_id: str) -> AbstractAsyncContextManager[None]:
        """The lock of one session, for what must not meet a turn of it."""
        return self._locks.hold((owner, session_id))

    def beginning(self, request: Request) -> AbstractAsyncContextManager[None]:
        """The lock of what begins as this request does, for what must not meet a first turn; before any session's."""
        return self._locks.hold(request.beginning())

    async def begun(self, owner: str, names: Iterable[str]) -> None:
        """Wait for the turns under way that begin a chat or a session of one of these names."""
        for name in names:
            for key in (Request(owner, (), chat_id=name).beginning(), (owner, name)):
                async with self._locks.hold(key):
                    pass

    async def find(self, request: Request) -> Assignment:
        """The request's assignment as things stand, without a lock."""
        return await self._assign(request.cleaned())

    async def _as_it_is(self, found: Assignment, request: Request) -> Assignment | None:
        """The assignment under its lock, looked up again if the session moved; None: it is another now."""
        session = await self._transcript.session(request.owner, found.session_id)
        if _version(session) == _version(found.session):
            return found
        again = await self._assign(request)
        return again if again.session and again.session_id == found.session_id else None

    async def _line_left(self, found: Assignment, request: Request) -> Session | None:
        """The line that a chat known by its id leaves: it may be the origin of a branch that has the same id."""
        old, inherits = found.session, bool(request.chat_id) and not request.exact
        if old is None or not inherits or not found.alignment.left_users:
            return None
        tree = await self._transcript.tree(found.key)
        candidate = await asyncio.to_thread(
            lambda: self._assigner.candidate(old, tree, request.read_for(tree))
        )
        return old if candidate.alignment.change in ("fork", "new") else None

    async def _keep(self, left: Session) -> None:
        """Keep a line that a turn left, unless the turn only took messages from its end."""
        now = await self._transcript.session(left.key.owner, left.session_id)
        if now is not None and any(i not in left.path for i in now.path):
            await self._transcript.absorb(BulkWrite(left.key, [_left_line(left)], []))

    async def _leave_former(self, found: Assignment, request: Request) -> None:
        """Leave behind what a chat without an id may have been before the turn, where the turn was stored."""
        if request.session_id or request.chat_id or (request.user and request.is_lone):
            return
        now = await self._transcript.session(request.owner, found.session_id)
        if now is None or _version(now) == _version(found.session):
            return
        is_new = found.session is None and not found.forked_from
        for former in await former_of(self._transcript, self._chats, now, is_new=is_new):
            await self._transcript.leave_behind(request.owner, former.session_id)


def _left_line(left: Session) -> SessionLine:
    """A session that is where another one was, as a fork leaves it behind: no id names it."""
    return replace(line_of(left), session_id=new_id(), chat_id="", forked_from="", left_behind=True)


def _version(session: Session | None) -> int | None:
    return None if session is None else session.version
