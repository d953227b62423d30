"""Fits the ranker's numbers: `python -m benchmarks.fit_ranker --data FOLDER`.

Every question of the tuning halves is asked of the stored chat through the graph; the numbers of each candidate
are kept, and weights are found that put the evidence above all other messages. Prints them as
`memory.ranking.ranker.WEIGHTS` has them; nothing else of the data is kept.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from rich.console import Console
from torch import Tensor
from torch.nn.functional import softplus

from benchmarks.recall.__main__ import read
from benchmarks.recall.data import DataSet
from benchmarks.recall.ours import Stored, opened
from graph.context import TurnContext
from memory.ranking.features import FEATURES
from nodes.choosing import Scored

SAY = {"locomo": 1.0, "madial": 0.1, "realistic": 0.1}
"""How much each data set counts."""
PENALTY = 2e-3
"""On the squares of the weights."""
STEPS = 100

Example = tuple[Tensor, Tensor]
"""Of a question: numbers, shape (candidates, FEATURES), and which candidates are evidence."""


async def examples(dataset: DataSet) -> list[Example]:
    """The questions of the tuning half of which a candidate is evidence."""
    found: list[Example] = []
    looked: list[Scored] = []

    def keep(scored: Sequence[Scored], *, in_context: bool) -> list[Scored]:
        looked[:] = scored
        return []

    async with opened() as ours:
        stored: Stored | None = None
        for conversation in (c for c in dataset.conversations if not c.report):
            if stored is None or stored.conversation.lines != conversation.lines:
                stored = await ours.store(conversation)
            for question in (q for q in conversation.questions if q.category != "adversarial"):
                looked.clear()
                with patch("nodes.rerank.worth_telling", keep):
                    await ours.ask(stored, question, TurnContext())
                is_evidence = torch.tensor([stored.lines.get(o.ref) in question.evidence for o in looked])
                if is_evidence.any():
                    found.append((torch.from_numpy(np.stack([o.column for o in looked])), is_evidence))
    return found


def loss(weights: Tensor, one: Example) -> Tensor:
    """The mean over the evidence of minus its log-odds of standing above all other candidates."""
    numbers, is_evidence = one
    scores = numbers @ weights
    others = torch.logsumexp(scores.masked_fill(is_evidence, -1e9), 0)
    return softplus(others - scores[is_evidence]).mean()


def fitted(sets: dict[str, list[Example]]) -> dict[str, float]:
    """The weights by name, with two decimals."""
    weights = torch.zeros(len(FEATURES), requires_grad=True)
    search = torch.optim.LBFGS([weights], max_iter=STEPS, line_search_fn="strong_wolfe")

    def closure() -> float:
        search.zero_grad()
        total = PENALTY * (weights**2).sum()
        for name, found in sets.items():
            total = total + SAY[name] * torch.stack([loss(weights, one) for one in found]).mean()
        total.backward()  # type: ignore[no-untyped-call]
        return float(total.detach())

    search.step(closure)  # type: ignore[no-untyped-call]
    return {name: round(value, 2) for name, value in zip(FEATURES, weights.tolist(), strict=True)}


def main() -> None:
    """Ask, fit, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with locomo*.json, madial, ...")
    options = parser.parse_args()
    read_sets = {name: read(name, options.data) for name in SAY}
    sets = {name: asyncio.run(examples(found)) for name, found in read_sets.items() if found is not None}
    Console().print(fitted(sets))


if __name__ == "__main__":
    main()
