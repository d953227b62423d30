"""Which session a name in a URL means: a chat's id, or else a session's own."""

from __future__ import annotations

from graph.errors import NotFound
from graph.resources import Resources
from memory.transcript import Session
from server.dependencies import OWNER


async def find(resources: Resources, name: str) -> Session | None:
    """The session of this chat id, else of this session id; nothing has an empty one."""
    if not name:
        return None
    session_id = await resources.catalog.of_chat(OWNER, name)
    return await resources.transcript.session(OWNER, session_id or name)


async def named(resources: Resources, name: str) -> Session:
    """The same; raises NotFound where there is none."""
    found = await find(resources, name)
    if found is None:
        raise NotFound(f"There is no session {name!r}.")
    return found
