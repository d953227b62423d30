"""How well a ranking finds the evidence: recall@k, nDCG@k, and paired bootstrap intervals."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import numpy as np

RESAMPLES = 10_000


def recall_at(k: int, ranked: Sequence[str], evidence: Collection[str]) -> float:
    """The share of the evidence among the first k, in [0, 1]."""
    return len(set(ranked[:k]) & set(evidence)) / len(set(evidence))


def ndcg_at(k: int, ranked: Sequence[str], evidence: Collection[str]) -> float:
    """Discounted gain of the first k over that of all relevant first (Järvelin and Kekäläinen, 2002).

    The ideal counts every relevant item, also those beyond k: with more than k of them 1 is out of reach.
    """
    gain = sum(1 / math.log2(n + 2) for n, i in enumerate(ranked[:k]) if i in evidence)
    return gain / sum(1 / math.log2(n + 2) for n in range(len(set(evidence))))


def mean(values: Sequence[float]) -> float:
    """In percent, one decimal is told."""
    return 100 * float(np.mean(values)) if len(values) else float("nan")


def paired_interval(ours: Sequence[float], other: Sequence[float], seed: int) -> tuple[float, float]:
    """The 95 percent bootstrap interval of the mean difference, in points, questions resampled in pairs."""
    difference = np.asarray(ours) - np.asarray(other)
    draws = np.random.default_rng(seed).integers(0, len(difference), (RESAMPLES, len(difference)))
    low, high = np.quantile(difference[draws].mean(axis=1), [0.025, 0.975])
    return 100 * float(low), 100 * float(high)
