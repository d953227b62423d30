"""Paths as run-length coded ranges of message ids, so that ten thousand messages are a few numbers."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator

Ranges = list[list[int]]


def encode(ids: Iterable[int]) -> Ranges:
    """Ids in order -> ranges with both ends included; negative ids (new messages) stand alone."""
    builder = PathBuilder()
    for i in ids:
        builder.add(i)
    return builder.ranges


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

    def covers(self, first: int, last: int) -> bool:
        """Whether every id from first to last is on the path."""
        while first <= last:
            at = bisect_right(self._starts, first) - 1
            if at < 0 or self.ranges[self._by_start[at]][1] < first:
                return False
            first = self.ranges[self._by_start[at]][1] + 1
        return True

    def prefix(self, length: int) -> Path:
        """The path's first `length` messages, without walking them."""
        return Path(self.between(0, length))

    def slice(self, start: int, stop: int | None = None) -> list[int]:
        """The ids at positions start..stop-1 (clamped), without walking the rest."""
        return [i for first, last in self.between(start, stop) for i in range(first, last + 1)]

    def between(self, start: int, stop: int | None = None) -> Ranges:
        """The ranges of positions start..stop-1 (clamped)."""
        stop = len(self) if stop is None else min(stop, len(self))
        start = max(start, 0)
        if start >= stop:
            return []
        out: Ranges = []
        for r in range(bisect_right(self._offsets, start) - 1, len(self.ranges)):
            first, offset = self.ranges[r][0], self._offsets[r]
            if offset >= stop:
                break
            out.append([first + max(start - offset, 0), first + min(stop, self._offsets[r + 1]) - offset - 1])
        return out


class PathBuilder:
    """A path laid out from its root, in runs and single ids (negative ids are messages not stored yet)."""

    def __init__(self, ranges: Ranges | None = None) -> None:
        self.ranges: Ranges = [list(run) for run in ranges or ()]

    @property
    def last(self) -> int | None:
        """The id laid last, None at the root."""
        return self.ranges[-1][1] if self.ranges else None

    def add(self, first: int, last: int | None = None) -> None:
        """Lay an id, or the run first..last."""
        last = first if last is None else last
        if self.ranges and first > 0 and self.ranges[-1][1] == first - 1 and self.ranges[-1][0] > 0:
            self.ranges[-1][1] = last
        else:
            self.ranges.append([first, last])

    def __contains__(self, message_id: int) -> bool:
        return any(first <= message_id <= last for first, last in self.ranges)

    def laid_after(self, message_id: int | None, limit: int) -> int | None:
        """How many ids were laid after this one (None: the root); None when it is not within `limit`."""
        count = 0
        for first, last in reversed(self.ranges):
            if message_id is not None and first <= message_id <= last:
                count += last - message_id
                return count if count <= limit else None
            count += last - first + 1
            if count > limit:
                return None
        return count if message_id is None else None
