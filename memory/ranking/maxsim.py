"""Late interaction over small token codes: each word of the query meets the likest word of a message."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Codes = npt.NDArray[np.int8]

BASIS_FILE = Path(__file__).parent / "token_basis.npz"
"""Mean (384,) and principal axes (384, 128) of all-MiniLM-L6-v2's unit token vectors over 6,000 comments
of GoEmotions' training split (Demszky et al., 2020; Apache-2.0)."""


@dataclass(frozen=True, slots=True)
class TokenCodec:
    """Token vectors to codes of `basis.shape[1]` bytes a token, by centred PCA."""

    mean: Floats
    basis: Floats

    def project(self, tokens: Floats) -> Floats:
        """Rows of length 1, shape (tokens, dimensions), from token vectors of any length."""
        return _unit(np.asarray((_unit(tokens) - self.mean) @ self.basis, np.float32))

    def encode(self, tokens: Floats) -> Codes:
        """The projected rows as bytes, each scaled so that its largest number is 127."""
        rows = self.project(tokens)
        peak = np.abs(rows).max(axis=1, keepdims=True, initial=1e-9)
        codes: Codes = np.rint(rows * (127 / peak)).astype(np.int8)
        return codes


def open_codec(dimensions: int = 128) -> TokenCodec:
    """The codec for all-MiniLM-L6-v2, with its first `dimensions` axes (at most 128)."""
    with np.load(BASIS_FILE) as file:
        mean, basis = file["mean"].astype(np.float32), file["basis"].astype(np.float32)
    return TokenCodec(mean, np.ascontiguousarray(basis[:, :dimensions]))


def similarities(query: Floats, codes: Codes, starts: npt.NDArray[np.intp]) -> Floats:
    """MaxSim (Khattab and Zaharia, 2020), not yet summed: shape (query tokens, messages).

    `query` holds projected rows; `codes` the tokens of all messages one after another; `starts` where each
    message begins, none of them empty. The best cosine of each query token in each message.
    """
    if not len(starts):
        return np.zeros((len(query), 0), np.float32)
    rows = codes.astype(np.float32)
    cosines = (query @ rows.T) / (np.sqrt(np.einsum("ij,ij->i", rows, rows)) + np.float32(1e-9))
    best: Floats = np.maximum.reduceat(cosines, starts, axis=1)
    return best


def _unit(rows: Floats) -> Floats:
    unit: Floats = rows / (np.linalg.norm(rows, axis=-1, keepdims=True) + np.float32(1e-9))
    return unit
