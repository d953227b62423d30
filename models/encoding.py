"""What a text becomes in the embedding model, and what a backend of the embedder must be able to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Encoding:
    """One text's vectors, all from one pass of its pieces; the arrays cannot be written."""

    pieces: Floats
    """Shape (pieces, dimension), rows of length 1: one up to 200 word pieces, overlapping pieces beyond."""
    spans: tuple[tuple[int, int], ...]
    """Where each piece stands in the text, in characters, half open; what no piece covers is white space."""
    tokens: Floats
    """Shape (tokens, token_dimension), rows of length 1: the last hidden state of every token in the order of
    the text, without the model's own marks; a token of two pieces comes from the one it stands deeper in.
    No rows when the model has no states of tokens."""
    token_ids: npt.NDArray[np.int32]
    """Shape (tokens,): which entry of the model's vocabulary each row of `tokens` is."""
    starts: npt.NDArray[np.int32]
    """Shape (tokens,): the character of the text at which each token begins."""

    @property
    def nbytes(self) -> int:
        """Memory that the arrays take."""
        return self.pieces.nbytes + self.tokens.nbytes + self.token_ids.nbytes + self.starts.nbytes


@dataclass(frozen=True, slots=True, eq=False)
class Pass:
    """What the model makes of one piece."""

    vector: Floats
    """Shape (dimension,), length 1."""
    tokens: Floats
    """Shape (tokens, token_dimension), rows of length 1, without the model's own marks."""
    token_ids: npt.NDArray[np.int32]
    starts: npt.NDArray[np.int32]
    """Shape (tokens,): the character of the piece at which each token begins."""


class Backend(Protocol):
    """A loaded model; it is called on one thread only."""

    dimension: int
    token_dimension: int
    weights_hash: str
    piece_tokens: int
    """How many tokens a piece may have."""

    def lengths(self, words: list[str]) -> Sequence[int]:
        """How many tokens each word has."""
        ...

    def forward(self, texts: Sequence[str]) -> list[Pass]:
        """One pass over a batch of pieces, results in their order."""
        ...


def unit(rows: Floats) -> Floats:
    """The rows at length 1; shape unchanged. A row of zeros stays one."""
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    scaled: Floats = rows / np.maximum(lengths, np.finfo(np.float32).tiny)
    return scaled


def token_texts(text: str, starts: Sequence[int]) -> list[str]:
    """The tokens of a text in lower case, from where they begin; one inside a word is led by "##"."""
    ends = [*starts[1:], len(text)]
    found = [text[a:b].strip().lower() for a, b in zip(starts, ends, strict=True)]
    return [
        f"##{token}" if start and token[:1].isalnum() and text[start - 1].isalnum() else token
        for token, start in zip(found, starts, strict=True)
    ]
