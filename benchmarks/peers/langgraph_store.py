"""LangGraph's store: InMemoryStore with an index over MiniLM, as its documentation sets it up."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from langgraph.store.base import PutOp
from langgraph.store.memory import InMemoryStore
from sentence_transformers import SentenceTransformer

from benchmarks.peers.worker import Said, serve


class LangGraphStore:
    """A chat is a namespace, a line an item."""

    def __init__(self, folder: Path, weights: Path) -> None:
        self._model = SentenceTransformer(str(weights), device="cpu")
        self._store = InMemoryStore(index={"dims": 384, "embed": self._embed, "fields": ["text"]})

    def _embed(self, texts: Sequence[str]) -> list[list[float]]:
        vectors: list[list[float]] = self._model.encode(list(texts), show_progress_bar=False).tolist()
        return vectors

    def store(self, chat: str, lines: Sequence[Said]) -> None:
        self._store.batch([PutOp((chat,), line["id"], {"text": line["text"]}) for line in lines])

    def ask(self, chat: str, question: str, k: int) -> list[str]:
        return [item.key for item in self._store.search((chat,), query=question, limit=k)]


if __name__ == "__main__":
    serve("langgraph", LangGraphStore)
