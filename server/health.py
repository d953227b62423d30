"""GET /health: every part by name, and anything that runs on a fallback."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from graph.resources import Resources
from memory.vectors import VectorIndex
from server.chat.serving import Turns
from server.dependencies import OWNER, OurResources, OurTurns, OurVectorCount
from server.version import versions

router = APIRouter()

COUNT_KEPT = 60.0
"""Seconds for which the number of vectors is not counted again: counting opens every chat's file."""


@dataclass
class VectorCount:
    """How many items are indexed, counted now and then."""

    index: VectorIndex
    counted_at: float = float("-inf")
    items: int = 0

    async def now(self) -> int:
        if time.monotonic() - self.counted_at > COUNT_KEPT:
            self.items = await self.index.count()
            self.counted_at = time.monotonic()
        return self.items


@router.get("/health")
async def health(resources: OurResources, turns: OurTurns) -> JSONResponse:
    """What runs here; `degraded` while something runs on a fallback."""
    fallbacks = await _fallbacks(resources)
    status = {"status": "degraded" if fallbacks else "ok", "fallbacks": fallbacks}
    return JSONResponse(status | await _parts(resources, turns))
