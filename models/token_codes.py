"""Token codes: a text's token vectors in 128 bytes each, and late interaction over them.

The projection of the built-in weights, `token_codes_minilm.npy` (float16, 385 x 128, the last row an offset),
was fitted to token vectors of GoEmotions (Demszky et al., 2020; train.tsv, Apache-2.0), which are centred and
reduced to their 128 principal directions; a direction is weighted by its variance to the power of -1/4, half
of what would make all alike. What is left out is mostly what the model's tokens take from their whole
sentence: single words are told apart better with the codes than with all 384 floats. `python -m
benchmarks.fit_token_codes` makes the file again. It belongs to the weights BUILT_IN_SHA256 and is under this
project's licence.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.encoding import Floats, unit
from models.weights import BUILT_IN_SHA256

DIMENSION = 128
CODE_BYTES = 128
"""Of a token."""
LARGEST = 0.4
"""What the code 127 stands for; unit rows of 128 even dimensions scatter by 0.09, beyond is clipped."""
MINILM_PROJECTION = Path(__file__).with_name("token_codes_minilm.npy")

Codes = npt.NDArray[np.int8]


class TokenCodec:
    """Makes token codes. `key` names the weights and the projection: codes of other keys do not compare."""

    def __init__(self, projection: Floats, weights_hash: str) -> None:
        """`projection` has the shape (token_dimension + 1, 128), its last row is added."""
        self._directions, self._offset = projection[:-1], projection[-1]
        self.key = hashlib.sha256(weights_hash.encode() + projection.tobytes()).hexdigest()

    @classmethod
    def open(cls, weights_hash: str, token_dimension: int) -> TokenCodec:
        """The fitted projection for the built-in weights; for others an even one, drawn from a seed."""
        if weights_hash == BUILT_IN_SHA256:
            return cls(np.load(MINILM_PROJECTION).astype(np.float32), weights_hash)
        return cls(drawn(token_dimension), weights_hash)

    def project(self, tokens: Floats) -> Floats:
        """Shape (tokens, 128), rows of length 1, from unit rows (tokens, token_dimension)."""
        return unit(tokens @ self._directions + self._offset)

    def codes(self, tokens: Floats) -> Codes:
        """`project` in 128 bytes a token."""
        scaled = np.rint(self.project(tokens) * (127 / LARGEST))
        codes: Codes = np.clip(scaled, -127, 127).astype(np.int8)
        return codes


def drawn(token_dimension: int) -> Floats:
    """A projection on random orthogonal directions (Johnson and Lindenstrauss, 1984), always the same."""
    normal = np.random.default_rng(token_dimension).standard_normal((max(token_dimension, DIMENSION),) * 2)
    directions, _ = np.linalg.qr(normal)
    kept = directions[:token_dimension, :DIMENSION].astype(np.float32)
    return np.vstack([kept, np.zeros((1, DIMENSION), np.float32)])


def similarities(query: Floats, texts: Sequence[Codes]) -> Floats:
    """Late interaction (Khattab and Zaharia, ColBERT, 2020), not yet summed: shape (query tokens, texts).

    For each row of the query (from `TokenCodec.project` or `rows`) the cosine of the text's most similar token;
    0 for a text without tokens.
    """
    found = np.zeros((len(query), len(texts)), np.float32)
    lengths = np.array([len(codes) for codes in texts], np.intp)
    if lengths.any():
        tokens = rows(np.concatenate([codes for codes in texts if len(codes)]))
        starts = np.cumsum(lengths[lengths > 0]) - lengths[lengths > 0]
        found[:, lengths > 0] = np.maximum.reduceat(query @ tokens.T, starts, axis=1)
    return found


def rows(codes: Codes) -> Floats:
    """Shape (tokens, 128), rows of length 1: what the codes stand for."""
    return unit(codes.astype(np.float32))
