"""Cuts long texts into overlapping pieces on word boundaries."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

LONGEST_WORD = 40
"""Characters; what is written without spaces is cut after so many."""

_WORD = re.compile(rf"\S{{1,{LONGEST_WORD}}}\s*")


def pieces(text: str, count: Callable[[list[str]], Sequence[int]], size: int, overlap: int) -> list[str]:
    """The text in pieces of at most `size` tokens that share up to `overlap` tokens with the one before.

    `count` gives the tokens of each word. A text of up to `size` bytes is returned as it is without counting,
    for no token is shorter than a byte.
    """
    if len(text) <= size and len(text.encode("utf-8", "surrogatepass")) <= size:
        return [text]
    words = _WORD.findall(text)
    lengths = count(words) if words else []
    if sum(lengths) <= size:
        return [text]
    return ["".join(words[first:last]).rstrip() for first, last in spans(lengths, size, overlap)]


def spans(lengths: Sequence[int], size: int, overlap: int) -> list[tuple[int, int]]:
    """Half-open spans over words of these lengths: together they cover all, each holds at most `size`
    (or one longer word), each begins after the one before it and shares up to `overlap` with it."""
    found: list[tuple[int, int]] = []
    first = 0
    while True:
        last = _end(lengths, first, size)
        found.append((first, last))
        if last >= len(lengths):
            return found
        first = _next_start(lengths, first, last, overlap)


def _end(lengths: Sequence[int], first: int, size: int) -> int:
    total, last = 0, first
    while last < len(lengths) and (last == first or total + lengths[last] <= size):
        total += lengths[last]
        last += 1
    return last


def _next_start(lengths: Sequence[int], first: int, last: int, overlap: int) -> int:
    start, shared = last, 0
    while start - 1 > first and shared + lengths[start - 1] <= overlap:
        start -= 1
        shared += lengths[start]
    return start
