"""Retrieve: what of the path, from before the prompt's history, bears on the newest message."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from langgraph.runtime import Runtime

from graph.context import TurnContext
from graph.state import TurnState
from nodes.asking import looks_for_memory
from nodes.history import HistoryStart
from nodes.looking import Looking
from nodes.sight import Sight


@dataclass(frozen=True)
class Retrieve:
    """The first stage: every message by its words and its vector, and the best of them as candidates."""

    starts: HistoryStart
    looking: Looking

    async def __call__(self, state: TurnState, runtime: Runtime[TurnContext]) -> dict[str, Any]:
        context = runtime.context or TurnContext()
        if not looks_for_memory(state, context):
            return {"history_from": await self.starts(state, context.owner)}
        begun = await self.looking.begun(state, context)
        looked = await self.looking.look(state, context, begun)
        found = [candidate for sight in looked.sights for candidate in candidates_of(sight)]
        return {"history_from": begun.start, "candidates": found}


def candidates_of(sight: Sight) -> Iterator[dict[str, Any]]:
    """The best of one path as state (Any: JSON), best first."""
    for row in sight.rows[np.argsort(-sight.first[sight.rows], kind="stable")].tolist():
        kind, ref = sight.ground.texts.name(int(sight.ground.at.ids[row]))
        yield {
            "kind": kind,
            "ref": ref,
            "score": round(float(sight.first[row]), 3),
            "similarity": None if np.isnan(sight.cosine[row]) else round(float(sight.cosine[row]), 4),
        } | sight.ground.origin
