"""Which session a name in a URL or a command means: a chat's id, or else a session's own."""

from __future__ import annotations

from typing import Protocol

from graph.errors import NotFound
from memory.catalog import Catalog
from memory.files import safe_name
from memory.stored import Message, Session
from memory.transcript import Transcript
from memory.whose import Whose
from server.owner import OWNER

PAGE = 1000


class Chats(Protocol):
    """The stored chats, and where they are found."""

    @property
    def catalog(self) -> Catalog: ...

    @property
    def transcript(self) -> Transcript: ...


async def find(chats: Chats, name: str) -> Session | None:
    """The session of this chat id (of several the one used last), else of this session id, else of CHARACTER/CHAT
    (an avatar means one chat, of a name's the one used last), else the one that was imported under this name and
    has another id since; nothing has an empty one."""
    if not name:
        return None
    session_id = await chats.catalog.of_chat(OWNER, name)
    found = await chats.transcript.session(OWNER, session_id or name)
    found = found or await _of_character(chats, name)
    return found or await chats.transcript.session(OWNER, safe_name(name))


async def _of_character(chats: Chats, name: str) -> Session | None:
    """The session that CHARACTER/CHAT or AVATAR/CHAT names; either part may hold a slash."""
    for chat_id in chats_in(name):
        who = name.removesuffix(f"/{chat_id}")
        for whose in (Whose(avatar=who), Whose(who)):
            found = await of_chat(chats, chat_id, whose)
            if found is not None and who == (found.avatar if whose.avatar else found.character):
                return found
    return None


def chats_in(name: str) -> list[str]:
    """What may be the chat's id in CHARACTER/CHAT."""
    return [name[at + 1 :] for at, letter in enumerate(name) if letter == "/" and at]


async def of_chat(chats: Chats, chat_id: str, whose: Whose) -> Session | None:
    """The session that a chat's id means."""
    session_id = await chats.catalog.of_chat(OWNER, chat_id, whose)
    return await chats.transcript.session(OWNER, session_id) if session_id else None


async def named(chats: Chats, name: str) -> Session:
    """The same; raises NotFound where there is none."""
    found = await find(chats, name)
    if found is None:
        raise NotFound(f"There is no session {name!r}.")
    return found


async def everything(chats: Chats) -> list[Session]:
    """Every session, most recently used first."""
    found: list[Session] = []
    while True:
        page = await chats.transcript.sessions(OWNER, limit=PAGE, offset=len(found))
        found += page.sessions
        if not page.sessions or len(found) >= page.total:
            return found


async def to_export(chats: Chats, names: list[str] | None) -> list[Session]:
    """These sessions, or all in the order in which they are exported; raises NotFound."""
    if names is None:
        found = await everything(chats)
        return sorted(found, key=lambda s: (s.key.tree_id, s.created_at, s.session_id))
    return [await named(chats, name) for name in names]


def said(message: Message) -> str:
    """A message without the speaker's name that front-ends write before it in groups."""
    name, text = message.speaker, message.text.lstrip()
    rest = text[len(name) + 1 :].removeprefix(" ") if name and text.startswith(f"{name}:") else ""
    return rest if rest.strip() else message.text
