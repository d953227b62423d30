"""Removing a chat from every tier, with the lines that had its id and those it left that nobody took up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from graph.checkpoints import forget, forget_recalled, threads_with
from graph.context import session_of_thread
from graph.errors import NotFound
from graph.resources import Resources
from memory.stored import Session
from memory.transcript import Transcript
from memory.whose import Whose, has_id_of, whose_of
from server.dependencies import OWNER
from server.sessions.lookup import chats_in, find, named, of_chat

PAGE = 1000


async def remove(resources: Resources, name: str) -> tuple[Session, int]:
    """Remove a chat once no turn of it is under way, its first one included; its session and how many messages
    went.

    The chat's id means every line that had it, a session's own id that one. Raises NotFound for a name that no
    session has.
    """
    if await find(resources, name) is None:
        await resources.sessions.begun(OWNER, [name, *chats_in(name)])
    async with _locked(resources, partial(named, resources, name), name) as going:
        removed = await erase(resources, going)
    await _forget_elsewhere(resources, going[0])
    return going[0], removed


async def remove_chat(
    resources: Resources, chat_id: str, whose: Whose, is_meant: Callable[[Session], bool]
) -> Session | None:
    """The same for a chat's id alone, whatever else has such a name; None where there is no such chat."""
    if await of_chat(resources, chat_id, whose) is None:
        await resources.sessions.begun(OWNER, [chat_id])
    try:
        async with _locked(resources, partial(_chat, resources, chat_id, whose, is_meant), chat_id) as going:
            await erase(resources, going)
    except NotFound:
        return None
    await _forget_elsewhere(resources, going[0])
    return going[0]


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


async def _forget_elsewhere(resources: Resources, gone: Session) -> None:
    """Delete what names a chat that is gone: its lorebooks' bindings, and the checkpoints of other chats that hold
    memories of its tree's, each once no turn is under way there."""
    key, whose = gone.key, whose_of(gone)
    if gone.chat_id and await of_chat(resources, gone.chat_id, whose) is None:
        await asyncio.to_thread(resources.library.forget_chat, OWNER, gone.chat_id, whose)
    for thread_id in await threads_with(resources.checkpointer, key.owner, key.tree_id):
        async with resources.sessions.locked(key.owner, session_of_thread(thread_id, key.owner)):
            await forget_recalled(resources.checkpointer, thread_id, key.tree_id)


async def _chat(
    resources: Resources, chat_id: str, whose: Whose, is_meant: Callable[[Session], bool]
) -> Session:
    found = await of_chat(resources, chat_id, whose)
    if found is None or not is_meant(found):
        raise NotFound(f"There is no chat {chat_id!r}.")
    return found


@asynccontextmanager
async def _locked(
    resources: Resources, look: Callable[[], Awaitable[Session]], name: str
) -> AsyncIterator[list[Session]]:
    """A session, and the lines that go with it where it is called by this name, under the locks of all of them
    (always taken in the same order)."""
    while True:
        going = await lines_going(resources.transcript, await look(), name)
        async with AsyncExitStack() as locks:
            for session_id in sorted(line.session_id for line in going):
                await locks.enter_async_context(resources.sessions.locked(OWNER, session_id))
            if await lines_going(resources.transcript, await look(), name) == going:
                yield going
                return


async def lines_going(transcript: Transcript, session: Session, name: str) -> list[Session]:
    """What goes with a session that is called by this name, itself first."""
    lines = await transcript.lines(session.key)
    theirs = [f"{who}/{session.chat_id}" for who in (session.character, session.avatar)]
    by_chat = name in (session.chat_id, *theirs)
    of_id = [line for line in lines if by_chat and line != session and has_id_of(line, session)]
    return [session, *of_id, *await lines_left_by(transcript, lines, [session, *of_id])]


async def lines_left_by(
    transcript: Transcript, lines: Sequence[Session], going: Sequence[Session]
) -> list[Session]:
    """Those of a tree's lines that sessions left when their chat went another way, and that nobody took up.

    Such a line stored nothing itself; whatever it alone shows, besides these sessions, one of them stored. A
    line that a fork without an id left behind may be a chat of its own, and is none of them.
    """
    unnamed = [line for line in lines if line.left_behind and not line.chat_id and line not in going]
    if not unnamed:
        return []
    stored_by = await _stored_by(transcript, going[0])
    left = [line for line in unnamed if line.session_id not in stored_by.values()]
    others = [line for line in lines if line not in going and line not in left]
    return [line for line in left if _only_of(going, _alone(line, others), stored_by)]


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


def _only_of(going: Sequence[Session], messages: Iterable[int], stored_by: dict[int, str]) -> bool:
    stored, own = {stored_by[i] for i in messages}, {session.session_id for session in going}
    return bool(own & stored) and stored <= {*own, ""}
