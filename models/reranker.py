"""Rerankers. This module holds the Protocol."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Reranker(Protocol):
    """Scores how well each text answers the query, higher is better."""

    name: str

    async def scores(self, query: str, texts: Sequence[str]) -> list[float]: ...

    async def close(self) -> None: ...
