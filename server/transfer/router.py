"""POST /v1/import, GET /v1/export and GET /v1/sessions/{id}/export."""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Annotated, BinaryIO

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse

from graph.resources import Resources
from memory.stored import Session
from server.dependencies import OurResources
from server.sessions.lookup import named, to_export
from server.transfer.chat_file import About
from server.transfer.export import write_export
from server.transfer.progress import Progress
from server.transfer.receive import import_file
from server.transfer.report import Report
from server.transfer.telling import told
from server.transfer.upload import received

BLOCK = 2**18
IN_MEMORY = 2**22

router = APIRouter()


@router.post("/v1/import", response_model=Report)
async def import_upload(
    request: Request,
    resources: OurResources,
    name: Annotated[str, Query(max_length=1000)] = "",
    group: bool = False,
    modified_at: Annotated[float, Query(ge=0, allow_inf_nan=False)] = 0.0,
    progress: bool = False,
) -> Report | StreamingResponse:
    """Take in one file: a chat, card, lorebook, export, or a ZIP archive of these.

    `name` is the file's name (a chat's id stands before its ending), `group` says that it lay among group
    chats, `modified_at` dates messages without a date. With `progress` the answer is JSON lines that tell how
    far it is, the report last.
    """
    async with AsyncExitStack() as upload:
        file, form_name = await upload.enter_async_context(received(request))
        about = About(name or form_name, group, modified_at)
        if not progress:
            return await import_file(resources, file, about, Progress())
        lines = told(resources, file, about, upload.pop_all())
        return StreamingResponse(lines, media_type="application/x-ndjson")


@router.get("/v1/export")
async def export(
    resources: OurResources, session: Annotated[list[str] | None, Query()] = None
) -> StreamingResponse:
    """These sessions, or all, as JSON lines."""
    return await _exported(resources, await to_export(resources, session), "emotional-rag")


@router.get("/v1/sessions/{session_id:name}/export")
async def export_session(session_id: str, resources: OurResources) -> StreamingResponse:
    """Everything about a session as JSON lines."""
    found = await named(resources, session_id)
    return await _exported(resources, [found], found.session_id)


async def _exported(resources: Resources, sessions: list[Session], name: str) -> StreamingResponse:
    """Written to the end before the first byte leaves, so that a slow reader holds up nothing."""
    spool = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)
    try:
        await write_export(resources.transcript, sessions, spool)  # type: ignore[arg-type]
        spool.seek(0)
    except BaseException:
        spool.close()
        raise
    file_name = re.sub(r"[^A-Za-z0-9._-]+", "_", name)[:80].strip("._") or "session"
    headers = {"content-disposition": f'attachment; filename="{file_name}.jsonl"'}
    return StreamingResponse(_blocks(spool), media_type="application/x-ndjson", headers=headers)  # type: ignore[arg-type]


async def _blocks(file: BinaryIO) -> AsyncIterator[bytes]:
    with file:
        while block := await asyncio.to_thread(file.read, BLOCK):
            yield block
