"""Token counting. This module holds the Protocol."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class TokenCounter(Protocol):
    """Counts tokens as the model does, or as near as is known; recent texts are kept."""

    name: str

    async def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, without any chat template around it."""
        ...

    def observe(self, counted: int, reported: int) -> None:
        """Learn from a call: what was counted for its prompt and what the provider reported."""
        ...
