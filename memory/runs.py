"""Which stored messages the paragraphs of a row are, where a front-end wrote several as one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from memory.glue import joined
from memory.incoming import Incoming, prefix_of, row_of
from memory.names import as_stored, is_led
from memory.path import Path
from memory.transcript import TreeView

MOST_NAMED = 9
"""Runs of fewer paragraphs are looked for with other names in them too."""


@dataclass(frozen=True, slots=True)
class StoredRuns:
    """Stored messages, two or more, that a row begins or ends with; by the number of paragraphs."""

    before: Sequence[Sequence[Incoming]]
    after: Sequence[Sequence[Incoming]]

    @staticmethod
    def of(row: Incoming, parts: Sequence[str], path: Path, tree: TreeView, *, is_named: bool) -> StoredRuns:
        """Those of each number of paragraphs of which most are on the path, of such the fewest; none where they are no
        messages and nothing else.

        A name before the first paragraph is not that of what follows, unless everybody `is_named`."""
        is_firsts = not is_named and row.text.lstrip().startswith(f"{row.speaker}:")
        rest = replace(row, speaker="") if is_firsts else row

        def stored(first: int, last: int) -> Incoming | None:
            return stored_part(rest if first else row, parts[first:last], tree)

        def cost(way: Sequence[Incoming]) -> tuple[int, int]:
            return sum(not any(i in path for i in tree.ids_of(one.fingerprint)) for one in way), len(way)

        end = len(parts)
        after = _laid(end, lambda first, last: stored(end - last, end - first), cost)
        return StoredRuns(_laid(end, stored, cost), [run[::-1] for run in after])


def _laid(
    length: int,
    stored: Callable[[int, int], Incoming | None],
    cost: Callable[[Sequence[Incoming]], tuple[int, int]],
) -> list[list[Incoming]]:
    """For 0 to `length` paragraphs the messages, at least two, that they are, those that cost least; `stored` tells
    of a run of them, first and past-the-last, which one it is."""
    least: list[list[Incoming] | None] = [[]]
    several: list[list[Incoming]] = [[]]
    for last in range(1, length + 1):
        ways = [
            [*before, part]
            for first, before in enumerate(least)
            if before is not None and (part := stored(first, last)) is not None
        ]
        least.append(min(ways, key=cost, default=None))
        several.append(min((way for way in ways if len(way) > 1), key=cost, default=[]))
    return several


def stored_part(row: Incoming, parts: Sequence[str], tree: TreeView) -> Incoming | None:
    """Some paragraphs of a row as a row, where the tree holds that."""
    part = row_part(row, parts, tree)
    if len(parts) in range(2, MOST_NAMED) or is_led(part):
        part = as_stored(part, tree, [row.speaker] if row.speaker else tree.speakers(row.role))
    return part if tree.ids_of(part.fingerprint) else None


def row_part(row: Incoming, parts: Sequence[str], tree: TreeView) -> Incoming:
    """Some paragraphs of a row as a row, of whose name leads them where the tree knows that one."""
    text = joined(parts)
    name = prefix_of(text, filter(None, (row.speaker, *tree.speakers(row.role))))
    part = row_of(row.role, name or row.speaker, text, [], row.index)
    return replace(part, glued=row.glued, merged=row.merged)
