"""Where the texts of a path are read from, with what is derived of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from graph.context import MemoryKind
from memory.stored import Message, TreeKey
from memory.token_codes import Stored, TokenCodes
from memory.transcript import Transcript
from memory.vectors import Vector, VectorIndex


class Texts(Protocol):
    """The texts of one path, by id."""

    def name(self, text_id: int) -> tuple[MemoryKind, int]:
        """Kind and reference by which the state knows a text."""
        ...

    async def messages(self, ids: Sequence[int]) -> list[Message]:
        """In the order asked."""
        ...

    async def vectors(self, ids: Sequence[int]) -> Mapping[int, Vector]:
        """Shape (pieces, dimension) of each that has any."""
        ...

    async def codes(self, ids: Sequence[int]) -> Mapping[int, Stored]:
        """Of each that has any."""
        ...


@dataclass(frozen=True, slots=True)
class TreeTexts:
    """What was said in a tree."""

    key: TreeKey
    transcript: Transcript
    index: VectorIndex
    stored: TokenCodes

    def name(self, text_id: int) -> tuple[MemoryKind, int]:
        return "message", text_id

    async def messages(self, ids: Sequence[int]) -> list[Message]:
        return await self.transcript.messages(self.key, ids)

    async def vectors(self, ids: Sequence[int]) -> Mapping[int, Vector]:
        return await self.index.vectors(self.key, "message", ids)

    async def codes(self, ids: Sequence[int]) -> Mapping[int, Stored]:
        return await self.stored.fetch(self.key, ids)
