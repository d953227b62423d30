"""Rerank: from many candidates to the few that may enter the prompt."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from langgraph.runtime import Runtime

from graph.context import TurnContext
from graph.state import TurnState
from memory.glue import certain_text
from memory.ranking.features import Floats
from memory.ranking.mood import MoodHead, congruence
from memory.ranking.ranker import explained, scores
from memory.stored import Message
from memory.token_codes import Stored
from models.encoding import unit
from models.reranker import Reranker
from nodes.asking import query_text
from nodes.choosing import Scored, distinct, worth_telling
from nodes.looking import Looked, Looking
from nodes.passage import LONG, passage
from nodes.query import Query
from nodes.sight import Sight, columns, to_read
from nodes.texts import Texts

SEED_BOOST = 0.3
SCENE = 20
"""Memories at most where nothing is asked: more than `budget` has room for then."""
SPARE = 16
"""Memories looked at beyond those wanted, for some say the same."""
WHOLE = 3
"""So many of the best memories bring the rest of their exchange."""


@dataclass(frozen=True)
class Rerank:
    """The second stage: the ranker's numbers, then the cross-encoder where one is configured."""

    looking: Looking
    moods: MoodHead | None
    reranker: Reranker | None

    async def __call__(self, state: TurnState, runtime: Runtime[TurnContext]) -> dict[str, Any]:
        context = runtime.context or TurnContext()
        if not state.candidates:
            return {"memories": []}
        looked = await self.looking.seen(state, context)
        scored = await self._scored(looked, state.candidates, context)
        if context.emotion == "seed":
            scored = [boosted(one, state.emotion) for one in scored]
        told = worth_telling(scored, in_context=looked.query.in_context)
        most = context.memories if looked.query.asked.question else min(context.memories, SCENE)
        memories = await self._memories(looked.query, told[: most + SPARE])
        return {"memories": await self._reranked(query_text(state), memories[:most])}

    async def _scored(
        self, looked: Looked, given: Sequence[dict[str, Any]], context: TurnContext
    ) -> list[Scored]:
        """The careful look at the candidates (Any: as in the state), path by path."""
        chosen = {(c.get("session_id", ""), c["kind"], c["ref"]) for c in given}
        looks = (self._of_sight(looked.query, sight, chosen, context) for sight in looked.sights)
        return [one for found in await asyncio.gather(*looks) for one in found]

    async def _of_sight(
        self, query: Query, sight: Sight, chosen: set[tuple[str, str, int]], context: TurnContext
    ) -> list[Scored]:
        ground = sight.ground
        candidates = ground.at.ids[sight.rows].tolist()
        wanted = {i for i in candidates if (ground.session_id, *ground.texts.name(i)) in chosen}
        if not wanted:
            return []
        rows = to_read(sight, np.array(sorted(wanted), np.int32))
        ids = ground.at.ids[rows].tolist()
        stored, mood, named = await asyncio.gather(
            sight.codes, self._mood(query, sight, ids, context), self._naming(query, sight, rows)
        )
        found = await asyncio.to_thread(columns, query, sight, rows, stored, mood, named)
        return [
            Scored(sight, row, float(value), column)
            for row, i, value, column in zip(rows.tolist(), ids, scores(found), found, strict=True)
            if i in wanted
        ]

    async def _mood(self, query: Query, sight: Sight, ids: Sequence[int], context: TurnContext) -> Floats:
        """How alike the moods are, for questions alone."""
        none = np.zeros(len(ids), np.float32)
        if self.moods is None or context.emotion != "auto" or not query.asked.question:
            return none
        vectors = await sight.ground.texts.vectors(ids)
        if not vectors:
            return none
        means = unit(np.stack([vectors[i].mean(axis=0) for i in vectors]))
        valence, emotionality = self.moods.read(query.vector)
        alike = congruence(self.moods.read(means)[0], float(valence), float(emotionality))
        known = dict(zip(vectors, alike.tolist(), strict=True))
        return np.array([known.get(i, 0.0) for i in ids], np.float32)

    async def _naming(self, query: Query, sight: Sight, rows: npt.NDArray[np.intp]) -> list[int]:
        """Texts without a speaker that name who asks or who is asked about."""
        names = [name.lower() for name in {query.asker, *query.named} if name]
        nameless = [n for n, name in enumerate(sight.ground.at.names) if not name]
        ids = sight.ground.at.ids[rows][np.isin(sight.ground.at.speaker[rows], nameless)].tolist()
        if not names or not ids:
            return []
        messages = await sight.ground.texts.messages(ids)
        return [m.id for m in messages if any(name in m.text.lower() for name in names)]

    async def _memories(self, query: Query, told: Sequence[Scored]) -> list[dict[str, Any]]:
        """What is told, each once, with the other half of its exchange; of long messages a passage."""
        wanted: defaultdict[Texts, set[int]] = defaultdict(set)
        for one in told:
            wanted[one.sight.ground.texts] |= {one.ref, *one.halves}
        pages = {texts: await Page.read(texts, sorted(ids)) for texts, ids in wanted.items()}
        mine = [pages[one.sight.ground.texts] for one in told]
        said = [certain_text(page.messages[one.ref]) for one, page in zip(told, mine, strict=True)]
        kept = distinct(said, [page.vectors.get(one.ref) for one, page in zip(told, mine, strict=True)])
        return [memory_of(told[n], mine[n], query, whole=at < WHOLE) for at, n in enumerate(kept)]

    async def _reranked(self, query: str, memories: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """In the cross-encoder's order where there is one."""
        if self.reranker is None or not memories:
            return memories
        found = await self.reranker.scores(query, [m["text"] for m in memories])
        judged = [m | {"cross_encoder": s} for m, s in zip(memories, found, strict=True)]
        return sorted(judged, key=lambda m: -m["cross_encoder"])


@dataclass(frozen=True, slots=True)
class Page:
    """Texts of one path, by id, with their vectors (of all pieces together), and of long ones the codes."""

    messages: Mapping[int, Message]
    vectors: Mapping[int, Floats]
    codes: Mapping[int, Stored]

    @classmethod
    async def read(cls, texts: Texts, ids: Sequence[int]) -> Page:
        said, pieces = await asyncio.gather(texts.messages(ids), texts.vectors(ids))
        messages = {m.id: m for m in said}
        codes = await texts.codes([i for i, message in messages.items() if len(message.text) > LONG])
        return cls(messages, {i: unit(found.mean(axis=0)) for i, found in pieces.items()}, codes)

    def said(self, text_id: int, query: Query) -> dict[str, Any]:
        """What the prompt needs to know of a text (Any: JSON)."""
        message = self.messages[text_id]
        return {
            "ref": text_id,
            "text": passage(certain_text(message), query, self.codes.get(text_id)),
            "role": message.role,
            "speaker": message.speaker,
            "created_at": message.created_at,
        }


def boosted(one: Scored, emotion: str) -> Scored:
    """The seed's rule: the score times 1 + 0.3 * importance where the emotion is the moment's, unless neutral."""
    sight = one.sight
    if emotion == "neutral" or sight.ground.emotions[sight.ground.at.emotion[one.row]] != emotion:
        return one
    boost = max(one.score, 0.0) * SEED_BOOST * float(sight.ground.at.importance[one.row])
    return replace(one, score=one.score + boost, boost=boost)


def why(one: Scored) -> dict[str, float]:
    """What each number added to the score, largest first, those below 0.005 left out."""
    parts = explained(one.column) | ({"same_emotion": one.boost} if one.boost else {})
    return {name: round(part, 2) for name, part in parts.items() if abs(part) >= 0.005}


def memory_of(one: Scored, page: Page, query: Query, *, whole: bool) -> dict[str, Any]:
    """A memory as state (Any: JSON): what was said, why it is told, and the other half of its exchange."""
    ground = one.sight.ground
    kind, ref = ground.texts.name(one.ref)
    return {
        **page.said(one.ref, query),
        "kind": kind,
        "ref": ref,
        "emotion": ground.emotions[ground.at.emotion[one.row]],
        "importance": round(float(ground.at.importance[one.row]), 2),
        "score": round(one.score, 2),
        "why": why(one),
        "exchange": [page.said(half, query) for half in one.halves] if whole else [],
    } | ground.origin
