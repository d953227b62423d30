"""Texts that nobody says are as near to a query as their best piece is, once they are read."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from memory.stored import TreeKey
from models.encoding import Encoding, unit
from models.token_codes import TokenCodec
from nodes import unsaid
from nodes.unsaid import Reader, Shelf, Unsaid

PIECES = {"short": 1, "long": 3, "longer": 4, "new": 2}


class Embedder:
    """Random vectors, so many as a text has pieces."""

    weights_hash = "random"
    token_dimension = 8

    def __init__(self) -> None:
        self.vectors: dict[str, np.ndarray] = {}

    async def encode(self, text: str, *, urgent: bool = False) -> Encoding:
        random = np.random.default_rng(len(text))
        pieces = unit(random.normal(size=(PIECES[text], 8)).astype(np.float32))
        self.vectors[text] = pieces
        starts = 7 * np.arange(len(pieces), dtype=np.int32)
        return Encoding(pieces, (), pieces, np.zeros(len(pieces), np.int32), starts)


async def read(reader: Reader) -> None:
    """Until everything that was asked for is read."""
    await asyncio.gather(*reader._tasks.values())


async def test_the_best_piece_counts_and_what_is_read_later_comes_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unsaid, "LATER", 0)
    embedder = Embedder()
    reader = Reader(embedder, TokenCodec.open("random", 8))
    key, query = TreeKey("local", "tree"), unit(np.ones(8, np.float32))
    first = Shelf.of(key, [Unsaid("lore", n, text) for n, text in enumerate(("long", "short"))], reader)
    assert np.isnan(first.cosine(query)).all()
    await read(reader)
    texts = ("short", "new", "longer", "long")
    shelf = Shelf.of(key, [Unsaid("lore", n, text) for n, text in enumerate(texts)], reader)
    assert np.isnan(shelf.cosine(query)).tolist() == [False, True, True, False]
    await read(reader)
    best = [float((embedder.vectors[text] @ query).max()) for text in texts]
    assert shelf.cosine(query) == pytest.approx(best, abs=1e-6)
    assert first.cosine(query) == pytest.approx([best[3], best[0]], abs=1e-6)


async def test_where_the_tokens_of_a_text_stand_is_told_as_it_was_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(unsaid, "LATER", 0)
    reader = Reader(Embedder(), TokenCodec.open("random", 8))
    shelf = Shelf.of(TreeKey("local", "tree"), [Unsaid("lore", 0, "longer")], reader)
    assert await shelf.codes([1]) == {}
    await read(reader)
    assert (await shelf.codes([1]))[1].starts.tolist() == [0, 7, 14, 21]


def test_a_shelf_of_nothing_is_near_to_nothing() -> None:
    shelf = Shelf.of(TreeKey("local", "tree"), [], Reader(Embedder(), TokenCodec.open("random", 8)))
    assert shelf.cosine(np.ones(8, np.float32)).shape == (0,)
