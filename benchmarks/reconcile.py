"""What it costs to find a request's session, to reconcile it and to store the turn, beside a ruler."""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from langgraph.runtime import Runtime
from rich.console import Console
from rich.table import Table

from benchmarks.figures import keep
from benchmarks.ruler import ruler, summary
from benchmarks.seeded_chats import text
from graph.context import TurnContext
from graph.state import Turn, TurnState
from memory.align import fingerprint, incoming
from memory.assignment import Assignment, Request
from memory.catalog import Catalog
from memory.sessions import Sessions
from memory.stored import NewMessage, TreeKey, TurnWrite
from memory.transcript_sqlite import SqliteTranscript
from memory.working import RamWorkingMemory
from nodes.reconcile import Reconcile
from nodes.store import Store

SIZES = (100, 10_000, 100_000)
SESSIONS = (0, 10_000)
"""Other sessions in the data folder, each with the same character, greeting and first words."""
SESSION_LENGTH = 12
WINDOW = 300
CHARACTERS = 100_000
"""Of a request's messages together: 300 messages of about 333 characters."""
STEPS = ("parse", "assign", "reconcile", "commit")
GREETING = "The kettle is on. You are late."

Message = dict[str, str]


def chat_of(rng: random.Random, length: int, words: int) -> list[Message]:
    """A chat as a front-end has it: greeting, then user and assistant in turn."""
    opening = [
        {"role": "assistant", "content": GREETING},
        {"role": "user", "content": "Hi."},
    ]
    roles = ("assistant", "user")
    more = [{"role": roles[i % 2], "content": text(rng, words)} for i in range(length - len(opening))]
    return [*opening, *more][:length]


class Bench:
    """A data folder, and the turns of chats in it."""

    def __init__(self, transcript: SqliteTranscript, catalog: Catalog) -> None:
        self.transcript = transcript
        self.sessions = Sessions(transcript, catalog)
        self.reconcile = Reconcile(transcript)
        self.store = Store(transcript, RamWorkingMemory(20))
        self.turns = 0

    async def seed(self, session_id: str, chat: list[Message]) -> None:
        """Store a chat in one transaction, with nothing left to do in its outbox."""
        key = TreeKey("local", session_id)
        new = [NewMessage(m["role"], "", m["content"], fingerprint(m["role"], m["content"])) for m in chat]
        path = [[-i - 1] * 2 for i in range(len(new))]
        await self.transcript.commit(TurnWrite(key, session_id, f"seed-{session_id}", path, new, []))
        jobs = await self.transcript.jobs(key, limit=10 * len(new), now=float("inf"))
        await self.transcript.finish_jobs(key, [job.id for job in jobs])

    async def turn(self, messages: list[Message], reply: str) -> dict[str, float]:
        """One turn, no id; the seconds of each step."""
        self.turns += 1
        began = time.perf_counter()
        window = incoming(messages, [])
        parsed = time.perf_counter()
        async with self.sessions.turn(Request("local", window)) as assignment:
            assigned = time.perf_counter()
            state = await self._reconciled(messages, assignment)
            reconciled = time.perf_counter()
            state = replace(state, replies=[{"text": reply, "remembered": True}])
            await self.store(state, Runtime(context=TurnContext()))
            committed = time.perf_counter()
        if assignment.session is None:
            raise RuntimeError("the chat was not recognised")
        marks = (began, parsed, assigned, reconciled, committed)
        return {name: b - a for name, a, b in zip(STEPS, marks, marks[1:], strict=False)}

    async def _reconciled(self, messages: list[Message], assignment: Assignment) -> TurnState:
        turn = Turn(
            list(messages),
            session_id=assignment.session_id,
            tree_id=assignment.key.tree_id,
            forked_from=assignment.forked_from,
            turn_id=f"turn-{self.turns}",
        )
        given = turn.as_input()
        state = TurnState(messages=given["messages"], request=given["request"])
        return replace(state, **await self.reconcile(state, Runtime(context=TurnContext())))


async def measured(
    bench: Bench, turns: int, seed: int, measure: Callable[[], float], rulers: list[float]
) -> dict[str, Any]:
    """Turns of chats of every size, taking turns with each other and with the ruler."""
    rng = random.Random(seed)
    words = CHARACTERS // WINDOW // 6
    chats = {size: chat_of(rng, size, words) for size in SIZES}
    digest = hashlib.sha256(json.dumps(chats).encode()).hexdigest()
    for size, chat in chats.items():
        name = f"chat-{size}-{seed}"
        await bench.seed(name, chat)
    spent: dict[int, list[dict[str, float]]] = {size: [] for size in SIZES}
    for turn in range(turns + 3):
        for size, chat in chats.items():
            chat.append({"role": "user", "content": text(rng, words)})
            reply = text(rng, words)
            times = await bench.turn(chat[-WINDOW:], reply)
            chat.append({"role": "assistant", "content": reply})
            rulers.append(measure())
            if turn >= 3:
                spent[size].append(times)
    figures = {
        str(size): {step: summary([t[step] for t in times], rulers) for step in STEPS}
        | {"all": summary([sum(t.values()) - t["parse"] for t in times], rulers)}
        for size, times in spent.items()
    }
    sent = sum(len(m["content"]) for m in chats[SIZES[-1]][-WINDOW:])
    return {"data_sha256": digest, "request_characters": sent, "stored": figures}


async def run(options: argparse.Namespace) -> dict[str, Any]:
    """Every size, first in an empty folder and then among the other sessions."""
    measure, rulers = ruler(), list[float]()
    rng = random.Random(options.seed + 1)
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        root = Path(folder)
        catalog = Catalog.open(root)
        transcript = await SqliteTranscript.open(root, catalog)
        bench = Bench(transcript, catalog)
        others = 0
        for n, sessions in enumerate(options.sessions):
            while others < sessions:
                await bench.seed(f"other-{others}", chat_of(rng, SESSION_LENGTH, 30))
                others += 1
            found[str(sessions)] = await measured(bench, options.turns, options.seed + n, measure, rulers)
        await transcript.close()
        catalog.close()
    return {
        "unit": f"one turn of a chat without id, {WINDOW} messages in the request; all: without parse",
        "seed": options.seed,
        "ruler_ms": round(1000 * median(rulers), 2),
        "other_sessions": found,
    }


def main() -> None:
    """Measure, print a table, and write build/bench/reconcile.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=60, help="measured turns per size")
    parser.add_argument(
        "--sessions", type=int, nargs="+", default=list(SESSIONS), help="other sessions stored"
    )
    parser.add_argument("--seed", type=int, default=30)
    parser.add_argument("--folder", type=Path, default=None, help="where the data folder is made")
    parser.add_argument("--json", type=Path, default=Path("build/bench/reconcile.json"))
    options = parser.parse_args()
    figures = asyncio.run(run(options))
    keep(figures, options.json)
    report(figures)


def report(figures: dict[str, Any]) -> None:
    """The figures as a table."""
    console = Console()
    console.print(f"seed {figures['seed']}; unit: {figures['unit']}")
    console.print(f"ruler {figures['ruler_ms']} ms (one bare embedding, 30 words)")
    table = Table("other sessions", "stored", "step", "n", "p50 ms", "p95 ms", "p50 rulers", "p95 rulers")
    for sessions, found in figures["other_sessions"].items():
        console.print(
            f"data sha256 {found['data_sha256'][:16]}, {found['request_characters']} characters a request"
        )
        for size, steps in found["stored"].items():
            for step, row in steps.items():
                table.add_row(sessions, size, step, *(str(value) for value in row.values()))
    console.print(table)


if __name__ == "__main__":
    main()
