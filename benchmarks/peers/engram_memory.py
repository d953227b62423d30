"""engram-search's hybrid pipeline (dense, BM25, names, quotes, dates; reciprocal ranks), over MiniLM."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.peers.worker import Said, serve


class Engram:
    """A chat is its pipeline's list of documents, a line a document; its reranker is a hub's model."""

    def __init__(self, folder: Path, weights: Path) -> None:
        from engram.backends.base import Document  # type: ignore[import-not-found]  # only there
        from engram.backends.faiss_backend import FaissBackend  # type: ignore[import-not-found]
        from engram.retrieval.embedder import Embedder  # type: ignore[import-not-found]
        from engram.retrieval.pipeline import RetrievalPipeline  # type: ignore[import-not-found]

        self._document = Document
        self._embedder = Embedder(str(weights))
        self._backend = FaissBackend(path=folder, dimension=384)
        self._pipeline = RetrievalPipeline(embedder=self._embedder, use_reranker=False)
        self._chats: dict[str, list[Document]] = {}

    def store(self, chat: str, lines: Sequence[Said]) -> None:
        vectors = self._embedder.encode_documents([line["text"] for line in lines])
        documents = [
            self._document(
                id=f"{chat}/{line['id']}",
                text=line["text"],
                embedding=vector.tolist(),
                metadata={"timestamp": f"{datetime.fromtimestamp(line['at'], UTC):%Y-%m-%d}"},
            )
            for line, vector in zip(lines, vectors, strict=True)
        ]
        self._backend.add(documents)
        self._chats.setdefault(chat, []).extend(documents)

    def ask(self, chat: str, question: str, k: int) -> list[str]:
        found = self._pipeline.search(question, documents=self._chats[chat], top_k=k)
        return [one.id.removeprefix(f"{chat}/") for one in found]


if __name__ == "__main__":
    serve("engram-search", Engram)
