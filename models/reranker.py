"""Rerankers. This module holds the Protocol and opens the reranker the settings name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from graph.settings import Settings


class Reranker(Protocol):
    """Scores how well each text answers the query, higher is better."""

    name: str

    async def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        """One score a text, in the order given."""
        ...

    async def close(self) -> None: ...


async def open_reranker(settings: Settings) -> Reranker | None:
    """The cross-encoder of RERANKER_MODEL, or None when none is set; raises SettingsError."""
    if settings.reranker_model is None:
        return None
    from models.reranker_cross_encoder import CrossEncoderReranker  # imports PyTorch only when one is set

    return await CrossEncoderReranker.open(settings.reranker_model, settings.embedding_threads)
