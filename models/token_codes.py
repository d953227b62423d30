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

    def codes(self, tokens: Floats) -> Codes:
        """Shape (tokens, 128) from unit rows (tokens, token_dimension)."""
        projected = unit(tokens @ self._directions + self._offset)
        scaled = np.rint(projected * (127 / LARGEST))
        codes: Codes = np.clip(scaled, -127, 127).astype(np.int8)
        return codes


def drawn(token_dimension: int) -> Floats:
    """A projection on random orthogonal directions (Johnson and Lindenstrauss, 1984), always the same."""
    normal = np.random.default_rng(token_dimension).standard_normal((max(token_dimension, DIMENSION),) * 2)
    directions, _ = np.linalg.qr(normal)
    kept = directions[:token_dimension, :DIMENSION].astype(np.float32)
    return np.vstack([kept, np.zeros((1, DIMENSION), np.float32)])


def maxsim(query: Codes, texts: Sequence[Codes], weights: Floats | None = None) -> Floats:
    """Late interaction (Khattab and Zaharia, ColBERT, 2020): shape (texts,), in [-1, 1].

    For each token of the query the cosine of the text's most similar token; their mean over the query,
    weighted by `weights`, shape (query tokens,), where given. 0 for a text, or a query, without tokens.
    """
    lengths = np.array([len(codes) for codes in texts], np.intp)
    scores = np.zeros(len(texts), np.float32)
    given = np.ones(len(query), np.float32) if weights is None else weights
    if not (total := float(given.sum())) or not lengths.sum():
        return scores
    all_codes = np.concatenate([codes for codes in texts if len(codes)]).astype(np.float32)
    scaled = query.T.astype(np.float32) * np.float32((LARGEST / 127) ** 2)
    starts = np.cumsum(lengths[lengths > 0]) - lengths[lengths > 0]
    best = np.maximum.reduceat(all_codes @ scaled, starts, axis=0)
    scores[lengths > 0] = best @ (given / total)
    return scores
