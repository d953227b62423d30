"""POST /v1/sessions/{id}/events: a front-end tells what its chat shows now, between two requests."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass

from graph.errors import BadRequest
from graph.resources import Resources
from memory.align import Alignment, align
from memory.assignment import Assignment, Request, is_new_id
from memory.files import safe_name
from memory.incoming import ROLES, Incoming, leading, row_of, text_of
from memory.names import as_stored
from memory.path import Path, Ranges, encode
from memory.settled import Told, renamed_by, settled_by, told_speakers
from memory.stored import Committed, NewMessage, Session, Settled, TurnWrite
from memory.transcript import TreeView
from server.dependencies import OWNER
from server.sessions import lookup
from server.sessions.protocol import ChatEvent, EventTaken
from server.sillytavern import word_of

NEWEST = 20
"""How many messages working memory is handed; it keeps as many of them as it is set to."""


@dataclass(frozen=True, slots=True)
class _Shown:
    """What the chat shows, beside what is stored."""

    base: Session
    """The session that goes on, or the one a branch leaves."""
    alignment: Alignment
    path: Ranges
    """Every row of the window and nothing else; a negative entry -i-1 is row i, not stored yet."""
    settled: list[Settled]
    """Messages that requests brought with text that may have been glued on: the chat shows them as they are."""
    told: Told
    """Messages whose speaker's name the chat tells as it is."""


async def take(resources: Resources, name: str, event: ChatEvent) -> EventTaken:
    """Make a chat's path what the event shows, under its session's lock.

    The chat is shown whole: what is missing is hidden or deleted, also at its beginning. A chat that was
    never answered has no session, and gets none by being looked at; a branch of a stored one does, but of
    another character's chat.
    """
    window = await asyncio.to_thread(_window, event)
    request = await _request(resources, name, window, event)
    async with resources.sessions.turn(request) as assignment:
        shown = await _shown(resources, assignment, window, request)
        if shown is None or (assignment.session is None and _is_late(shown, name, event)):
            return EventTaken(type=event.type)
        known = assignment.session
        if known is not None and _is_stored(shown, known, request):
            return EventTaken(
                id=known.session_id, type=event.type, version=known.version, messages=len(known.path)
            )
        write = await asyncio.to_thread(_write, assignment, shown, request, event)
        committed = await resources.transcript.commit(write)
        await _warm(resources, assignment, committed)
    resources.worker.wake(assignment.key)
    return EventTaken(
        id=assignment.session_id,
        type=event.type,
        changed=True,
        version=committed.version,
        messages=len(committed.path),
    )


async def known(resources: Resources, name: str) -> bool:
    """Whether a chat or session of this name is stored."""
    return await lookup.find(resources, name) is not None


def _window(event: ChatEvent) -> list[Incoming]:
    """The chat's messages one by one: here nothing is merged or glued on, as in a prompt it may be."""
    messages = event.messages or []
    said = (message.name or "" for message in messages)
    names = list(filter(None, dict.fromkeys([event.character, event.user_name, *said])))
    return [
        row_of(
            message.role,
            message.name or "",
            text,
            leading(message.role, names, event.user_name, event.character),
            index,
        )
        for index, message in enumerate(messages)
        if message.role in ROLES and (text := text_of(message.content)).strip()
    ]


def _is_stored(shown: _Shown, known: Session, request: Request) -> bool:
    unchanged = shown.path == known.path.ranges and not shown.settled and not any(shown.told)
    named = request.chat_id in ("", known.chat_id) and request.whose.avatar in ("", known.avatar)
    return unchanged and named


def _is_late(shown: _Shown, name: str, event: ChatEvent) -> bool:
    """Whether a name that no chat has is the former one of a chat that was renamed meanwhile: it shows the chat
    as it is, or of the chat that began under the name nothing else. A branch is opened before anything happens in it,
    and one that is taken for this is stored with its first turn."""
    is_whole = shown.path == shown.base.path.ranges
    is_of_it = all(i in shown.base.path for i in shown.alignment.rows)
    began_so = shown.base.session_id == safe_name(name)
    return (is_whole and event.type != "open") or (is_of_it and began_so)


async def _request(resources: Resources, name: str, window: list[Incoming], event: ChatEvent) -> Request:
    """By the chat's id; a session that no chat id names is known by its own, or as CHARACTER/CHAT."""
    if not name.strip() or "{{" in name:
        raise BadRequest(f"{name!r} is no chat's id.", param="session_id")
    whose = event.whose
    if await resources.catalog.of_chat(OWNER, name) is None:
        session = await lookup.find(resources, name)
        if session is not None and whose.may_have(session) and _is_known_by(session, name):
            return Request(OWNER, window, session_id=session.session_id)
    exact = word_of(name) == event.chat_file
    return Request(OWNER, window, chat_id=name, character=event.character, whose=whose, exact=exact)


def _is_known_by(session: Session, name: str) -> bool:
    """Whether a name that is no chat's means a session. One that began under it and has another now does not
    go on under it: a new chat may have it."""
    return not session.chat_id or is_new_id(name) or safe_name(name) != session.session_id


async def _shown(
    resources: Resources, assignment: Assignment, window: list[Incoming], request: Request
) -> _Shown | None:
    base = assignment.session
    if base is None and assignment.forked_from:
        origin = await resources.transcript.session(OWNER, assignment.forked_from)
        base = origin if origin and request.whose.may_have(origin) else None
    if base is None:
        return None
    tree = await resources.transcript.tree(assignment.key)
    return await asyncio.to_thread(_shown_beside, base, window, tree, request)


def _shown_beside(base: Session, window: list[Incoming], tree: TreeView, request: Request) -> _Shown:
    """The same of a session, as its tree tells it: a chat may be long, and comparing takes seconds."""
    read = [as_stored(row, tree) for row in window]
    alignment = align(read, base.path, tree, pinned=False, continues=False)
    path = encode(-row - 1 if known is None else known for row, known in enumerate(alignment.rows))
    told = Told(renamed_by(alignment, tree, base.user_name))
    if request.exact:
        told = told_speakers(alignment, tree, {row.index: row.speaker for row in window})
    return _Shown(base, alignment, path, settled_by(alignment, tree), told)


def _write(assignment: Assignment, shown: _Shown, request: Request, event: ChatEvent) -> TurnWrite:
    rows = [row for row, known in enumerate(shown.alignment.rows) if known is None]
    numbers = {row: n for n, row in enumerate(rows)}
    return TurnWrite(
        key=assignment.key,
        session_id=assignment.session_id,
        turn_id=uuid.uuid4().hex,
        path=[[-numbers[-a - 1] - 1] * 2 if a < 0 else [a, b] for a, b in shown.path],
        new=[_message(shown.alignment.window[row], shown.base) for row in rows],
        replies=(),
        chat_id=request.chat_id,
        character=event.character or shown.base.character,
        user_name=event.user_name or shown.base.user_name,
        is_group=event.is_group or shown.base.is_group,
        avatar=event.whose.avatar,
        forked_from=assignment.forked_from,
        settled=shown.settled,
        renamed=shown.told.renamed,
        respoken=shown.told.respoken,
        glue=shown.alignment.glue,
    )


def _message(said: Incoming, base: Session) -> NewMessage:
    speaker = said.speaker or (base.user_name if said.role == "user" else base.character)
    return NewMessage(said.role, speaker, said.text, said.fingerprint)


async def _warm(resources: Resources, assignment: Assignment, committed: Committed) -> None:
    """Working memory holds the newest messages of the path as it is now."""
    path: Path = committed.path
    newest = await resources.transcript.messages(assignment.key, path.slice(len(path) - NEWEST))
    await resources.working.put(OWNER, assignment.session_id, committed.version, newest)
