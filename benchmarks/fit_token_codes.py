"""Fits the projection of token codes to the built-in weights and writes `models/token_codes_minilm.npy`.

    python -m benchmarks.fit_token_codes PATH/goemotions/train.tsv

Takes the first column of a TSV, embeds a sample drawn from a seed, and keeps the 128 eigenvectors of the token
vectors' covariance with the largest eigenvalues (PCA), turned by a random rotation, which changes no inner
product and makes all dimensions about equally wide, as two bits for each of them want it.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.embedding_minilm import MiniLMBackend
from models.token_codes import DIMENSION, MINILM_PROJECTION

BATCH = 16

Matrix = npt.NDArray[np.float64]


def moments(texts: list[str]) -> tuple[Matrix, Matrix]:
    """Mean, shape (384,), and covariance, shape (384, 384), of all token vectors, by float32 weights."""
    backend = MiniLMBackend("float32", threads=1)
    texts = sorted(texts, key=len)
    count, total, squares = 0, np.zeros(backend.token_dimension), np.zeros((backend.token_dimension,) * 2)
    for at in range(0, len(texts), BATCH):
        tokens = np.vstack([made.tokens for made in backend.forward(texts[at : at + BATCH])])
        count += len(tokens)
        total += tokens.sum(axis=0)
        squares += tokens.T @ tokens
    mean = total / count
    return mean, squares / count - np.outer(mean, mean)


def projection(mean: Matrix, covariance: Matrix, seed: int) -> Matrix:
    """Shape (385, 128): the directions, and what they make of the mean, taken off."""
    _, vectors = np.linalg.eigh(covariance)
    rotation, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((DIMENSION, DIMENSION)))
    directions = vectors[:, -DIMENSION:] @ rotation
    return np.vstack([directions, -mean @ directions])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("tsv", type=Path, help="GoEmotions' train.tsv")
    parser.add_argument("--texts", type=int, default=12_000)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    lines = [line.split("\t")[0] for line in options.tsv.read_text("utf-8").splitlines()]
    mean, covariance = moments(random.Random(options.seed).sample(lines, options.texts))
    np.save(MINILM_PROJECTION, projection(mean, covariance, options.seed).astype(np.float16))
    kept = np.linalg.eigvalsh(covariance)[-DIMENSION:].sum() / np.trace(covariance)
    print(f"{MINILM_PROJECTION}: {options.texts} texts, seed {options.seed}, {kept:.1%} of the variance kept")


if __name__ == "__main__":
    main()
