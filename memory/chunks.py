"""Cutting text into overlapping pieces."""

from __future__ import annotations

import re


def chunk(text: str, size: int = 200, overlap: int = 50) -> list[str]:
    """Pieces of at most `size` characters, cut between words, each repeating about `overlap` of the last.

    Runs of whitespace become one space; a word longer than `size` is cut. Empty text has no pieces.
    """
    words = [w[at : at + size] for w in re.split(r"\s+", text) for at in range(0, len(w), size)]
    pieces: list[str] = []
    start = 0
    while start < len(words):
        stop, length = start + 1, len(words[start])
        while stop < len(words) and length + 1 + len(words[stop]) <= size:
            length += 1 + len(words[stop])
            stop += 1
        pieces.append(" ".join(words[start:stop]))
        if stop == len(words):
            break
        start = _overlapping(words, start, stop, min(overlap, size - 1 - len(words[stop])))
    return pieces


def _overlapping(words: list[str], start: int, stop: int, overlap: int) -> int:
    """The word that the next piece begins with: at most `overlap` characters before `stop`, after `start`."""
    length = -1
    while stop > start + 1 and length + 1 + len(words[stop - 1]) <= overlap:
        length += 1 + len(words[stop - 1])
        stop -= 1
    return stop
