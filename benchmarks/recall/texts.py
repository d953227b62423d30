"""Chats made from a seed whose words are as unevenly frequent as a language's, for measuring speed."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np

from models.weights import built_in_folder

VOCABULARY = 5_000
SHIFT = 2.7
"""Word number r has a frequency of 1 / (r + 2.7), Zipf's law as Mandelbrot has it (1953)."""
WORDS = 30
SENTENCE = 10


@cache
def vocabulary() -> list[str]:
    """English words, most frequent first: the embedding model's own, whose vocabulary is in this order.

    Each is one token, so that a message of 30 words is as long for the model as the ruler's.
    """
    entries = (built_in_folder() / "vocab.txt").read_text().split("\n")
    words = (entry for entry in entries if len(entry) > 1 and entry.isascii() and entry.isalpha())
    return [word for word, _ in zip(words, range(VOCABULARY), strict=False)]


def texts(seed: int, block: int = 1_000) -> Iterator[str]:
    """Messages of 30 words without end; the most frequent word is in two of three."""
    rng = np.random.default_rng(seed)
    words = np.array(vocabulary())
    frequency = 1 / (np.arange(len(words)) + 1 + SHIFT)
    while True:
        drawn = rng.choice(len(words), size=(block, WORDS), p=frequency / frequency.sum())
        for row in words[drawn]:
            sentences = (row[at : at + SENTENCE] for at in range(0, WORDS, SENTENCE))
            yield " ".join(" ".join(sentence).capitalize() + "." for sentence in sentences)


def chat(seed: int, length: int) -> list[dict[str, str]]:
    """A chat in OpenAI's shape: user and character in turn, the user first."""
    roles = ("user", "assistant")
    said = zip(texts(seed), range(length), strict=False)
    return [{"role": roles[n % 2], "content": text} for text, n in said]
