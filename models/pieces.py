"""Cuts long texts into overlapping pieces on word boundaries."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

LONGEST_WORD = 40
"""Characters; what is written without spaces is cut after so many."""
BYTES_A_TOKEN = 4
"""About, in running text; for the cost of texts too short to be counted."""

_WORD = re.compile(rf"\S{{1,{LONGEST_WORD}}}")


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a text that goes through the model at once."""

    text: str
    start: int
    """First character in the whole text."""
    tokens: int
    """How many: counted in a text of several pieces, estimated otherwise."""
    head: int = 0
    """How many tokens at its beginning are rather taken from the piece before."""
    tail: int = 0
    """How many at its end are rather taken from the piece after."""

    @property
    def span(self) -> tuple[int, int]:
        """Where it stands in the text, half open."""
        return self.start, self.start + len(self.text)


def pieces(text: str, count: Callable[[list[str]], Sequence[int]], size: int, overlap: int) -> list[Piece]:
    """The text in pieces of at most `size` tokens that share up to `overlap` tokens with the one before.

    `count` gives the tokens of each word. A text of up to `size` bytes is returned as it is without counting,
    for no token is shorter than a byte. Tokens that two pieces share are split between them at the middle.
    """
    if len(text) <= size and (n_bytes := len(text.encode("utf-8", "surrogatepass"))) <= size:
        return [Piece(text, 0, n_bytes // BYTES_A_TOKEN + 1)]
    words = list(_WORD.finditer(text))
    lengths = count([word.group() for word in words]) if words else []
    if sum(lengths) <= size:
        return [Piece(text, 0, sum(lengths))]
    found = spans(lengths, size, overlap)
    middles = [(first + last + 1) // 2 for (_, last), (first, _) in pairwise(found)]
    begins, ends = [found[0][0], *middles], [*middles, found[-1][1]]
    return [
        Piece(
            text[words[first].start() : words[last - 1].end()],
            words[first].start(),
            sum(lengths[first:last]),
            head=sum(lengths[first:begin]),
            tail=sum(lengths[end:last]),
        )
        for (first, last), begin, end in zip(found, begins, ends, strict=True)
    ]


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
