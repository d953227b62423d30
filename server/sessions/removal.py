"""Removing a chat from every tier, with the lines it left that nobody took up."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from graph.checkpoints import forget
from graph.errors import NotFound
from graph.resources import Resources
from memory.stored import Session
from memory.transcript import Transcript
from server.dependencies import OWNER
from server.sessions.lookup import named

PAGE = 1000


async def remove(resources: Resources, name: str) -> tuple[Session, int]:
    """Remove a chat once no turn of it is under way; its session and how many messages went.

    Raises NotFound for a name that no session has.
    """
    async with _locked(resources, partial(named, resources, name)) as (session, left):
        return session, await erase(resources, [*left, session])


async def remove_session(resources: Resources, session_id: str) -> int:
    """The same for a session's own id, whatever chats have it as theirs."""
    async with _locked(resources, partial(_own, resources, session_id)) as (session, left):
        return await erase(resources, [*left, session])


async def erase(resources: Resources, lines: Sequence[Session]) -> int:
    """Remove lines of one tree from every tier, under their locks; how many messages went."""
    removed = []
    for line in lines:
        removed += await resources.transcript.delete(OWNER, line.session_id)
    key = lines[0].key
    gone = removed if await resources.transcript.lines(key) else None
    await resources.vectors.delete(key, gone)
    await resources.codes.delete(key, gone)
    for line in lines:
        await resources.working.drop(OWNER, line.session_id)
        await forget(resources.checkpointer, f"{OWNER}:{line.session_id}")
    return len(removed)


async def _own(resources: Resources, session_id: str) -> Session:
    found = await resources.transcript.session(OWNER, session_id)
    if found is None:
        raise NotFound(f"There is no session {session_id!r}.")
    return found


@asynccontextmanager
async def _locked(
    resources: Resources, look: Callable[[], Awaitable[Session]]
) -> AsyncIterator[tuple[Session, list[Session]]]:
    """A session and the lines it left, under the locks of all of them (always taken in the same order)."""
    while True:
        session = await look()
        left = await lines_left_by(resources.transcript, session)
        async with AsyncExitStack() as locks:
            for session_id in sorted(line.session_id for line in (session, *left)):
                await locks.enter_async_context(resources.sessions.locked(OWNER, session_id))
            again = await look()
            if again == session and await lines_left_by(resources.transcript, again) == left:
                yield session, left
                return


async def lines_left_by(transcript: Transcript, session: Session) -> list[Session]:
    """The lines that a session left when its chat went another way, and that nobody took up.

    Such a line stored nothing itself; whatever it alone shows, besides this session, this session stored. A
    line that a fork without an id left behind may be a chat of its own, and is none of them.
    """
    lines = await transcript.lines(session.key)
    unnamed = [line for line in lines if line.left_behind and not line.chat_id and line != session]
    if not unnamed:
        return []
    stored_by = await _stored_by(transcript, session)
    left = [line for line in unnamed if line.session_id not in stored_by.values()]
    others = [line for line in lines if line != session and line not in left]
    return [line for line in left if _only_of(session, _alone(line, others), stored_by)]


async def _stored_by(transcript: Transcript, session: Session) -> dict[int, str]:
    """For each message of the session's tree the session that stored it, empty where that is gone."""
    found: dict[int, str] = {}
    after = 0
    while page := await transcript.dump(session.key, after=after, limit=PAGE):
        found |= {message.id: message.session for message in page}
        after = page[-1].id
    return found


def _alone(line: Session, others: Sequence[Session]) -> list[int]:
    """The messages of a line that none of the others shows."""
    return [i for i in line.path if not any(i in other.path for other in others)]


def _only_of(session: Session, messages: Iterable[int], stored_by: dict[int, str]) -> bool:
    stored = {stored_by[i] for i in messages}
    return session.session_id in stored and stored <= {session.session_id, ""}
