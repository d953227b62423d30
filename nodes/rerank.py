"""Rerank: from many candidates to the few that may enter the prompt."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from langgraph.runtime import Runtime

from graph.context import TurnContext
from graph.state import TurnState
from memory.glue import certain_text
from memory.transcript import Message, Transcript, TreeKey
from models.reranker import Reranker
from nodes.retrieve import last_text


@dataclass(frozen=True)
class Rerank:
    """Orders by the cross-encoder where one is configured, otherwise by the first stage's score."""

    transcript: Transcript
    reranker: Reranker | None

    async def __call__(self, state: TurnState, runtime: Runtime[TurnContext]) -> dict[str, Any]:
        context = runtime.context or TurnContext()
        key = TreeKey(context.owner, state.tree_id)
        candidates = state.candidates if self.reranker else state.candidates[: context.memories]
        memories = await self._with_text(key, candidates)
        if self.reranker and memories:
            query = state.newest or last_text(state)
            scores = await self.reranker.scores(query, [m["text"] for m in memories])
            memories = [m | {"score": s} for m, s in zip(memories, scores, strict=True)]
            memories.sort(key=lambda m: m["score"], reverse=True)
        return {"memories": memories[: context.memories]}

    async def _with_text(self, key: TreeKey, candidates: list[dict[str, Any]]) -> list[dict[str, Any]]:
        described = [c["ref"] for c in candidates if c["kind"] == "card"]
        texts: dict[tuple[str, str, int], dict[str, Any]] = {
            ("", "card", c.id): {"text": c.text} for c in await self.transcript.card_chunks(key, described)
        }
        said: defaultdict[str, list[int]] = defaultdict(list)
        for candidate in candidates:
            if candidate["kind"] == "message":
                said[candidate.get("tree_id", "")].append(candidate["ref"])
        for tree_id, refs in said.items():
            tree = TreeKey(key.owner, tree_id) if tree_id else key
            for message in await self.transcript.messages(tree, refs):
                texts[tree_id, "message", message.id] = of_message(message)
        return [c | texts[c.get("tree_id", ""), c["kind"], c["ref"]] for c in candidates]


def of_message(message: Message) -> dict[str, Any]:
    """What the prompt needs to know of a recalled message."""
    return {
        "text": certain_text(message),
        "role": message.role,
        "speaker": message.speaker,
        "created_at": message.created_at,
    }
