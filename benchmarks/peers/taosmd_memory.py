"""taosmd's vector memory over a local MiniLM, with its default keyword boost."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from benchmarks.peers.worker import Said, serve


class Taosmd:
    """A chat is a store of its own; texts are cut at 512 characters by its embedder."""

    def __init__(self, folder: Path, weights: Path) -> None:
        from taosmd.vector_memory import VectorMemory  # type: ignore[import-not-found]  # only there

        self._open, self._folder, self._weights = VectorMemory, folder, weights
        self._chats: dict[str, VectorMemory] = {}

    def store(self, chat: str, lines: Sequence[Said]) -> None:
        asyncio.run(self._store(chat, lines))

    async def _store(self, chat: str, lines: Sequence[Said]) -> None:
        if chat not in self._chats:
            memory = self._open(
                self._folder / f"{chat}.db", embed_mode="local", local_model=str(self._weights)
            )
            await memory.init()
            self._chats[chat] = memory
        for line in lines:
            await self._chats[chat].add(line["text"], {"line": line["id"]})

    def ask(self, chat: str, question: str, k: int) -> list[str]:
        found = asyncio.run(self._chats[chat].search(question, limit=k))
        return [one["metadata"]["line"] for one in found]


if __name__ == "__main__":
    serve("taosmd", Taosmd)
