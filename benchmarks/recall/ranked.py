"""Our own rankings of a data set's lines, through the graph, with emotion automatic and off."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, fields, replace
from typing import Any

from benchmarks.recall.baselines import DEPTH, Rankings
from benchmarks.recall.data import DataSet
from benchmarks.recall.ours import Ours, Stored
from graph.context import TurnContext

Said = Callable[[str], None]
"""Told what is being done."""


def modes() -> dict[str, TurnContext]:
    """The contexts that are compared: as a turn has it, but for how many memories are told, and emotion off.

    The second is left out where a turn cannot have its emotion off.
    """
    auto = TurnContext(memories=DEPTH)
    given: dict[str, Any] = {"emotion": "off"}  # Any: values of a context's fields
    known = {field.name for field in fields(TurnContext)}
    return {"auto": auto} | ({"off": replace(auto, **given)} if known >= set(given) else {})


def described() -> dict[str, Any]:
    """The contexts as JSON."""
    return {name: asdict(context) for name, context in modes().items()}


async def rank(ours: Ours, dataset: DataSet, say: Said) -> dict[str, Rankings]:
    """Each conversation stored and asked; by mode, each question's lines, best first, at most DEPTH.

    A conversation with the same lines as the one before it is not stored again.
    """
    ranked: dict[str, Rankings] = {name: [] for name in modes()}
    stored: Stored | None = None
    for conversation in dataset.conversations:
        if stored is None or stored.conversation.lines != conversation.lines:
            say(f"{dataset.name}: storing {conversation.name}, {len(conversation.lines)} lines")
            stored = await ours.store(conversation)
        for name, context in modes().items():
            rows = [lines_of(await ours.ask(stored, q, context), stored) for q in conversation.questions]
            ranked[name].append(rows)
    return ranked


def lines_of(memories: list[dict[str, Any]], stored: Stored) -> list[str]:
    """The data's ids of the lines that were recalled (Any: memories as in the state), each once."""
    refs = (m["ref"] for m in memories if m["kind"] == "message")
    found = (stored.lines[ref] for ref in refs if ref in stored.lines)
    return [line for line in dict.fromkeys(found) if line]
