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
from models.weights import BUILT_IN_SHA256, multiplies_bfloat16

DIMENSION = 128
CODE_BYTES = DIMENSION // 4
"""Of a token."""
LEVELS = np.array([-1.510, -0.4528, 0.4528, 1.510], np.float32) / np.float32(DIMENSION**0.5)
"""What the four codes of a dimension stand for: rows of length 1 scatter by 1 / sqrt(128) in each."""
MEAN_LENGTH = np.float32(0.9394)
"""Of rows made of these levels, sqrt(1 - 0.1175): what is lost makes them shorter."""
FLOATS_AT_ONCE, HALVES_AT_ONCE = 1000, 16_000
"""Tokens of texts that are looked at together."""
HALVES_FROM = 32
"""From so many tokens of a query on the matrix units for bfloat16 are quicker than products in float32."""
EVEN_ROWS = 1024
"""To a multiple of it matrices are filled up: for each shape that is new PyTorch prepares its product anew."""
ALIKE = 8
"""Tokens by which the lengths of texts differ at most that stand side by side."""
BORDERS = (LEVELS[:-1] + LEVELS[1:]) / 2
MINILM_PROJECTION = Path(__file__).with_name("token_codes_minilm.npy")

Codes = npt.NDArray[np.uint8]
Counts = npt.NDArray[np.intp]

_SHIFTS = np.arange(0, 8, 2)
_DECODED: Floats = LEVELS[np.arange(256)[:, None] >> _SHIFTS & 3] / MEAN_LENGTH
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


def similarities(query: Floats, texts: Sequence[bytes]) -> Floats:
    """Late interaction (Khattab and Zaharia, ColBERT, 2020), not yet summed: shape (query tokens, texts).

    For each row of the query (from `TokenCodec.project` or `rows`) the cosine of the text's most similar token,
    right to a few hundredths; 0 for a text without tokens. A text is the codes of its tokens, one after another.
    """
    best = np.zeros((len(texts), len(query)), np.float32)
    lengths = np.array([len(codes) for codes in texts], np.intp) // CODE_BYTES
    said = np.flatnonzero(lengths)
    order = said[np.argsort(lengths[said], kind="stable")]
    if len(order):
        codes = np.frombuffer(b"".join([texts[n] for n in order]), np.uint8).reshape(-1, CODE_BYTES)
        find = _in_halves if len(query) >= HALVES_FROM and multiplies_bfloat16() else _in_floats
        best[order] = find(query, codes, lengths[order])
    return np.ascontiguousarray(best.T)


def rows(codes: Codes) -> Floats:
    """Shape (tokens, 128), rows of length 1: what the codes stand for."""
    return unit(_decoded(codes))


def _decoded(codes: Codes) -> Floats:
    return np.take(_DECODED, codes, axis=0).reshape(len(codes), DIMENSION)


def _in_floats(query: Floats, codes: Codes, lengths: Counts) -> Floats:
    """Shape (texts, query tokens), so many tokens at a time that they stay in the processor's cache."""
    best = np.empty((len(lengths), len(query)), np.float32)
    ends, columns, first = np.cumsum(lengths), np.ascontiguousarray(query.T), 0
    while first < len(lengths):
        start = ends[first] - lengths[first]
        last = max(first + 1, int(np.searchsorted(ends, start + FLOATS_AT_ONCE, side="right")))
        cosines = _decoded(codes[start : ends[last - 1]]) @ columns
        np.maximum.reduceat(cosines, ends[first:last] - lengths[first:last] - start, out=best[first:last])
        first = last
    return best


def _in_halves(query: Floats, codes: Codes, lengths: Counts) -> Floats:
    """The same by the CPU's matrix units, for texts of like length side by side, in order of length: the first tokens
    of all, then the second ones, so that the best ones are found many at a time."""
    import torch  # not before an embedder has loaded it

    torch.set_num_threads(1)  # it is kept by thread, and this is any of a pool's
    best = np.empty((len(lengths), len(query)), np.float32)
    columns = torch.from_numpy(query).bfloat16().T.contiguous()
    bytes_as_halves = torch.from_numpy(_DECODED).bfloat16().view(torch.int16).numpy().view(np.uint64)[:, 0]
    starts, first = np.cumsum(lengths) - lengths, 0
    while first < len(lengths):
        alike = int(np.searchsorted(lengths, lengths[first] + ALIKE, side="right"))
        last = min(alike, first + max(1, HALVES_AT_ONCE // int(lengths[first] + ALIKE)))
        places = np.minimum(np.arange(lengths[last - 1])[:, None], lengths[first:last] - 1)  # the last again
        filled = np.zeros(-(-places.size // EVEN_ROWS) * EVEN_ROWS, np.intp)
        np.add(places, starts[first:last], out=filled[: places.size].reshape(places.shape))
        halves = np.take(bytes_as_halves, np.take(codes, filled, axis=0)).view(np.int16)
        cosines = (torch.from_numpy(halves).view(torch.bfloat16) @ columns)[: places.size]
        best[first:last] = cosines.view(*places.shape, len(query)).amax(dim=0).float().numpy()
        first = last
    return best
