"""Vectors of one tree in RAM, and the exact search over them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import numpy as np
import numpy.typing as npt

from memory.path import Path
from memory.vectors import Hit, Vector

Ids = npt.NDArray[np.int32]
Refs = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

DECIMALS = 6
"""Cosines are rounded, for equal vectors in different rows differ in the last bit of a matrix product."""


class Rows:
    """A contiguous matrix that grows by a sixteenth, and the item each row belongs to: what is spare takes memory in
    each of a thousand chats, and a copy now and then takes a millisecond.

    One thread at a time writes, any may `view`: what it returned stays valid while rows are added or removed;
    a row that is replaced changes in place.
    """

    def __init__(self, vectors: Vector, refs: Refs) -> None:
        self._held = (vectors, refs, len(refs))

    def view(self) -> tuple[Vector, Refs]:
        """Shapes (rows, dimension) and (rows,), without a copy."""
        vectors, refs, count = self._held
        return vectors[:count], refs[:count]

    def put(self, ref: int, pieces: Vector) -> None:
        """Replace the rows of an item, or add them."""
        vectors, refs = self.view()
        at = np.flatnonzero(refs == ref)
        if len(at) == len(pieces):
            vectors[at] = pieces
            return
        if len(at):
            self.remove([ref])
        vectors, refs, count = self._with_room(len(pieces))
        vectors[count : count + len(pieces)] = pieces
        refs[count : count + len(pieces)] = ref
        self._held = (vectors, refs, count + len(pieces))

    def remove(self, refs: Sequence[int]) -> None:
        vectors, known = self.view()
        keep = ~np.isin(known, np.asarray(refs, dtype=np.int64))
        self._held = (vectors[keep], known[keep], int(keep.sum()))

    def _with_room(self, more: int) -> tuple[Vector, Refs, int]:
        vectors, refs, count = self._held
        if count + more <= len(refs):
            return self._held
        capacity = max(count + more, count + count // 16, 64)
        roomy = np.empty((capacity, vectors.shape[1]), dtype=np.float32), np.empty(capacity, dtype=np.int64)
        roomy[0][:count], roomy[1][:count] = vectors[:count], refs[:count]
        return *roomy, count

    def __len__(self) -> int:
        return self._held[2]


def nearest(vectors: Vector, refs: Refs, query: Vector, allowed: Path | None, k: int) -> list[Hit]:
    """The k items whose best row has the largest product with the query, best first, equal ones by ref.

    Shapes (rows, dimension), (rows,) and (dimension,), unit rows; only items on `allowed` (None: all).
    """
    scores = np.round(vectors @ query, DECIMALS)
    if allowed is not None:
        scores[~on_path(refs, allowed)] = -np.inf
    take = k
    while True:
        rows = _largest(scores, take)
        rows = rows[np.lexsort((refs[rows], -scores[rows]))]
        found: dict[int, float] = {}
        for ref, score in zip(refs[rows].tolist(), scores[rows].tolist(), strict=True):
            found.setdefault(ref, score)
        if len(found) >= k or len(rows) < take or take >= len(scores):
            return [Hit(ref, score) for ref, score in islice(found.items(), k)]
        take *= 2


def _largest(scores: npt.NDArray[np.float32], take: int) -> npt.NDArray[np.intp]:
    """The rows of the `take` largest scores and of all equal to the smallest of them; none that is -inf."""
    if take < len(scores):
        smallest = np.partition(scores, len(scores) - take)[len(scores) - take]
        if smallest > -np.inf:
            return np.flatnonzero(scores >= smallest)
    return np.flatnonzero(scores > -np.inf)


def on_path(refs: Refs, path: Path) -> Mask:
    """Whether each ref is on the path; work grows with rows and ranges, not with the path's length."""
    if len(path.ranges) == 1:
        [[first, last]] = path.ranges
        return (refs >= first) & (refs <= last)
    if not len(refs):
        return np.zeros(0, dtype=np.bool_)
    ranges = np.asarray(path.ranges, dtype=np.int64).reshape(-1, 2)
    highest = int(refs.max())
    ranges = ranges[(ranges[:, 0] > 0) & (ranges[:, 0] <= highest)]
    edges = np.zeros(highest + 2, dtype=np.int8)
    edges[ranges[:, 0]] += 1
    edges[np.minimum(ranges[:, 1], highest) + 1] -= 1
    inside = np.cumsum(edges, dtype=np.int8).view(np.bool_)
    return inside[refs]


def stored_ids(path: Path) -> Ids:
    """The ids of the path in its order; those of messages that are not stored yet (negative) left out."""
    runs = np.array([run for run in path.ranges if run[0] > 0], np.int32).reshape(-1, 2)
    lengths = runs[:, 1] - runs[:, 0] + 1
    offsets = np.cumsum(lengths) - lengths
    ids: Ids = np.repeat(runs[:, 0] - offsets, lengths) + np.arange(lengths.sum())
    return ids.astype(np.int32)


def best_of_each(vectors: Vector, refs: Refs, query: Vector, ids: Ids) -> Vector:
    """Shape (ids,): the largest product of the query with a row of each id, NaN for an id without rows.

    Shapes as in `nearest`. The products are made one by one: in that of the whole matrix the last bit of a row's
    depends on how many rows there are, those off the path too.
    """
    best = np.full(max(int(refs.max(initial=0)), int(ids.max(initial=0))) + 1, -np.inf, np.float32)
    np.maximum.at(best, refs, np.vecdot(vectors, query))
    found: Vector = best[ids]
    found[np.isneginf(found)] = np.nan
    return found


def rows_of(vectors: Vector, refs: Refs, wanted: Sequence[int]) -> dict[int, Vector]:
    """The rows of each of these items that has any."""
    asked = np.zeros(int(max(refs.max(initial=0), max(wanted, default=0))) + 1, np.bool_)
    asked[list(wanted)] = True
    at = np.flatnonzero(asked[refs])
    owners, picked = refs[at], vectors[at]
    starts = np.flatnonzero(np.diff(owners, prepend=-1))  # the rows of an item stand together
    ends = np.append(starts, len(at))[1:]
    return {
        ref: picked[first:last]
        for ref, first, last in zip(owners[starts].tolist(), starts, ends, strict=True)
    }
