"""Where a text that may be several messages in one is cut: before paragraphs that names lead."""

from __future__ import annotations

from collections.abc import Callable, Sequence

MOST_TOGETHER = 8
"""So many pieces, and no more, may be one message that is stored."""

StoredAt = Callable[[str], int]
"""The newest message that says this, 0: none does."""


def pieces(
    parts: Sequence[str], starts: Sequence[int], stored_at: Sequence[StoredAt]
) -> list[tuple[int, int]]:
    """The paragraphs, first and past-the-last, from each start to the next, but those in one that are one stored
    message; `stored_at` is of each start, for who leads tells whose words they are."""
    ends = [*starts[1:], len(parts)]
    found: list[tuple[int, int]] = []
    n = 0
    while n < len(starts):
        several = range(min(len(starts), n + MOST_TOGETHER) if n else len(starts), n + 1, -1)
        end = next((end for end in several if _are_one(parts, starts, ends, n, end, stored_at)), n + 1)
        found.append((starts[n], ends[end - 1]))
        n = end
    return found


def _are_one(
    parts: Sequence[str],
    starts: Sequence[int],
    ends: Sequence[int],
    first: int,
    end: int,
    stored_at: Sequence[StoredAt],
) -> bool:
    """Whether the pieces are stored as one, and not since then apart: what was told later holds."""
    whole = stored_at[first](text_of_parts(parts[starts[first] : ends[end - 1]]))
    apart = (stored_at[n](text_of_parts(parts[starts[n] : ends[n]])) for n in range(first, end))
    return bool(whole) and any(one < whole for one in apart)


def text_of_parts(parts: Sequence[str]) -> str:
    return "\n\n".join(parts)
