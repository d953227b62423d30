"""Learned models that are cheap and the same everywhere: an embedder of hashes, and emotions that are calm."""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from models.emotion import Emotion
from models.encoding import Encoding, unit
from tests.truth.chat import NAMES

DIMENSION = 48


class HashEmbedder:
    """An `Embedder` that is cheap and the same everywhere: each word adds a direction drawn from its hash."""

    name = "hash"
    dimension = DIMENSION
    token_dimension = DIMENSION
    weights_hash = "hash"

    def __init__(self) -> None:
        self.forward_passes = 0
        self.texts: Counter[str] = Counter()

    async def embed(self, text: str, *, urgent: bool = False) -> npt.NDArray[np.float32]:
        """One row; names say nothing, so that "Mira: hello" is "hello"."""
        return (await self.encode(text, urgent=urgent)).pieces

    async def encode(self, text: str, *, urgent: bool = False) -> Encoding:
        """One piece; a token for every word."""
        if not urgent:
            self.forward_passes += 1
            self.texts[text] += 1
        words = list(re.finditer(r"\w+", text))
        tokens = np.array([_direction(word.group()) for word in words], np.float32).reshape(-1, DIMENSION)
        starts = np.array([word.start() for word in words], np.int32)
        return Encoding(
            embedding(text)[None, :], ((0, len(text)),), unit(tokens), np.zeros(len(words), np.int32), starts
        )

    async def close(self) -> None:
        """Nothing is held."""


@lru_cache(maxsize=4096)
def embedding(text: str) -> npt.NDArray[np.float32]:
    """The unit vector of a text, shape (dimension,)."""
    words = [w for w in re.findall(r"\w+", text) if w not in NAMES] or ["nothing"]
    total = np.zeros(DIMENSION, np.float32)
    for word in words:
        total += _direction(word)
    return total / np.float32(np.linalg.norm(total))


_DIRECTIONS: dict[str, npt.NDArray[np.float32]] = {}


def _direction(word: str) -> npt.NDArray[np.float32]:
    if word not in _DIRECTIONS:
        bits = np.frombuffer(blake2b(word.encode(), digest_size=DIMENSION).digest(), np.uint8)
        _DIRECTIONS[word] = bits.astype(np.float32) - 127.5
    return _DIRECTIONS[word]


class Calm:
    """An `EmotionDetector` that finds nothing."""

    name = "calm"

    async def read(self, text: str) -> Emotion:
        return Emotion("neutral", 1.0)
