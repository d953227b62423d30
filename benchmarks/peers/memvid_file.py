"""memvid: one file a chat, MiniLM's vectors beside its index of words, searched as it chooses itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.peers.worker import Said, serve


class MemvidFile:
    """A line is a document whose title is its id."""

    def __init__(self, folder: Path, weights: Path) -> None:
        from memvid_sdk import create  # type: ignore[import-not-found]  # only in this peer's environment
        from memvid_sdk.embeddings import HuggingFaceEmbeddings  # type: ignore[import-not-found]

        self._create, self._folder = create, folder
        self._embedder = HuggingFaceEmbeddings(model=str(weights))
        self._chats: dict[str, Any] = {}  # Any: memvid has no types here

    def store(self, chat: str, lines: Sequence[Said]) -> None:
        if chat not in self._chats:
            self._chats[chat] = self._create(str(self._folder / f"{chat}.mv2"), enable_vec=True)
        self._chats[chat].put_many(
            [{"title": line["id"], "label": "line", "text": line["text"]} for line in lines],
            embeddings=self._embedder.embed_documents([line["text"] for line in lines]),
        )

    def ask(self, chat: str, question: str, k: int) -> list[str]:
        found = self._chats[chat].find(question, k=k, embedder=self._embedder)
        return [hit["title"] for hit in found["hits"]]


if __name__ == "__main__":
    serve("memvid-sdk", MemvidFile)
