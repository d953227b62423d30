"""Token codes: a text's token vectors in 32 bytes each, and late interaction over them.

The projection of the built-in weights, `token_codes_minilm.npy` (float16, 385 x 128, the last row an offset),
was fitted to token vectors of GoEmotions (Demszky et al., 2020; train.tsv, Apache-2.0), which are centred,
reduced to their 128 principal directions and turned so that all dimensions are about equally wide. `python -m
benchmarks.fit_token_codes` makes the file again. It belongs to the weights BUILT_IN_SHA256 and is under this
project's licence. Each dimension is kept in two bits, at the levels that lose least of a normal distribution
(Max, 1960; Lloyd, 1982); on LoCoMo that costs less than half a point of recall.
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
CODE_BYTES = DIMENSION // 4
"""Of a token."""
LEVELS = np.array([-1.510, -0.4528, 0.4528, 1.510], np.float32) / np.float32(DIMENSION**0.5)
"""What the four codes of a dimension stand for: rows of length 1 scatter by 1 / sqrt(128) in each."""
AT_ONCE = 1024
BORDERS = (LEVELS[:-1] + LEVELS[1:]) / 2
MINILM_PROJECTION = Path(__file__).with_name("token_codes_minilm.npy")

Codes = npt.NDArray[np.uint8]

_SHIFTS = np.arange(0, 8, 2)
_DECODED: Floats = LEVELS[np.arange(256)[:, None] >> _SHIFTS & 3]
"""Shape (256, 4): what each byte stands for."""


class TokenCodec:
    """Makes token codes. `key` names the weights and the projection: codes of other keys do not compare."""

    def __init__(self, projection: Floats, weights_hash: str) -> None:
        """`projection` has the shape (token_dimension + 1, 128), its last row is added."""
        self._directions, self._offset = projection[:-1], projection[-1]
        self.key = hashlib.sha256(weights_hash.encode() + projection.tobytes() + LEVELS.tobytes()).hexdigest()

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
        """Shape (tokens, 32): `project` in two bits a dimension."""
        levels = np.searchsorted(BORDERS, self.project(tokens)).astype(np.uint8)
        parts = levels.reshape(len(tokens), CODE_BYTES, 4) << _SHIFTS.astype(np.uint8)
        codes: Codes = np.bitwise_or.reduce(parts, axis=2)
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
        cosines = _cosines(query, np.concatenate([codes for codes in texts if len(codes)]))
        starts = np.cumsum(lengths[lengths > 0]) - lengths[lengths > 0]
        found[:, lengths > 0] = np.maximum.reduceat(cosines, starts, axis=0).T
    return found


def rows(codes: Codes) -> Floats:
    """Shape (tokens, 128), rows of length 1: what the codes stand for."""
    return unit(_decoded(codes))


def _cosines(query: Floats, codes: Codes) -> Floats:
    """Shape (tokens, query tokens), so many tokens at a time that they stay in the processor's cache."""
    cosines = np.empty((len(codes), len(query)), np.float32)
    for at in range(0, len(codes), AT_ONCE):
        decoded = _decoded(codes[at : at + AT_ONCE])
        lengths = np.sqrt(np.einsum("ij,ij->i", decoded, decoded))
        cosines[at : at + AT_ONCE] = decoded @ query.T / lengths[:, None]
    return cosines


def _decoded(codes: Codes) -> Floats:
    return np.take(_DECODED, codes, axis=0).reshape(len(codes), DIMENSION)
