"""Vectors to measure stores with: made from a seed, batch by batch, so that none are held meanwhile."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from memory.path import Path as MessagePath
from memory.path import encode

Vectors = npt.NDArray[np.float32]

DIMENSION = 384
BATCH = 1_000
DECAY = 0.95
"""The i-th principal direction's variance is i ** -DECAY: about 30 directions count, as of MiniLM's on chats."""
QUERY_NOISE = 0.6
OFF_PATH = 10
"""Every so many messages one is a swiped reply, off the path."""


def batches(chat: int, count: int, seed: int) -> Iterator[Vectors]:
    """The unit vectors of a chat's messages in order, shape (at most BATCH, DIMENSION)."""
    for start in range(0, count, BATCH):
        rng = np.random.default_rng([seed, chat, start])
        yield _unit(rng.normal(size=(min(BATCH, count - start), DIMENSION)) * _spectrum())


def queries(chats: int, count: int, asked: int, seed: int) -> Vectors:
    """Shape (asked, DIMENSION): each a blurred message of any of the chats, so that something is near it."""
    rng = np.random.default_rng([seed, chats, count, asked])
    firsts = [next(batches(chat, count, seed)) for chat in range(chats)]
    chosen = np.concatenate(firsts)[rng.integers(0, sum(map(len, firsts)), asked)]
    return _unit(chosen + QUERY_NOISE * _unit(rng.normal(size=chosen.shape) * _spectrum()))


def path_of(count: int) -> MessagePath:
    """Message ids 1 to count without those that were swiped away."""
    return MessagePath(encode(i for i in range(1, count + 1) if i % OFF_PATH))


def exact(chats: int, count: int, asked: Vectors, k: int, seed: int) -> list[set[tuple[int, int]]]:
    """The k messages (chat, id) on the paths with the largest cosine to each query, by brute force."""
    on_path = np.arange(1, count + 1) % OFF_PATH != 0
    best: list[list[tuple[float, int, int]]] = [[] for _ in asked]
    for chat in range(chats):
        scores = np.concatenate([asked @ batch.T for batch in batches(chat, count, seed)], axis=1)
        scores[:, ~on_path] = -np.inf
        nearest = np.argpartition(-scores, k, axis=1)[:, :k]
        for row, found in enumerate(nearest):
            best[row] += [(float(scores[row, i]), chat, int(i) + 1) for i in found]
    return [{(chat, i) for _, chat, i in sorted(row, reverse=True)[:k]} for row in best]


def _spectrum() -> npt.NDArray[np.float64]:
    """Standard deviations that fall off as those of sentence embeddings do: few directions hold the most."""
    return np.power(np.arange(1, DIMENSION + 1, dtype=np.float64), -DECAY / 2)


def _unit(vectors: npt.NDArray[np.float64]) -> Vectors:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / lengths, dtype=np.float32)
