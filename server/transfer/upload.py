"""Takes an upload as it streams in: the body itself, or the file of a multipart form, into a spool file."""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import Message
from typing import BinaryIO

from fastapi import Request

from graph.errors import BadRequest

MAX_BODY = 2 * 2**30
"""Bytes of one upload."""
IN_MEMORY = 2**20
LONGEST_PART_HEAD = 16 * 2**10


@asynccontextmanager
async def received(request: Request) -> AsyncIterator[tuple[BinaryIO, str]]:
    """The uploaded file, at its beginning, and its name where the form says one.

    Raises BadRequest for a body that is too large, or a form without a file.
    """
    boundary = _boundary(request.headers.get("content-type", ""))
    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY) as spool:
        part = FilePart(boundary) if boundary else None
        size = 0
        async for chunk in request.stream():
            size += len(chunk)
            if size > MAX_BODY:
                raise BadRequest(f"The upload is larger than {MAX_BODY // 2**30} GiB.")
            data = part.feed(chunk) if part else chunk
            await asyncio.to_thread(spool.write, data)
        if part is not None and not part.complete:
            raise BadRequest("The form holds no file, or was cut off.")
        spool.seek(0)
        yield spool, part.name if part else ""  # type: ignore[misc]


def _boundary(content_type: str) -> bytes:
    head = Message()
    head["content-type"] = content_type
    if head.get_content_type() != "multipart/form-data":
        return b""
    boundary = head.get_boundary() or ""
    if not boundary or len(boundary) > 200:
        raise BadRequest("The form's Content-Type names no boundary.")
    return boundary.encode(errors="replace")


class FilePart:
    """Finds the first part with a file name in a multipart body that comes in pieces (RFC 7578)."""

    def __init__(self, boundary: bytes) -> None:
        self._delimiter = b"\r\n--" + boundary
        self._held = b"\r\n"
        self._inside = False
        self.name = ""
        self.complete = False

    def feed(self, chunk: bytes) -> bytes:
        """The next bytes of the file's content."""
        self._held += chunk
        while not self.complete and not self._inside:
            if not self._next_part():
                return b""
        return b"" if self.complete else self._content()

    def _content(self) -> bytes:
        end = self._held.find(self._delimiter)
        if end >= 0:
            self.complete = True
            return self._held[:end]
        keep = min(len(self._held), len(self._delimiter) - 1)
        content, self._held = self._held[: len(self._held) - keep], self._held[len(self._held) - keep :]
        return content

    def _next_part(self) -> bool:
        """Read the head of the next part; False until it is there."""
        start = self._held.find(self._delimiter)
        if start < 0:
            self._held = self._held[-len(self._delimiter) :]
            return False
        end = self._held.find(b"\r\n\r\n", start + len(self._delimiter))
        if end < 0:
            if len(self._held) - start > LONGEST_PART_HEAD:
                raise BadRequest("The form cannot be read.")
            self._held = self._held[start:]
            return False
        head = self._held[start + len(self._delimiter) : end].decode("utf-8", "replace")
        self._held = self._held[end + 2 :]
        named = re.search(r'filename="((?:[^"\\]|\\.)*)"', head)
        if named is not None:
            self._inside, self.name = True, named[1]
            self._held = self._held[2:]
        return True
