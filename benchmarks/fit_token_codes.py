"""Fits the projection of token codes to the built-in weights and writes `models/token_codes_minilm.npy`.

    python -m benchmarks.fit_token_codes PATH/goemotions/train.tsv

Takes the first column of a TSV, embeds a sample drawn from a seed, and keeps the 128 eigenvectors of the token
vectors' second moments with the largest eigenvalues (PCA about zero: what is to survive is the inner product),
turned by a random rotation, which changes no inner product and makes all dimensions equally wide.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import numpy as np

from models.embedding_minilm import MiniLMBackend
from models.encoding import Floats
from models.token_codes import DIMENSION, MINILM_PROJECTION

BATCH = 16


def second_moments(texts: list[str]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Shape (384, 384): the sum of the outer products of all token vectors, in float32 weights."""
    backend = MiniLMBackend("float32", threads=1)
    texts = sorted(texts, key=len)
    sums = np.zeros((backend.token_dimension,) * 2)
    for at in range(0, len(texts), BATCH):
        tokens = np.vstack([made.tokens for made in backend.forward(texts[at : at + BATCH])])
        sums += tokens.T @ tokens
    return sums


def projection(moments: np.ndarray[tuple[int, int], np.dtype[np.float64]], seed: int) -> Floats:
    """Shape (384, 128), orthonormal columns."""
    _, vectors = np.linalg.eigh(moments)
    rotation, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((DIMENSION, DIMENSION)))
    found: Floats = (vectors[:, -DIMENSION:] @ rotation).astype(np.float32)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("tsv", type=Path, help="GoEmotions' train.tsv")
    parser.add_argument("--texts", type=int, default=12_000)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    lines = [line.split("\t")[0] for line in options.tsv.read_text("utf-8").splitlines()]
    moments = second_moments(random.Random(options.seed).sample(lines, options.texts))
    fitted = projection(moments, options.seed)
    kept = np.trace(fitted.T @ moments @ fitted) / np.trace(moments)
    np.save(MINILM_PROJECTION, fitted.astype(np.float16))
    print(f"{MINILM_PROJECTION}: {options.texts} texts, seed {options.seed}, {kept:.1%} of the squares kept")


if __name__ == "__main__":
    main()
