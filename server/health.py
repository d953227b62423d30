"""GET /health: every part by name, and anything that runs on a fallback."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from graph.resources import Resources
from memory.token_codes import TokenCodes
from memory.vectors import VectorIndex
from server.dependencies import OWNER, OurResources, OurTurns
from server.version import versions

router = APIRouter()

COUNT_KEPT = 60.0
"""Seconds for which nothing is counted again: counting opens every chat's file."""
MOST_JOBS = 100_000
"""Jobs of one chat that are counted."""


@dataclass
class ItemCount:
    """How many items are derived from the chats, counted now and then."""

    index: VectorIndex | TokenCodes
    counted_at: float = float("-inf")
    items: int = 0

    async def now(self) -> int:
        if time.monotonic() - self.counted_at > COUNT_KEPT:
            self.items = await self.index.count()
            self.counted_at = time.monotonic()
        return self.items


@router.get("/health")
async def health(request: Request, resources: OurResources, turns: OurTurns) -> JSONResponse:
    """What runs here; `degraded` while something runs on a fallback."""
    fallbacks = [f"{kind}: {why}" for kind, why in resources.worker.failing.items()]
    counts = request.app.state
    vectors, codes = await counts.vector_count.now(), await counts.code_count.now()
    stored = (await resources.transcript.sessions(OWNER, limit=1)).total
    sessions = {"stored": stored, "active": turns.active_sessions(), "turns_under_way": len(turns.running)}
    return JSONResponse(
        {
            "status": "degraded" if fallbacks else "ok",
            "fallbacks": fallbacks,
            **_models(resources),
            "transcript": {"name": "sqlite", "path": str(resources.settings.db_path.resolve())},
            "vectors": {"name": resources.vectors.name, "items": vectors},
            "token_codes": {"messages": codes},
            "checkpointer": {"name": "sqlite", "turns_kept": resources.settings.checkpoint_turns},
            "worker": {"backlog": await backlog(resources)},
            "sessions": sessions,
            "versions": versions(),
        }
    )


def _models(resources: Resources) -> dict[str, Any]:
    """The learned models (Any: JSON)."""
    chat, embedder, reranker = resources.chat, resources.embedder, resources.reranker
    return {
        "model": {"provider": chat.provider, "name": chat.name, "context_tokens": chat.context_tokens},
        "embedder": {"name": embedder.name, "dimension": embedder.dimension},
        "emotion": {"name": resources.emotion.name},
        "reranker": {"name": reranker.name} if reranker else None,
        "counter": {"name": resources.counter.name},
    }


async def backlog(resources: Resources) -> int:
    """How many jobs wait in the outboxes, those that failed and wait longer among them."""
    transcript = resources.transcript
    keys = await transcript.trees_with_jobs()
    waiting = [await transcript.jobs(key, limit=MOST_JOBS, now=math.inf) for key in keys]
    return sum(map(len, waiting))
