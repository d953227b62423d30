"""Which chat an imported one branched off, by what files tell of it and by what was said first."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace

from graph.resources import Resources
from memory.assignment import Assignment
from memory.files import safe_name
from memory.path import Path
from memory.stored import Session
from memory.transcript import Transcript
from memory.whose import Whose
from server.dependencies import OWNER
from server.transfer.chat_file import ChatFile


def whose_of_file(chat: ChatFile) -> Whose:
    return Whose(chat.character, chat.is_group, chat.avatar)


def ids_of(chat: ChatFile, name: str) -> list[str]:
    """What a session of a chat's name may be called (`memory.assign`), most likely first."""
    told = [who for who in (chat.character, chat.avatar) if who]
    return [safe_name(name), *(safe_name(f"{who}/{name}") for who in told)] if name else []


async def origin_of(resources: Resources, chat: ChatFile, found: Assignment) -> tuple[str, Session | None]:
    """The session that a chat branched off, and one that turns out to be its branch, or none.

    SillyTavern names the main chat in the branch's file; an origin that is not stored yet is named by the id
    that it will have. Where no file tells, the chat that went its own way first is the origin.
    """
    lines = {line.session_id: line for line in await resources.transcript.lines(found.key)}
    own, base = found.session_id, lines.get(found.forked_from)
    main = _of_name(lines.values(), chat)
    if main is not None and main.session_id != own:
        turned = main.forked_from == own
        return main.session_id, replace(main, forked_from="") if turned else None
    if chat.main_chat and main is None:
        return await _id_to_come(resources.transcript, chat), None
    if base is None:
        origin = found.session.forked_from if found.session else ""
        return "" if origin in ids_of(chat, chat.chat_id) else origin, None
    while base.forked_from != own:
        if not await _went_first(resources.transcript, chat, found, base):
            return base.session_id, None
        if base.forked_from not in lines:
            return "", None if base.forked_from else replace(base, forked_from=own)
        base = lines[base.forked_from]
    return "", None


def _of_name(lines: Iterable[Session], chat: ChatFile) -> Session | None:
    """The session of a chat's main chat among those of its tree, rather than that of another character's copy."""
    name, made = chat.main_chat, ids_of(chat, chat.main_chat)
    found = [s for s in lines if name and (s.chat_id == name or s.session_id in made)]
    return min(found, key=lambda s: not whose_of_file(chat).may_have(s), default=None)


async def _id_to_come(transcript: Transcript, chat: ChatFile) -> str:
    """The id that the session of a chat's main chat will have; another character's may have the first."""
    made = ids_of(chat, chat.main_chat)
    free = [one for one in made if await transcript.session(OWNER, one) is None]
    return next(iter(free), made[-1])


async def _went_first(transcript: Transcript, chat: ChatFile, found: Assignment, other: Session) -> bool:
    """Whether a chat said something of its own before the other one did."""
    row, gone = await asyncio.to_thread(_parting, found.alignment.rows, other.path)
    if row is None or gone is None:
        return False
    [message] = await transcript.messages(found.key, [gone])
    return 0 < chat.shown[row].created_at < message.created_at


def _parting(rows: Sequence[int | None], path: Path) -> tuple[int | None, int | None]:
    """The first row that is not on a path, and the first message of the path that is no row, from the first
    one on that both have."""
    begin = next((n for n, i in enumerate(rows) if i is not None and i in path), len(rows))
    row = next((n for n, i in enumerate(rows) if n > begin and (i is None or i not in path)), None)
    common = {i for i in rows if i is not None}
    later = iter(path)
    next((i for i in later if i in common), None)
    return row, next((i for i in later if i not in common), None)
