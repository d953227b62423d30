"""aura-memory's structured recall, with MiniLM as its optional embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sentence_transformers import SentenceTransformer

from benchmarks.peers.worker import Said, serve


class AuraMemory:
    """A chat is a namespace, a line a record that never fades and is not merged with its like."""

    def __init__(self, folder: Path, weights: Path) -> None:
        from aura import Aura, Level  # type: ignore[import-not-found]  # only in this peer's environment

        model = SentenceTransformer(str(weights), device="cpu")
        self._level = Level.Domain
        self._brain = Aura(str(folder))
        self._brain.set_embedding_fn(lambda text: model.encode(text, show_progress_bar=False).tolist())
        self._lines: dict[str, str] = {}

    def store(self, chat: str, lines: Sequence[Said]) -> None:
        for line in lines:
            record = self._brain.store(line["text"], level=self._level, deduplicate=False, namespace=chat)
            self._lines[record] = line["id"]

    def ask(self, chat: str, question: str, k: int) -> list[str]:
        found = self._brain.recall_structured(question, top_k=k, namespace=chat)
        return [self._lines[one["id"]] for one in found]


if __name__ == "__main__":
    serve("aura-memory", AuraMemory)
