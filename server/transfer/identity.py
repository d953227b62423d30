"""Which session a chat file is, and which chat it branched off.

A file is known by its name (the id of the chat in SillyTavern), by the id under which its chat went on live
without our extension (it stands among the chat's variables, and branches inherit it), or by what was said.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace

from graph.resources import Resources
from memory.assignment import Assignment, Request
from memory.candidates import may_be_first
from memory.files import safe_name
from memory.places import merged_rows
from memory.stored import Session
from memory.transcript import Transcript
from server.dependencies import OWNER
from server.transfer.chat_file import ChatFile, is_made_id
from server.transfer.origins import ids_of, origin_of, whose_of_file

USERS_OF_A_BRANCH = 2
"""So many of the user's messages on either side of where two lines part are more than an edit."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a chat is to be stored."""

    found: Assignment
    chat_id: str
    forked_from: str = ""
    turned: Session | None = None
    """Another session, as it is to be: its origin turned out to be another one, or it was this chat before."""
    is_older: bool = False
    """The file was written before the chat's first live turn."""


@asynccontextmanager
async def placed(resources: Resources, chat: ChatFile) -> AsyncIterator[Place]:
    """A chat's place, under the locks of the sessions that change (always taken in the same order).

    The work is done beside the event loop, for a chat may be long; it is looked up again when a session
    changed while the locks were awaited. A chat that is new waits for a request that begins it.
    """
    transcript = resources.transcript
    begun = Request(OWNER, [line.said for line in chat.shown])
    while True:
        place = await _place(resources, chat)
        async with AsyncExitStack() as locks:
            if place.found.session is None:
                await locks.enter_async_context(resources.sessions.beginning(begun))
                place = await _place(resources, chat)
            own, turned = place.found.session_id, place.turned
            known = {own: place.found.session} | ({turned.session_id: turned} if turned else {})
            for name in sorted(known):
                await locks.enter_async_context(resources.sessions.locked(OWNER, name))
            now = {name: await transcript.session(OWNER, name) for name in known}
            if all(_version(now[name]) == _version(session) for name, session in known.items()):
                yield place
                return


def _version(session: Session | None) -> int:
    return 0 if session is None else session.version


async def _place(resources: Resources, chat: ChatFile) -> Place:
    place = await _found(resources, chat)
    session = place.found.session
    origin, turned = await origin_of(resources, chat, place.found)
    chat_id = session.chat_id or place.chat_id if session else place.chat_id
    return replace(place, chat_id=chat_id, forked_from=origin, turned=place.turned or turned)


async def _found(resources: Resources, chat: ChatFile) -> Place:
    """The chat's session, and the id that it gets where it has none."""
    name = "" if "{{" in chat.chat_id else chat.chat_id
    named = await resources.catalog.of_chat(OWNER, name, whose_of_file(chat))
    if named is None:
        known = await _known_otherwise(resources, chat, name)
        if known is not None:
            return Place(known, name)
    elif (went_on := await _live_since(resources, chat, named)) is not None:
        return went_on
    found = await _assigned(resources, chat, chat_id=name)
    if (apart := await _live_apart(resources, chat, found)) is not None:
        return apart
    if (
        found.session is not None
        and not found.alignment.matched
        and found.session.character != chat.character
    ):
        shared = f"{chat.character}/{name}"
        return Place(await _assigned(resources, chat, chat_id=shared), shared)
    base = await resources.transcript.session(OWNER, found.forked_from) if found.forked_from else None
    if base is not None and _is_before(chat, found, base):
        found = await _assigned(resources, chat, session_id=base.session_id)
        return Place(found, name, is_older=bool(base.chat_id))
    return Place(found, chat.live_id or name)


def _is_before(chat: ChatFile, found: Assignment, live: Session) -> bool:
    """Whether a chat is what a live one was before: a file with a name of its own that no branch has, and a session
    whose id is no other file's name.

    The chat went on with an edit, or with more; it is another line where more of the user's messages were replaced
    than an edit does. What README's YAML made an id for has it in its file since its first turn.
    """
    if chat.main_chat or not live.was_live or live.left_behind or not whose_of_file(chat).may_have(live):
        return False
    if live.forked_from in ids_of(chat, chat.chat_id):
        return False
    if live.chat_id and (chat.live_id or not is_made_id(live.chat_id)):
        return False
    rows = found.alignment.rows
    parted = max((n for n, i in enumerate(rows) if i in live.path), default=-1)
    users = sum(row.role == "user" for row in found.alignment.window[parted + 1 :])
    came = found.alignment.left_users
    return not users or (users < USERS_OF_A_BRANCH and users <= came <= users + 1)


async def _live_since(resources: Resources, chat: ChatFile, name: str) -> Place | None:
    """Where a chat went on live with an id of its own, which stands in its file, since it was imported: the line that
    has it, while what was imported is left behind."""
    imported = await resources.transcript.session(OWNER, name)
    if imported is None or imported.was_live or chat.live_id in ("", imported.chat_id):
        return None
    found = await _assigned(resources, chat, chat_id=chat.live_id)
    live = found.session
    if live is None or not live.was_live:
        return None
    if not await _is_live_one(resources.transcript, found, chat, imported=name):
        return None
    return Place(found, chat.live_id, turned=replace(imported, chat_id=chat.live_id, left_behind=True))


async def _live_apart(resources: Resources, chat: ChatFile, found: Assignment) -> Place | None:
    """Where a chat went on without an id while a branch of it had its session: a line that the file shows whole. What
    the branch left in that session is the branch's once its file tells so."""
    named, shown = found.session, set(found.alignment.rows)
    if named is None or not named.chat_id or not found.alignment.left:
        return None
    for line in await resources.transcript.lines(found.key):
        is_live = line.was_live and not line.left_behind and not line.chat_id
        is_other = line.session_id != named.session_id and whose_of_file(chat).may_have(line)
        if is_live and is_other and all(i in shown for i in line.path):
            live = await _assigned(resources, chat, session_id=line.session_id)
            return Place(live, named.chat_id, turned=replace(named, left_behind=True))
    return None


async def _known_otherwise(resources: Resources, chat: ChatFile, name: str) -> Assignment | None:
    """The session that was made of this file before, or in which its chat went on live.

    SillyTavern names the main chat in a branch's file: one that names none is the chat that made the id itself.
    """
    made = await _made_of(resources, chat, name)
    if made is None:
        return await _gone_on_live(resources, chat)
    gave_way = made.left_behind and not made.was_live
    was_taken = bool(chat.live_id) and made.chat_id not in ("", name, chat.live_id)
    if gave_way or was_taken:
        live = await _gone_on_live(resources, chat, imported=made.session_id if was_taken else "")
        if live is not None:
            return live
    found = await _assigned(resources, chat, session_id=made.session_id)
    is_first = whose_of_file(chat).is_first_of(made)
    is_its = may_be_first(found.alignment) if is_first else found.alignment.matched
    return found if is_its else None


async def _gone_on_live(resources: Resources, chat: ChatFile, *, imported: str = "") -> Assignment | None:
    """The session in which a chat went on live under the id that stands in its file, also from the one that was
    `imported` from the file."""
    if not chat.live_id or not await resources.catalog.of_chat(OWNER, chat.live_id):
        return None
    found = await _assigned(resources, chat)
    if not await _is_live_one(resources.transcript, found, chat, imported=imported) and not chat.main_chat:
        found = await _assigned(resources, chat, chat_id=chat.live_id)
    return found if await _is_live_one(resources.transcript, found, chat, imported=imported) else None


async def _made_of(resources: Resources, chat: ChatFile, name: str) -> Session | None:
    """The session that has the id which this file's name and character gave."""
    for made in ids_of(chat, name):
        session = await resources.transcript.session(OWNER, made)
        if session is not None and whose_of_file(chat).may_have(session):
            return session
    return None


async def _is_live_one(
    transcript: Transcript, found: Assignment, chat: ChatFile, *, imported: str = ""
) -> bool:
    """Whether a chat is the very line that has its id, and not the origin of it or a branch.

    A branch shows no more than an edit of the line either. A chat that is none made the id itself, and is the line
    however much of its end was deleted; but one that ends with a reply that the line never had is the origin of the
    branch that has the id now, or a copy. Where memory knows no other line of it, the reply was edited, also where it
    has that reply of the same file, imported before. What went on from the session that was `imported` from its file
    before it had the id is no branch.
    """
    session, alignment = found.session, found.alignment
    if session is None or session.chat_id != chat.live_id or await _is_main_one(transcript, session, chat):
        return False
    if session.forked_from != imported and session.forked_from in ids_of(chat, chat.chat_id):
        return False
    if not alignment.left_users or alignment.matched == len(alignment.window):
        return True
    new = {n for n, i in enumerate(alignment.rows) if i not in session.path}
    new -= merged_rows(alignment.window, new, alignment.left, await transcript.tree(found.key))
    ends_anew = alignment.window[-1].role == "assistant" and len(alignment.rows) - 1 in new
    parted = max((n for n, i in enumerate(alignment.rows) if i in session.path), default=-1)
    users = sum(alignment.window[n].role == "user" for n in new if n > parted)
    is_newest = alignment.rows[-1] is None or alignment.rows[-1] > max(session.path)
    is_edited = is_newest and len(await transcript.lines(found.key)) == 1
    replaced = users if is_edited else max(users, alignment.left_users)
    return not chat.main_chat and not (ends_anew and replaced >= USERS_OF_A_BRANCH)


async def _is_main_one(transcript: Transcript, session: Session, chat: ChatFile) -> bool:
    """Whether a session is the chat's that another one branched off, and not the branch's, which took it before that
    chat went on live with an id of its own."""
    if session.session_id != safe_name(chat.main_chat):
        return False
    others = [line for line in await transcript.lines(session.key) if line.session_id != session.session_id]
    ids = {line.chat_id for line in others if line.was_live and line.forked_from in ("", session.session_id)}
    return not any(is_made_id(one) and one != chat.live_id for one in ids)


async def _assigned(
    resources: Resources, chat: ChatFile, *, session_id: str = "", chat_id: str = ""
) -> Assignment:
    """The session of these ids, in a loop of its own: comparing a long chat takes seconds."""
    window = [line.said for line in chat.shown]
    request = Request(
        OWNER,
        window,
        session_id=session_id,
        chat_id=chat_id,
        character=chat.character,
        whose=whose_of_file(chat),
        branch_of=chat.main_chat,
        is_file=True,
    )
    return await asyncio.to_thread(asyncio.run, resources.sessions.find(request))
