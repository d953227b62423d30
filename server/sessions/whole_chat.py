"""What happens to a chat as a whole: it, or its character, is another name from now on, or it is deleted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import NamedTuple

from graph.errors import BadRequest
from graph.resources import Resources
from memory.bulk import BulkWrite, SessionLine, line_of
from memory.stored import Session
from memory.whose import Whose, has_id_of, whose_of
from server.dependencies import OWNER
from server.sessions import removal
from server.sessions.lookup import of_chat
from server.sessions.protocol import ChatEvent, EventTaken


async def renamed(resources: Resources, name: str, event: ChatEvent) -> EventTaken:
    """Give a chat's session, and the lines that had its id, the chat's new name, or its character's, once no turn of it
    is under way, its first one included.

    What the chat showed under its new name before this was told is a branch of it: the two become one. Another chat
    that has the name is left behind: a front-end has one file of a name.
    """
    if not event.new_chat_id and not event.new_character:
        raise BadRequest("new_chat_id or new_character must say what the name is now.", param="new_chat_id")
    if await of_chat(resources, name, event.whose) is None:
        await resources.sessions.begun(OWNER, [name])
    async with _held(resources, name, event) as (session, twin, left, other):
        if session is None:
            return EventTaken(type=event.type)
        shown = twin or session
        as_shown = replace(session, path=shown.path, updated_at=shown.updated_at)
        lines = [_called(line, event) for line in (as_shown, *left)]
        await resources.transcript.absorb(BulkWrite(session.key, lines, []))
        await asyncio.to_thread(_keep_its_books, resources, session, event)
        if twin is not None:
            await removal.erase(resources, [twin])
        if other is not None:
            await resources.transcript.leave_behind(OWNER, other.session_id)
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
    session = await removal.remove_chat(resources, name, event.whose, event.may_be_about)
    if session is None:
        return EventTaken(type=event.type)
    return EventTaken(id=session.session_id, type=event.type, changed=True, version=session.version)


def _keep_its_books(resources: Resources, session: Session, event: ChatEvent) -> None:
    """Bind the chat's lorebooks to its new name."""
    now = _called(session, event)
    whose = Whose(now.character, now.is_group, now.avatar or "")
    resources.library.rename_chat(OWNER, session.chat_id, whose_of(session), now.chat_id, whose)


def _called(line: Session, event: ChatEvent) -> SessionLine:
    """A line under the name that it has from now on."""
    chat_id, character = event.new_chat_id or line.chat_id, event.new_character or line.character
    known = "" if event.new_character or line.is_group else line.avatar
    avatar = event.now_whose.avatar or known
    return replace(line_of(line), chat_id=chat_id, character=character, avatar=avatar)


class _Lines(NamedTuple):
    """What has to do with a chat that is renamed."""

    session: Session | None
    twin: Session | None
    """The branch of it that has the name which the chat is given."""
    left: Sequence[Session]
    """What had the chat's id before."""
    other: Session | None = None
    """Another chat that has the name which the chat is given."""


@asynccontextmanager
async def _held(resources: Resources, name: str, event: ChatEvent) -> AsyncIterator[_Lines]:
    """The chat's lines as they are, under the locks of all."""
    while True:
        found = await _lines(resources, name, event)
        all_lines = [
            line for line in (found.session, found.twin, *found.left, found.other) if line is not None
        ]
        async with AsyncExitStack() as locks:
            for session_id in sorted(line.session_id for line in all_lines):
                await locks.enter_async_context(resources.sessions.locked(OWNER, session_id))
            if await _lines(resources, name, event) == found:
                yield found
                return


async def _lines(resources: Resources, name: str, event: ChatEvent) -> _Lines:
    session = await of_chat(resources, name, event.whose)
    twin = await of_chat(resources, event.new_chat_id or name, event.now_whose)
    if session is None or not event.may_be_about(session):
        return _Lines(None, None, [])
    is_branch = twin is not None and twin.forked_from == session.session_id
    lines = await resources.transcript.lines(session.key)
    left = [line for line in lines if line != session and has_id_of(line, session)]
    if twin is None or is_branch:
        return _Lines(session, twin, left)
    has_name = bool(event.new_chat_id) and twin != session and twin.is_group == session.is_group
    is_other = (
        has_name and not twin.left_behind and event.now_whose.may_have(twin) and event.may_be_about(twin)
    )
    return _Lines(session, None, left, twin if is_other else None)
