"""Summarise: when enough messages have no summary yet, ask for one; a worker writes it later."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from langgraph.runtime import Runtime

from graph.context import TurnContext
from graph.state import TurnState
from memory.path import Path, encode
from memory.stored import Summary, TreeKey
from memory.transcript import Transcript


@dataclass(frozen=True)
class Summarise:
    """Every `every` messages one job; it is dropped by the worker when the path has changed by then."""

    transcript: Transcript
    every: int

    async def __call__(self, state: TurnState, runtime: Runtime[TurnContext]) -> dict[str, Any]:
        key = TreeKey((runtime.context or TurnContext()).owner, state.tree_id)
        path = Path(state.stored["path"])
        done = await self.transcript.summaries(key, path)
        runs = due(path, done, self.every)
        jobs = [await self.transcript.enqueue_summary(key, state.session_id, encode(run)) for run in runs]
        return {"summary_job": {"ids": jobs, "runs": [[run[0], run[-1]] for run in runs]} if jobs else {}}


def is_due(state: TurnState, every: int) -> bool:
    """Whether the path is long enough for a summary at all."""
    return bool(state.stored) and state.stored["length"] >= every


def due(path: Path, done: list[Summary], every: int) -> list[list[int]]:
    """The runs of the path that need a summary: `every` messages each from where the last summary ends.

    Where a summary fell away because its messages changed, what stands between its neighbours is taken up
    again, unless it is less than half a run. `done` is in path order.
    """
    runs: list[list[int]] = []
    at = 0
    for summary in done:
        first, last = path.position(summary.over[0][0]), path.position(summary.over[-1][1])
        if first is None or last is None:
            continue
        runs += [
            path.slice(i, min(i + every, first)) for i in range(at, first, every) if first - i > every // 2
        ]
        at = last + 1
    return runs + [path.slice(i, i + every) for i in range(at, len(path) - every + 1, every)]
