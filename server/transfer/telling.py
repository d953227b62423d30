"""An import that tells how far it is: JSON lines as it goes, the last one its report or what went wrong."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any, BinaryIO

from graph.errors import EmotionalRagError
from graph.resources import Resources
from server.errors import body_of
from server.transfer.chat_file import About
from server.transfer.progress import Progress
from server.transfer.receive import import_file
from server.transfer.report import Report

log = logging.getLogger(__name__)
LOOK = 0.2
"""Seconds between looks at how far it is."""
_at_work: set[asyncio.Task[Report]] = set()
"""Imports under way: the event loop itself does not keep them."""


async def told(
    resources: Resources, file: BinaryIO, about: About, upload: AsyncExitStack
) -> AsyncIterator[bytes]:
    """The lines of an import that is brought to its end though its client leaves; then `upload` is closed."""
    progress = Progress()
    work = asyncio.create_task(_import(resources, file, about, progress, upload))
    _at_work.add(work)
    work.add_done_callback(_ended)
    seen = (0, 0)
    while not work.done():
        await asyncio.wait({work}, timeout=LOOK)
        now = (progress.read, progress.stored)
        if now != seen and not work.done():
            seen = now
            yield _line({"object": "import.progress", "read": now[0], "stored": now[1]})
    error = work.exception()
    yield _line(work.result().model_dump() if error is None else dict(body_of(error)))


async def _import(
    resources: Resources, file: BinaryIO, about: About, progress: Progress, upload: AsyncExitStack
) -> Report:
    async with upload:
        return await import_file(resources, file, about, progress)


def _ended(work: asyncio.Task[Report]) -> None:
    _at_work.discard(work)
    error = None if work.cancelled() else work.exception()
    if error is not None and not isinstance(error, EmotionalRagError):
        log.error("an import failed", exc_info=error)


def _line(content: dict[str, Any]) -> bytes:  # Any: JSON
    return json.dumps(content).encode() + b"\n"
