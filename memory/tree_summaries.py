"""The summaries of one tree, and which of them stand on a path."""

from __future__ import annotations

import json
import sqlite3
from bisect import bisect_left, insort
from collections.abc import Sequence
from hashlib import blake2b

from memory.path import Path, Ranges
from memory.stored import Summary

KEPT_PATHS = 4
"""Whose summaries are kept, those asked for last: a turn asks for its prompt's history and for its whole path."""


def load(connection: sqlite3.Connection) -> list[Summary]:
    """Every summary, oldest first."""
    rows = connection.execute("SELECT id, over, text, source, created_at FROM summaries ORDER BY id")
    return [Summary(i, json.loads(over), text, source, at) for i, over, text, source, at in rows]


def add(connection: sqlite3.Connection, over: Ranges, text: str, source: str, now: float) -> Summary:
    """Store a summary of the messages of `over`."""
    row = connection.execute(
        "INSERT INTO summaries(over, path_hash, text, source, created_at) VALUES (?, ?, ?, ?, ?) "
        "RETURNING id",
        (json.dumps(over), path_hash(over), text, source, now),
    ).fetchone()
    return Summary(row[0], over, text, source, now)


def remove(connection: sqlite3.Connection, ids: Sequence[int]) -> None:
    connection.executemany("DELETE FROM summaries WHERE id = ?", [(i,) for i in ids])


def path_hash(over: Ranges) -> str:
    """blake2b-128 hex of a run of message ids."""
    return blake2b(json.dumps(over).encode(), digest_size=16).hexdigest()


class Summaries:
    """Every summary of a tree, oldest first, and those that stand on the paths that were asked for last."""

    def __init__(self, every: Sequence[Summary]) -> None:
        self._every = every
        self._last: tuple[tuple[Ranges, list[Summary]], ...] = ()

    def and_one(self, added: Summary) -> Summaries:
        return Summaries([*self._every, added])

    def standing(self, path: Path) -> list[Summary]:
        """See the function; the list is not to be changed."""
        found = self.known(path)
        if found is None:
            found = standing(self._every, path)
            self._last = (*self._last, (path.ranges, found))[-KEPT_PATHS:]
        return found

    def known(self, path: Path) -> list[Summary] | None:
        """The same, None for a path that was not asked for lately; any thread may ask."""
        return next((found for ranges, found in self._last if ranges == path.ranges), None)


def standing(summaries: Sequence[Summary], path: Path) -> list[Summary]:
    """The summaries whose every message is on `path`, in path order; of overlapping ones the newest."""
    taken: list[tuple[int, int]] = []
    kept: list[tuple[int, Summary]] = []
    for summary in reversed(summaries):
        if not all(path.covers(first, last) for first, last in summary.over):
            continue
        if not any(_overlaps(taken, first, last) for first, last in summary.over):
            for first, last in summary.over:
                insort(taken, (first, last))
            kept.append((path.position(summary.over[0][0]) or 0, summary))
    return [summary for _, summary in sorted(kept, key=lambda k: k[0])]


def _overlaps(taken: Sequence[tuple[int, int]], first: int, last: int) -> bool:
    """Whether first..last touches one of the sorted, disjoint runs."""
    at = bisect_left(taken, (first, 0))
    return (at < len(taken) and taken[at][0] <= last) or (at > 0 and taken[at - 1][1] >= first)
