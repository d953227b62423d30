"""What our code adds before the provider is called: `python -m benchmarks.turn`.

The unit is one turn over HTTP, from sending the request to its prompt's arrival at an instant provider on
loopback, our own embedding included. The chats come from a seed; the vectors of stored messages are random
(search costs the same whatever they hold). The ruler is one bare embedding of a fixed 30-word message.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise, takewhile
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from benchmarks.figures import keep
from benchmarks.our_server import Bench, serving
from benchmarks.provider import Answer, running
from benchmarks.ruler import ruler, summary
from benchmarks.seeded_chats import SYSTEM, chat_of, seed_chat, text
from graph.context import TurnContext

SIZES = (100, 1_000, 10_000)
LENGTHS = (30, 200)
WINDOW = 100
CARD = 8_000
FIRST_CONTACT = 300


def send(
    bench: Bench, client: httpx.Client, body: dict[str, Any], headers: dict[str, str]
) -> tuple[float, str]:
    """One turn: seconds until its prompt arrived at the provider, and the reply."""
    body = {"model": "stub-model", "max_tokens": 300, "stream": False} | body
    before = len(bench.arrivals)
    began = time.perf_counter()
    answer = client.post(f"{bench.url}/v1/chat/completions", json=body, headers=headers)
    answer.raise_for_status()
    return bench.arrivals[before] - began, answer.json()["choices"][0]["message"]["content"]


def warm_turns(
    bench: Bench, turns: int, seed: int, measure: Callable[[], float]
) -> tuple[dict[str, Any], list[float]]:
    """Turns of warm chats of every size, taking turns with each other and with the ruler."""
    rng = random.Random(seed)
    chats = {size: chat_of(rng, size) for size in SIZES}
    for size, chat in chats.items():
        bench.call(seed_chat(bench.resources, f"bench-{size}", chat, seed))
    system = {"role": "system", "content": SYSTEM}
    times: dict[tuple[int, int], list[float]] = {(s, w): [] for s in SIZES for w in LENGTHS}
    rulers: list[float] = []
    with httpx.Client(timeout=60) as client:
        for turn in range(turns + 5):
            for (size, words), spent in times.items():
                chat = chats[size]
                chat.append({"role": "user", "content": text(rng, words)})
                body = {"messages": [system, *chat[-WINDOW:]]}
                seconds, reply = send(bench, client, body, {"X-Chat-Id": f"bench-{size}"})
                chat.append({"role": "assistant", "content": reply})
                bench.settle()
                rulers.append(measure())
                if turn >= 5:
                    spent.append(seconds)
    digest = hashlib.sha256(json.dumps({s: c[:s] for s, c in chats.items()}).encode()).hexdigest()
    figures = {f"{size}/{words}": summary(spent, rulers) for (size, words), spent in times.items()}
    return {"data_sha256": digest, "turns": figures}, rulers


def first_contacts(bench: Bench, count: int, seed: int, rulers: list[float]) -> dict[str, float]:
    """First requests of unknown chats with 300 messages and an 8,000-character card."""
    rng = random.Random(seed + 1)
    spent = []
    with httpx.Client(timeout=60) as client:
        for _ in range(count):
            card = SYSTEM + text(rng, CARD)[: CARD - len(SYSTEM)]
            messages = [{"role": "system", "content": card}, *chat_of(rng, FIRST_CONTACT)]
            seconds, _ = send(bench, client, {"messages": messages}, {})
            spent.append(seconds)
            bench.settle()
    return summary(spent, rulers)


def prefixes(bench: Bench, turns: int, seed: int) -> dict[str, Any]:
    """How much of each prompt is the beginning of the one before, over a chat whose window slides."""
    rng = random.Random(seed + 2)
    system = {"role": "system", "content": SYSTEM + text(rng, 150)}
    chat = chat_of(rng, 1)
    shares = []
    with httpx.Client(timeout=60) as client:
        for _ in range(turns):
            chat.append({"role": "user", "content": text(rng, 30)})
            _, reply = send(bench, client, {"messages": [system, *chat[-WINDOW:]]}, {"X-Chat-Id": "prefix"})
            chat.append({"role": "assistant", "content": reply})
            bench.settle()
            shares.append(laid_out(next(body for body in reversed(bench.provider.requests) if is_turn(body))))
    common = [common_prefix(a, b) / len(b) for a, b in pairwise(shares)]
    return {"turns": turns, "median": round(median(common), 4), "p10": round(quantiles(common, n=10)[0], 4)}


def is_turn(body: dict[str, Any]) -> bool:
    """Whether a request is a turn's, not a summary's."""
    return str(body["messages"][0]["content"]).startswith(SYSTEM)


def laid_out(body: dict[str, Any]) -> str:
    """A prompt as one text."""
    return "".join(f"<{m['role']}>{m['content']}" for m in body["messages"])


def common_prefix(a: str, b: str) -> int:
    """Characters two texts begin with alike."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False)))


def main() -> None:
    """Measure, print a table, and write build/bench/turn.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=60, help="measured turns per size and length")
    parser.add_argument("--prefix-turns", type=int, default=200)
    parser.add_argument("--first-contacts", type=int, default=20)
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--json", type=Path, default=Path("build/bench/turn.json"))
    options = parser.parse_args()
    arrivals: list[float] = []
    replies = random.Random(options.seed + 3)

    def answer(body: dict[str, Any]) -> Answer:
        if is_turn(body):
            arrivals.append(time.perf_counter())
        return Answer(text(replies, 30))

    with tempfile.TemporaryDirectory() as folder, running(answer) as provider:
        with serving(provider, Path(folder)) as bench:
            bench.arrivals = arrivals
            measure = ruler()
            figures, rulers = warm_turns(bench, options.turns, options.seed, measure)
            figures["first_contact"] = first_contacts(bench, options.first_contacts, options.seed, rulers)
            figures["prefix"] = prefixes(bench, options.prefix_turns, options.seed)
            figures |= {
                "unit": "one turn, request sent to prompt at the provider",
                "seed": options.seed,
                "k": TurnContext().memories,
                "context_tokens": bench.resources.chat.context_tokens,
                "ruler_ms": round(1000 * median(rulers), 2),
            }
    keep(figures, options.json)
    report(figures)


def report(figures: dict[str, Any]) -> None:
    """The figures as tables."""
    console = Console()
    console.print(f"data sha256 {figures['data_sha256'][:16]}, seed {figures['seed']}, k {figures['k']}")
    console.print(f"unit: {figures['unit']}; ruler {figures['ruler_ms']} ms (one bare embedding, 30 words)")
    table = Table("stored/words", "n", "p50 ms", "p95 ms", "p50 rulers", "p95 rulers", "p95/p50")
    for name, row in (*figures["turns"].items(), ("first contact", figures["first_contact"])):
        ratio = round(row["p95_ms"] / row["p50_ms"], 2)
        table.add_row(name, *(str(value) for value in row.values()), str(ratio))
    console.print(table)
    growth = figures["turns"]["10000/30"]["p50_ms"] / figures["turns"]["100/30"]["p50_ms"]
    console.print(f"10,000 against 100 stored messages (30 words): {growth:.2f} times")
    console.print(f"longest common prefix of consecutive prompts: {figures['prefix']}")


if __name__ == "__main__":
    main()
