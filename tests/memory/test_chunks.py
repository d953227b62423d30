"""Pieces of a text overlap, end between words and lose nothing."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from memory.chunks import chunk

WORDS = st.lists(st.text("abc", min_size=1, max_size=60), max_size=60)


@given(WORDS)
def test_pieces_are_short_and_hold_every_word_in_order(words):
    pieces = [piece.split() for piece in chunk(" ".join(words))]
    assert all(len(" ".join(piece)) <= 200 for piece in pieces)
    at = 0
    for piece in pieces:
        starts = [n for n in range(max(at - len(piece), 0), at + 1) if words[n : n + len(piece)] == piece]
        assert starts
        at = starts[-1] + len(piece)
    assert at == len(words)


def test_each_piece_repeats_about_fifty_characters_of_the_last():
    words = [f"word{n:03}" for n in range(200)]
    pieces = chunk(" ".join(words))
    for before, after in pairwise(pieces):
        shared = next(n for n in range(200, 0, -1) if before.endswith(after[:n]))
        assert 40 <= shared <= 50


def test_a_word_longer_than_a_piece_is_cut():
    assert [len(piece) for piece in chunk("x" * 450)] == [200, 200, 50]


def test_empty_text_has_no_pieces():
    assert chunk(" \n ") == []
