"""Token codes of messages: derived, rebuildable, in the tree's own file whatever holds the vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from memory.transcript import TreeKey
from models.token_codes import Codes


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """A message's tokens, in the order of its text."""

    codes: Codes
    """Shape (tokens, bytes), for `models.token_codes.similarities`."""
    starts: npt.NDArray[np.int32]
    """Shape (tokens,): the character of `certain_text(message)` at which each token begins."""


class TokenCodes(Protocol):
    """Token codes by tree and message; of another codec's key nothing is read."""

    async def upsert(self, key: TreeKey, items: Mapping[int, Stored]) -> None:
        """Add the codes of messages by their ids, replacing what is there; unknown trees stay unknown."""
        ...

    async def fetch(self, key: TreeKey, refs: Sequence[int]) -> dict[int, Stored]:
        """The codes of those of the messages that have any."""
        ...

    async def delete(self, key: TreeKey, refs: Sequence[int] | None = None) -> None:
        """Remove those of messages, or with None everything of the tree."""
        ...

    async def clear(self) -> None:
        """Remove everything, for `reindex`."""
        ...

    async def count(self) -> int:
        """How many messages have codes, over all trees."""
        ...

    async def close(self) -> None: ...
