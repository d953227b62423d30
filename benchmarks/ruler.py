"""The yardstick of a machine: one bare embedding of a fixed message, and times measured by it."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median, quantiles

from benchmarks.seeded_chats import WORDS
from models.weights import built_in_folder

RULER_TEXT = " ".join(WORDS[i % len(WORDS)] for i in range(30))


def ruler() -> Callable[[], float]:
    """The yardstick: seconds of one bare embedding with the verified weights, PyTorch, one thread."""
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(1)
    model = SentenceTransformer(str(built_in_folder()), device="cpu")

    def measure() -> float:
        began = time.perf_counter()
        model.encode(RULER_TEXT, show_progress_bar=False)
        return time.perf_counter() - began

    for _ in range(10):
        measure()
    return measure


def summary(seconds: list[float], rulers: list[float]) -> dict[str, float]:
    """p50 and p95 in ms, and in rulers."""
    p50, p95, unit = median(seconds), quantiles(seconds, n=20)[-1], median(rulers)
    return {
        "n": len(seconds),
        "p50_ms": round(1000 * p50, 2),
        "p95_ms": round(1000 * p95, 2),
        "p50_rulers": round(p50 / unit, 2),
        "p95_rulers": round(p95 / unit, 2),
    }
