"""What happens to a chat as a whole: it, or its character, is another name from now on, or it is deleted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

from graph.errors import BadRequest
from graph.resources import Resources
from memory.bulk import BulkWrite, line_of
from memory.stored import Session
from memory.whose import Whose
from server.dependencies import OWNER
from server.sessions import removal
from server.sessions.protocol import ChatEvent, EventTaken


async def renamed(resources: Resources, name: str, event: ChatEvent) -> EventTaken:
    """Give a chat's session the chat's new name, or its character's.

    What the chat showed under its new name before this was told is a branch of it: the two become one.
    """
    if not event.new_chat_id and not event.new_character:
        raise BadRequest("new_chat_id or new_character must say what the name is now.", param="new_chat_id")
    async with _held(resources, name, event) as (session, twin):
        if session is None:
            return EventTaken(type=event.type)
        line = replace(
            line_of(session),
            chat_id=event.new_chat_id or session.chat_id,
            character=event.new_character or session.character,
            path=(twin or session).path.ranges,
            updated_at=(twin or session).updated_at,
        )
        await resources.transcript.absorb(BulkWrite(session.key, [line], []))
        if twin is not None:
            await removal.erase(resources, [twin])
        now = await resources.transcript.session(OWNER, session.session_id) or session
    return EventTaken(
        id=now.session_id,
        type=event.type,
        changed=now != session,
        version=now.version,
        messages=len(now.path),
    )


async def deleted(resources: Resources, name: str, event: ChatEvent) -> EventTaken:
    """Remove the chat of this id and nothing else that has such a name; see `removal.remove`."""
    session = await _of_chat(resources, name, Whose(event.character, event.is_group))
    if session is None:
        return EventTaken(type=event.type)
    await removal.remove_session(resources, session.session_id)
    return EventTaken(id=session.session_id, type=event.type, changed=True, version=session.version)


@asynccontextmanager
async def _held(
    resources: Resources, name: str, event: ChatEvent
) -> AsyncIterator[tuple[Session | None, Session | None]]:
    """The session and its twin as they are, under the locks of both."""
    while True:
        found = await _both(resources, name, event)
        async with AsyncExitStack() as locks:
            for session_id in sorted(one.session_id for one in found if one is not None):
                await locks.enter_async_context(resources.sessions.locked(OWNER, session_id))
            if await _both(resources, name, event) == found:
                yield found
                return


async def _both(resources: Resources, name: str, event: ChatEvent) -> tuple[Session | None, Session | None]:
    """The chat's session, and the branch of it that has the name which the chat is given."""
    session = await _of_chat(resources, name, Whose(event.character, event.is_group))
    whose = Whose(event.new_character or event.character, event.is_group)
    twin = await _of_chat(resources, event.new_chat_id or name, whose)
    is_branch = session is not None and twin is not None and twin.forked_from == session.session_id
    return session, twin if is_branch else None


async def _of_chat(resources: Resources, chat_id: str, whose: Whose) -> Session | None:
    session_id = await resources.catalog.of_chat(OWNER, chat_id, whose)
    return await resources.transcript.session(OWNER, session_id) if session_id else None
