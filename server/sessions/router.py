"""GET|DELETE /v1/sessions, a session's messages, and the events of its chat."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response

from server.dependencies import OWNER, OurResources
from server.sessions import events, lookup, removal, whole_chat
from server.sessions.protocol import (
    ChatEvent,
    EventsTaken,
    EventTaken,
    MessageList,
    SessionDeleted,
    SessionList,
    SessionObject,
    message_object,
    session_object,
)

router = APIRouter(prefix="/v1/sessions")
Limit = Annotated[int, Query(ge=1, le=1000)]
Offset = Annotated[int, Query(ge=0, le=2**31)]
Origin = Annotated[str, Header()]
_TAKE = {"chat_renamed": whole_chat.renamed, "chat_deleted": whole_chat.deleted}


@router.get("")
async def list_sessions(
    resources: OurResources, limit: Limit = 100, offset: Offset = 0, chat_id: str = ""
) -> SessionList:
    """Sessions, most recently used first; with `chat_id` the one session of that chat."""
    if chat_id:
        found = await lookup.find(resources, chat_id)
        only = [found] if found and offset == 0 else []
        data = [session_object(session) for session in only]
        return SessionList(data=data, total=int(found is not None), has_more=False)
    page = await resources.transcript.sessions(OWNER, limit=limit, offset=offset)
    data = [session_object(session) for session in page.sessions]
    return SessionList(data=data, total=page.total, has_more=offset + len(data) < page.total)


@router.get("/{session_id:name}/messages")
async def messages(
    session_id: str, request: Request, resources: OurResources, limit: Limit = 100, offset: Offset = 0
) -> MessageList | SessionObject:
    """The chat as it stands now, oldest message first; a `/messages` written as %2F belongs to the id."""
    if request.scope["raw_path"].lower().endswith(b"%2fmessages"):
        return session_object(await lookup.named(resources, f"{session_id}/messages"))
    session = await lookup.named(resources, session_id)
    ids = session.path.slice(offset, offset + limit)
    found = await resources.transcript.messages(session.key, ids)
    data = [message_object(message) for message in found]
    return MessageList(data=data, total=len(session.path), has_more=offset + len(data) < len(session.path))


@router.options("/{session_id:name}/events")
async def events_from_pages(response: Response, origin: Origin = "") -> None:
    """The browser's question before a front-end's page may send events from another port."""
    response.headers.update(_readable_by(origin))
    response.headers["access-control-allow-methods"] = "GET, POST"
    response.headers["access-control-allow-headers"] = "content-type"
    response.headers["access-control-max-age"] = "600"


@router.get("/{session_id:name}/events")
async def takes_events(
    session_id: str, resources: OurResources, response: Response, origin: Origin = ""
) -> EventsTaken:
    """That this server takes events, and whether it has stored the chat."""
    response.headers.update(_readable_by(origin))
    return EventsTaken(known=await events.known(resources, session_id))


@router.post("/{session_id:name}/events")
async def take_event(
    session_id: str, event: ChatEvent, resources: OurResources, response: Response, origin: Origin = ""
) -> EventTaken:
    """Make memory what a front-end's chat shows or became; 202 where the chat is not stored (yet)."""
    taken = await _TAKE.get(event.type, events.take)(resources, session_id, event)
    response.status_code = 200 if taken.id else 202
    response.headers.update(_readable_by(origin))
    return taken


@router.get("/{session_id:name}")
async def session(session_id: str, resources: OurResources) -> SessionObject:
    """One session, by its chat's id or its own."""
    return session_object(await lookup.named(resources, session_id))


@router.delete("/{session_id:name}")
async def delete_session(session_id: str, resources: OurResources) -> SessionDeleted:
    """Remove a session from every tier, with the lines it left; waits for the turn under way."""
    session, messages = await removal.remove(resources, session_id)
    return SessionDeleted(id=session.session_id, messages=messages)


def _readable_by(origin: str) -> dict[str, str]:
    """Lets a page read the answer; only pages of this machine get here (`server.origin`)."""
    return {"access-control-allow-origin": origin, "vary": "origin"} if origin else {}
