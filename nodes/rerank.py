"""Rerank: from many candidates to the few that may enter the prompt."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from langgraph.runtime import Runtime

from graph.context import TurnContext
from graph.state import TurnState
from memory.glue import certain_text
from memory.ranking.features import Floats
from memory.ranking.mood import MoodHead, congruence
from memory.ranking.ranker import explained, scores
from memory.token_codes import TokenCodes
from memory.transcript import Message, Transcript, TreeKey
from memory.vectors import VectorIndex
from models.encoding import unit
from models.reranker import Reranker
from nodes.looking import Looking, query_text
from nodes.query import Query
from nodes.sight import Sight, columns, to_read


@dataclass(frozen=True, slots=True)
class Scored:
    """A candidate after the careful look; `column` is its row of `features`."""

    sight: Sight
    row: int
    score: float
    column: Floats

    @property
    def ref(self) -> int:
        return int(self.sight.at.ids[self.row])


@dataclass(frozen=True)
class Rerank:
    """The second stage: the ranker's numbers, then the cross-encoder where one is configured."""

    transcript: Transcript
    vectors: VectorIndex
    codes: TokenCodes
    looking: Looking
    moods: MoodHead | None
    reranker: Reranker | None

    async def __call__(self, state: TurnState, runtime: Runtime[TurnContext]) -> dict[str, Any]:
        context = runtime.context or TurnContext()
        if not state.candidates:
            return {"memories": []}
        looked = await self.looking.seen(state, context)
        chosen: defaultdict[str, list[int]] = defaultdict(list)
        for candidate in state.candidates:
            chosen[candidate.get("session_id", "")].append(candidate["ref"])
        scored = [
            one
            for sight in looked.sights
            for one in await self._scored(looked.query, sight, chosen[sight.session_id], context)
        ]
        scored.sort(key=lambda one: -one.score)
        memories = await self._memories(scored[: context.memories])
        if self.reranker and memories:
            found = await self.reranker.scores(query_text(state), [m["text"] for m in memories])
            memories = [m | {"score": s} for m, s in zip(memories, found, strict=True)]
            memories.sort(key=lambda m: m["score"], reverse=True)
        return {"memories": memories}

    async def _scored(
        self, query: Query, sight: Sight, chosen: Sequence[int], context: TurnContext
    ) -> list[Scored]:
        if not chosen:
            return []
        rows = to_read(sight, np.array(chosen, np.int32))
        ids = sight.at.ids[rows].tolist()
        stored = await self.codes.fetch(sight.key, ids)
        mood = await self._mood(query, sight, ids, context)
        named = await self._naming(query, sight, rows)
        found = await asyncio.to_thread(columns, query, sight, rows, stored, mood, named)
        values, wanted = scores(found), set(chosen)
        return [
            Scored(sight, row, float(value), column)
            for row, i, value, column in zip(rows.tolist(), ids, values, found, strict=True)
            if i in wanted
        ]

    async def _mood(self, query: Query, sight: Sight, ids: Sequence[int], context: TurnContext) -> Floats:
        """How alike the moods are, for questions alone."""
        none = np.zeros(len(ids), np.float32)
        if self.moods is None or context.emotion != "auto" or not query.asked.question:
            return none
        vectors = await self.vectors.vectors(sight.key, "message", ids)
        if not vectors:
            return none
        means = unit(np.stack([vectors[i].mean(axis=0) for i in vectors]))
        valence, emotionality = self.moods.read(query.vector)
        alike = congruence(self.moods.read(means)[0], float(valence), float(emotionality))
        known = dict(zip(vectors, alike.tolist(), strict=True))
        return np.array([known.get(i, 0.0) for i in ids], np.float32)

    async def _naming(self, query: Query, sight: Sight, rows: Any) -> list[int]:
        """Texts without a speaker that name who asks or who is asked about."""
        names = [n for n in {query.asker, *query.named} if n]
        nameless = [n for n, name in enumerate(sight.names) if not name]
        ids = sight.at.ids[rows][np.isin(sight.at.speaker[rows], nameless)].tolist()
        if not names or not ids:
            return []
        messages = await self.transcript.messages(sight.key, ids)
        return [m.id for m in messages if any(n.lower() in m.text.lower() for n in names)]

    async def _memories(self, scored: Sequence[Scored]) -> list[dict[str, Any]]:
        said: defaultdict[TreeKey, list[int]] = defaultdict(list)
        for one in scored:
            said[one.sight.key].append(one.ref)
        messages = {
            (key, m.id): m for key, refs in said.items() for m in await self.transcript.messages(key, refs)
        }
        return [memory_of(one, messages[one.sight.key, one.ref]) for one in scored]


def memory_of(one: Scored, message: Message) -> dict[str, Any]:
    """A memory as state, with what the prompt needs to know of it (Any: JSON)."""
    sight = one.sight
    elsewhere = {"tree_id": sight.key.tree_id, "session_id": sight.session_id} if sight.session_id else {}
    return {
        "kind": "message",
        "ref": one.ref,
        "score": round(one.score, 3),
        "text": certain_text(message),
        "role": message.role,
        "speaker": message.speaker,
        "created_at": message.created_at,
        "emotion": message.emotion,
        "importance": message.importance,
        "why": {name: round(part, 2) for name, part in explained(one.column).items() if abs(part) >= 0.005},
    } | elsewhere
