"""txtai's hybrid index: its own BM25 beside MiniLM in Faiss, each weighing a half."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.peers.worker import Said, serve


class Txtai:
    """A chat is an index."""

    def __init__(self, folder: Path, weights: Path) -> None:
        from txtai import Embeddings  # type: ignore[import-not-found]  # only in this peer's environment

        self._open, self._weights = Embeddings, weights
        self._chats: dict[str, Embeddings] = {}

    def store(self, chat: str, lines: Sequence[Said]) -> None:
        if chat not in self._chats:
            self._chats[chat] = self._open(path=str(self._weights), hybrid=True, gpu=False)
        self._chats[chat].upsert([(line["id"], line["text"], None) for line in lines])

    def ask(self, chat: str, question: str, k: int) -> list[str]:
        return [name for name, _ in self._chats[chat].search(question, k)]


if __name__ == "__main__":
    serve("txtai", Txtai)
