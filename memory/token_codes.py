"""Token codes of messages: derived, rebuildable, in the tree's own file whatever holds the vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from memory.stored import TreeKey
from models.token_codes import Codes


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """A message's tokens, in the order of its text."""

    codes: Codes
    """Shape (tokens, bytes), for `models.token_codes.similarities`."""
    steps: npt.NDArray[np.integer]
    """Shape (tokens,): characters from the beginning of the token before it (or of the text) to each."""

    @classmethod
    def at(cls, codes: Codes, starts: npt.NDArray[np.int32]) -> Stored:
        """Tokens that begin at these characters."""
        return cls(codes, np.diff(starts, prepend=0))

    @property
    def starts(self) -> npt.NDArray[np.int32]:
        """Shape (tokens,): the character of `certain_text(message)` at which each token begins."""
        return np.cumsum(self.steps, dtype=np.int32)


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
