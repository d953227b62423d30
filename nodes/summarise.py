"""Summarise: when enough messages have no summary yet, ask for one; a worker writes it later."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from langgraph.runtime import Runtime

from graph.context import TurnContext
from graph.state import TurnState
from memory.path import Path, encode
from memory.transcript import Summary, Transcript, TreeKey


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
    """The runs of `every` messages, from the path's beginning, that no summary covers."""
    covered: set[int] = set()
    for summary in done:
        covered.update(Path(summary.over))
    bare = [i for i in path if i not in covered]
    return [bare[at : at + every] for at in range(0, len(bare) - every + 1, every)]
