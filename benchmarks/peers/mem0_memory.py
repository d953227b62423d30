"""mem0 without a language model: `infer=False`, its local Qdrant, MiniLM as its Hugging Face embedder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from benchmarks.peers.worker import Said, serve


class Mem0:
    """A chat is a run; a line is a message of one `add`. No score is too low to be found."""

    def __init__(self, folder: Path, weights: Path) -> None:
        os.environ |= {"MEM0_DIR": str(folder), "MEM0_TELEMETRY": "False", "OPENAI_API_KEY": "none"}
        from mem0 import Memory  # type: ignore[import-not-found]  # only in this peer's environment

        self._memory = Memory.from_config(
            {
                "embedder": {
                    "provider": "huggingface",
                    "config": {"model": str(weights), "model_kwargs": {"device": "cpu"}},
                },
                "vector_store": {
                    "provider": "qdrant",
                    "config": {
                        "collection_name": "bench",
                        "path": str(folder / "qdrant"),
                        "embedding_model_dims": 384,
                        "on_disk": True,
                    },
                },
                "history_db_path": str(folder / "history.db"),
            }
        )

    def store(self, chat: str, lines: Sequence[Said]) -> None:
        for line in lines:
            self._memory.add(
                [{"role": line["role"], "content": line["text"]}],
                run_id=chat,
                metadata={"line": line["id"]},
                infer=False,
            )

    def ask(self, chat: str, question: str, k: int) -> list[str]:
        found = self._memory.search(question, top_k=k, threshold=0.0, filters={"run_id": chat})
        return [one["metadata"]["line"] for one in found["results"]]


if __name__ == "__main__":
    serve("mem0ai", Mem0)
