"""How fast a chat is stored: turn by turn through the graph's own nodes, until everything is embedded and found."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

from langgraph.runtime import Runtime

from benchmarks.recall.ours import OWNER
from benchmarks.recall.ours import WINDOW as SHOWN
from benchmarks.seeded_chats import SYSTEM
from graph.build import Graph
from graph.context import TurnContext
from graph.resources import Resources
from graph.state import Turn, TurnInput, TurnState
from memory.stored import TreeKey

REPLY = "Yes, I think so too."
FOUND = 50
"""So many stored messages are looked up by their own vectors."""

Message = dict[str, str]


def turn_of(name: str, shown: Sequence[Message], text: str) -> TurnInput:
    """A request of a chat: its newest messages, and a new one."""
    messages = [{"role": "system", "content": SYSTEM}, *shown, {"role": "user", "content": text}]
    turn = Turn(messages, session_id=name, tree_id=name, chat_id=name, character="Mira", user_name="Alex")
    return cast(TurnInput, turn.as_input())


async def store_turns(
    resources: Resources, graph: Graph, name: str, messages: Sequence[Message]
) -> dict[str, float]:
    """Store a chat of user and character in turn: messages a second, by `reconcile`, `store` and the outbox.

    `stored_per_s` counts until the last turn was acknowledged, `messages_per_s` until all can be found. Raises
    RuntimeError when one cannot.
    """
    key, already = TreeKey(OWNER, name), await resources.vectors.count()
    began, cpu = time.perf_counter(), time.process_time()
    for at in range(0, len(messages) - 1, 2):
        given = turn_of(name, messages[max(0, at - SHOWN) : at], messages[at]["content"])
        await stored_turn(graph, given, messages[at + 1]["content"])
        resources.worker.wake(key)
    stored = time.perf_counter() - began
    await resources.worker.idle()
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    session = await resources.transcript.session(OWNER, name)
    ids = list(session.path) if session else []
    embedded = await resources.vectors.count() - already
    if embedded < len(ids) or not await are_found(resources, key, ids):
        raise RuntimeError(f"of {len(ids)} messages {embedded} were embedded, or one was not found")
    return {
        "messages": len(ids),
        "seconds": round(seconds, 1),
        "messages_per_s": round(len(ids) / seconds, 1),
        "messages_per_cpu_s": round(len(ids) / cpu, 1),
        "stored_per_s": round(len(ids) / stored, 1),
    }


async def stored_turn(graph: Graph, given: TurnInput, reply: str) -> None:
    """A turn through `reconcile` and `store` as they stand in the graph, with this reply."""
    # Any: LangGraph's wrapper of a node has no common type
    nodes: dict[str, Any] = {n: graph.builder.nodes[n].runnable for n in ("reconcile", "store")}
    runtime = Runtime(context=TurnContext(OWNER))
    turn = cast(dict[str, Any], given)
    state = TurnState(messages=turn["messages"], request=turn["request"])
    state = replace(state, **await nodes["reconcile"].afunc(state, runtime))
    said = {"index": 0, "text": reply, "finish_reason": "stop", "remembered": True}
    await nodes["store"].afunc(replace(state, replies=[said]), runtime)


async def are_found(resources: Resources, key: TreeKey, ids: Sequence[int]) -> bool:
    """Whether messages from all over a chat are each nearest to themselves."""
    chosen = ids[:: max(1, len(ids) // FOUND)]
    for message in await resources.transcript.messages(key, chosen):
        vector = (await resources.embedder.embed(message.text))[0]
        hits = await resources.vectors.search(key, "message", vector, None, 1)
        if hits[0].ref != message.id:
            return False
    return True
