"""Token codes of messages: derived, rebuildable, in the tree's own file whatever holds the vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from memory.stored import TreeKey
from models.token_codes import CODE_BYTES, Codes

STEPS = {kind.itemsize: kind for kind in map(np.dtype, ("<u1", "<u2", "<u4"))}
"""How steps are kept, by the bytes that each takes."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A message's tokens, in the order of its text, as few bytes: most are only compared."""

    packed: bytes
    """CODE_BYTES of each, for `models.token_codes.similarities`."""
    steps: bytes
    """Characters from the beginning of the token before it (or of the text) to each, all in as many bytes as the
    longest one takes."""

    @classmethod
    def at(cls, codes: Codes, starts: npt.NDArray[np.int32]) -> Stored:
        """Tokens of codes (tokens, CODE_BYTES) that begin at these characters."""
        steps = np.diff(starts, prepend=0)
        kind = next(kind for kind in STEPS.values() if steps.max(initial=0) <= np.iinfo(kind).max)
        return cls(codes.tobytes(), steps.astype(kind).tobytes())

    def __len__(self) -> int:
        return len(self.packed) // CODE_BYTES

    @property
    def codes(self) -> Codes:
        """Shape (tokens, CODE_BYTES)."""
        return np.frombuffer(self.packed, np.uint8).reshape(-1, CODE_BYTES)

    @property
    def starts(self) -> npt.NDArray[np.int32]:
        """Shape (tokens,): the character of `certain_text(message)` at which each token begins."""
        steps = np.frombuffer(self.steps, STEPS[len(self.steps) // len(self) if self else 1])
        return np.cumsum(steps, dtype=np.int32)


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
