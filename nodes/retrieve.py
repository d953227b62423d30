"""Retrieve: what of the path, from before the prompt's history, bears on the newest message."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from langgraph.runtime import Runtime

from graph.context import TurnContext
from graph.state import TurnState
from memory.glue import certain_text
from memory.incoming import text_of
from memory.path import Path
from memory.transcript import Message, Transcript, TreeKey
from memory.vectors import Hit, Vector, VectorIndex
from models.embedding import Embedder
from nodes.history import Ruler, Said, history_from
from nodes.other_chats import Here, OtherChats, is_group

EMOTION_BOOST = 0.3
MOST_UNEMBEDDED = 1000
"""How many messages without a vector yet are looked through by their words, the newest ones."""


@dataclass(frozen=True)
class Retrieve:
    """Dense search within the path; what has no vector yet is found by its words."""

    transcript: Transcript
    vectors: VectorIndex
    embedder: Embedder
    ruler: Ruler
    said: Said
    others: OtherChats

    async def __call__(self, state: TurnState, runtime: Runtime[TurnContext]) -> dict[str, Any]:
        context = runtime.context or TurnContext()
        key = TreeKey(context.owner, state.tree_id)
        measured = await self.ruler.measure(state)
        start = await history_from(state, measured, self.ruler, self.said, key)
        recallable = Path(state.path).prefix(start)
        query = state.newest or last_text(state)
        if context.memory == "off" or not query.strip():
            return {"history_from": start}
        found = await self._messages(key, query, recallable, state, context.candidates)
        if state.card and not state.card.get("rows"):
            found += await self._card(key, query, context.candidates)
        character: str = state.card.get("name") or state.character
        if context.memory == "character" and character and not is_group(state):
            found += await self._elsewhere(key, query, character, state, context.candidates)
        found.sort(key=lambda c: c["score"], reverse=True)
        return {"history_from": start, "candidates": found[: context.candidates]}

    async def _messages(
        self, key: TreeKey, query: str, recallable: Path, state: TurnState, k: int
    ) -> list[dict[str, Any]]:
        if not len(recallable):
            return []
        hits = await self.vectors.search(key, "message", await self._vector(query), recallable, k)
        hits += await self._unembedded(key, query, recallable, {hit.ref for hit in hits}, k)
        moved = set(state.moved)
        hits = [hit for hit in hits if hit.ref not in moved]
        messages = await self.transcript.messages(key, [hit.ref for hit in hits])
        return [scored(hit, m, state.emotion) for hit, m in zip(hits, messages, strict=True)]

    async def _unembedded(
        self, key: TreeKey, query: str, recallable: Path, found: set[int], k: int
    ) -> list[Hit]:
        jobs = await self.transcript.jobs(key, limit=MOST_UNEMBEDDED, now=math.inf)
        refs = [job.ref for job in jobs if job.kind == "embed_message" and job.ref not in found]
        messages = await self.transcript.messages(key, [ref for ref in refs if ref in recallable])
        return by_words(query, messages)[:k]

    async def _card(self, key: TreeKey, query: str, k: int) -> list[dict[str, Any]]:
        hits = await self.vectors.search(key, "card", await self._vector(query), None, k)
        return [
            {"kind": "card", "ref": hit.ref, "similarity": hit.similarity, "score": hit.similarity}
            for hit in hits
        ]

    async def _elsewhere(
        self, key: TreeKey, query: str, character: str, state: TurnState, k: int
    ) -> list[dict[str, Any]]:
        shown = frozenset(row["fingerprint"] for row in state.window)
        here = Here(key, state.session_id, Path(state.path), shown)
        found = await self.others.search(here, character, await self._vector(query), k)
        return [
            scored(f.hit, f.message, state.emotion)
            | {"tree_id": f.session.key.tree_id, "session_id": f.session.session_id}
            for f in found
        ]

    async def _vector(self, text: str) -> Vector:
        pieces = await self.embedder.embed(text, urgent=True)
        mean: Vector = pieces.mean(axis=0)
        return mean / np.linalg.norm(mean)


def last_text(state: TurnState) -> str:
    """The text of the window's last row, for requests without a user message."""
    return text_of(state.messages[state.window[-1]["index"]].get("content")) if state.window else ""


def scored(hit: Hit, message: Message, emotion: str) -> dict[str, Any]:
    """A candidate: its cosine, times (1 + 0.3 * importance) where its emotion is the moment's."""
    congruent = emotion != "neutral" and message.emotion == emotion
    boost = 1 + EMOTION_BOOST * message.importance if congruent else 1.0
    return {
        "kind": "message",
        "ref": hit.ref,
        "similarity": hit.similarity,
        "score": hit.similarity * boost,
        "emotion": message.emotion,
        "importance": message.importance,
    }


def words_of(text: str) -> set[str]:
    """The distinct lower-case words of a text."""
    return set(re.findall(r"\w+", text.lower()))


def by_words(query: str, messages: Sequence[Message]) -> list[Hit]:
    """Messages that share words with the query, best first.

    The score is the share of the query's words that the message has, each weighted by its inverse document
    frequency log(1 + n/df) over these messages; in [0, 1], standing in for a cosine until there is a vector.
    """
    texts = [words_of(certain_text(m)) for m in messages]
    frequency = Counter(word for words in texts for word in words)

    def weight(words: Iterable[str]) -> float:
        return sum(math.log1p(len(messages) / (frequency[w] or 1)) for w in words)

    wanted = words_of(query)
    whole = weight(wanted) or 1.0
    hits = [Hit(m.id, weight(wanted & words) / whole) for m, words in zip(messages, texts, strict=True)]
    return sorted((h for h in hits if h.similarity > 0), key=lambda h: h.similarity, reverse=True)
