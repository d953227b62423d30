"""The vector index: derived, rebuildable. This module holds its words and its Protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from memory.path import Path
from memory.stored import TreeKey

Vector = npt.NDArray[np.float32]
ItemKind = Literal["message", "card"]


@dataclass(frozen=True, slots=True)
class Item:
    """What is indexed: a message or card chunk of a tree, with one unit vector per overlapping piece."""

    kind: ItemKind
    ref: int
    pieces: Vector
    """Shape (pieces, dimension), float32, each row of length 1."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A found item; `similarity` is the cosine of its best piece."""

    ref: int
    similarity: float


class VectorIndex(Protocol):
    """Cosine search over the items of one tree."""

    name: str

    async def upsert(self, key: TreeKey, items: Sequence[Item]) -> None:
        """Add items, replacing those of the same kind and ref."""
        ...

    async def search(
        self, key: TreeKey, kind: ItemKind, query: Vector, allowed: Path | None, k: int
    ) -> list[Hit]:
        """The k best items of a kind, best first, only those whose ref is on `allowed` (None: all).

        `query` has shape (dimension,) and length 1; an unknown tree has no items.
        """
        ...

    async def similarities(self, key: TreeKey, kind: ItemKind, query: Vector, path: Path) -> Vector:
        """Shape (N,), float32, for the N stored ids of `path` in its order: the cosine of each one's best piece.

        NaN for an item that has no vector (yet). An index that looks at its best only (Chroma) gives NaN for
        the others as well. `query` as in `search`.
        """
        ...

    async def vectors(self, key: TreeKey, kind: ItemKind, refs: Sequence[int]) -> dict[int, Vector]:
        """The vectors of those of the items that have any, shape (pieces, dimension) each."""
        ...

    async def delete(self, key: TreeKey, refs: Sequence[int] | None = None) -> None:
        """Remove messages by id, or with None everything of the tree."""
        ...

    async def clear(self) -> None:
        """Remove everything, for `reindex`."""
        ...

    async def count(self) -> int:
        """How many items are indexed, over all trees."""
        ...

    async def close(self) -> None: ...
