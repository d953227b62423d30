"""GET and POST /emotional-rag.git: the address that SillyTavern's "Install extension" takes."""

from __future__ import annotations

import asyncio
import zlib

from fastapi import APIRouter, Request, Response

from graph.errors import BadRequest
from server.chat.body import read_body
from server.dependencies import OurResources
from server.sillytavern import repository

MAX_MB = 1
SERVICE = "git-upload-pack"
"""The one service there is: the repository is read, not written."""

router = APIRouter(prefix="/emotional-rag.git")


@router.get("/info/refs")
async def refs(resources: OurResources, service: str = "") -> Response:
    """What there is to fetch, in git's smart protocol."""
    if service != SERVICE:
        raise BadRequest("This is a git repository to clone or fetch from, over git's smart protocol.")
    told = await asyncio.to_thread(repository.advertisement, resources.settings.db_path)
    return _answer(told, "advertisement")


@router.post(f"/{SERVICE}")
async def upload_pack(request: Request, resources: OurResources) -> Response:
    """What a client fetches."""
    body = await read_body(request, MAX_MB)
    asked = _unzipped(body) if request.headers.get("content-encoding") == "gzip" else body
    sent = await asyncio.to_thread(repository.pack, resources.settings.db_path, asked)
    return _answer(sent, "result")


def _answer(content: bytes, what: str) -> Response:
    kind = f"application/x-{SERVICE}-{what}"
    return Response(content, media_type=kind, headers={"cache-control": "no-cache"})


def _unzipped(body: bytes) -> bytes:
    try:
        return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(body, MAX_MB * 1024 * 1024)
    except zlib.error as error:
        raise BadRequest(f"The body is not gzip: {error}") from error
