"""coremem's `direct` strategy (keywords, vectors and its heuristics), with MiniLM as its embedder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.peers.worker import Said, serve


class CoreMem:
    """A chat is a store of its own; its default strategy needs a cross-encoder from a hub."""

    def __init__(self, folder: Path, weights: Path) -> None:
        os.environ |= {"COREMEM_EMBEDDING_MODEL": str(weights), "DISABLE_CROSS_ENCODER": "1"}
        from coremem import MemoryCore  # type: ignore[import-not-found]  # only in this peer's environment

        self._open, self._folder = MemoryCore, folder
        self._chats: dict[str, MemoryCore] = {}

    def store(self, chat: str, lines: Sequence[Said]) -> None:
        if chat not in self._chats:
            self._chats[chat] = self._open(path=str(self._folder / chat))
        self._chats[chat].ingest_many(
            [
                {
                    "id": line["id"],
                    "role": line["role"],
                    "content": line["text"],
                    "session_id": chat,
                    "ts": datetime.fromtimestamp(line["at"], UTC),
                }
                for line in lines
            ]
        )

    def ask(self, chat: str, question: str, k: int) -> list[str]:
        found = self._chats[chat].recall(question, strategy="direct", limit=k)
        return [one.memory.id for one in found]


if __name__ == "__main__":
    serve("coremem", CoreMem)
