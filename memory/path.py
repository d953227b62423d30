"""Paths as run-length coded ranges of message ids, so that ten thousand messages are a few numbers."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator

Ranges = list[list[int]]


def encode(ids: Iterable[int]) -> Ranges:
    """Ids in order -> ranges with both ends included; negative ids (new messages) stand alone."""
    ranges: Ranges = []
    for i in ids:
        if ranges and i > 0 and ranges[-1][1] == i - 1 and ranges[-1][0] > 0:
            ranges[-1][1] = i
        else:
            ranges.append([i, i])
    return ranges


class Path:
    """A read-only sequence of distinct message ids over its ranges."""

    __slots__ = ("_by_start", "_offsets", "_starts", "ranges")

    def __init__(self, ranges: Ranges) -> None:
        self.ranges = ranges
        self._offsets: list[int] = []
        total = 0
        for first, last in ranges:
            self._offsets.append(total)
            total += last - first + 1
        self._offsets.append(total)
        self._by_start = sorted(range(len(ranges)), key=lambda r: ranges[r][0])
        self._starts = [ranges[r][0] for r in self._by_start]

    def __len__(self) -> int:
        return self._offsets[-1]

    def __iter__(self) -> Iterator[int]:
        for first, last in self.ranges:
            yield from range(first, last + 1)

    def __getitem__(self, position: int) -> int:
        """The id at a position; negative positions count from the end."""
        if position < 0:
            position += len(self)
        if not 0 <= position < len(self):
            raise IndexError(position)
        r = bisect_right(self._offsets, position) - 1
        return self.ranges[r][0] + position - self._offsets[r]

    def position(self, message_id: int) -> int | None:
        """Where an id stands on the path, or None when it is not on it."""
        at = bisect_right(self._starts, message_id) - 1
        if at < 0:
            return None
        r = self._by_start[at]
        first, last = self.ranges[r]
        return self._offsets[r] + message_id - first if message_id <= last else None

    def __contains__(self, message_id: object) -> bool:
        return isinstance(message_id, int) and self.position(message_id) is not None

    def prefix(self, length: int) -> Path:
        """The path's first `length` messages, without walking them."""
        ranges: Ranges = []
        for first, last in self.ranges:
            if length <= 0:
                break
            ranges.append([first, min(last, first + length - 1)])
            length -= last - first + 1
        return Path(ranges)

    def slice(self, start: int, stop: int | None = None) -> list[int]:
        """The ids at positions start..stop-1 (clamped), without walking the rest."""
        stop = len(self) if stop is None else min(stop, len(self))
        start = max(start, 0)
        out: list[int] = []
        for (first, last), offset in zip(self.ranges, self._offsets, strict=False):
            begin, end = max(start - offset, 0), min(stop - offset, last - first + 1)
            if begin < end:
                out.extend(range(first + begin, first + end))
        return out
