"""What recall costs: `python -m benchmarks.recall.speed`.

The unit is one turn of a long chat through the graph: from the end of `reconcile` to the end of `budget`,
with the embedding of the newest message, `emotion` and `persona` between them, and the graph's own steps. The
chats come from a seed (messages of 30 words, as frequent as a language's). Chats of up to 10,000 messages are
stored as turns and embedded; the larger one and the hundred of 1,000 have random unit vectors and the token
vectors of other texts, for embedding them would take an hour and search costs the same. The ruler is one bare
embedding of a fixed 30-word message, taken in turn with every measured turn. Beside the clock stands the
processor's time, which other work on the machine does not stretch.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import multiprocessing
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console

from benchmarks.figures import keep
from benchmarks.provider import Answer, running
from benchmarks.recall.ours import OWNER
from benchmarks.recall.seeding import quickly_opened, seed_chat
from benchmarks.recall.storing import REPLY, Message, store_turns, turn_of
from benchmarks.recall.texts import chat, texts
from benchmarks.ruler import ruler, summary
from benchmarks.turn import WINDOW
from graph.build import Graph, build_graph
from graph.context import TurnContext
from graph.resources import Resources, open_resources
from graph.settings import load_settings
from graph.state import TurnInput
from memory.stored import TreeKey

SIZES = (1_000, 10_000, 100_000)
EMBEDDED = 10_000
"""Chats of up to so many messages are stored as turns."""
LENGTHS = (30, 10)
"""Words of the newest message; peers are asked with ten."""
CHATS, CHAT = 100, 1_000
WARM = 5
STEPS = ("emotion", "persona", "retrieve", "rerank", "budget")
SETTINGS: dict[str, Any] = {"llm": "openai:stub-model", "summarize_after_messages": 1_000_000}

Figures = dict[str, Any]  # Any: JSON
Spent = dict[tuple[str, int], list[dict[str, float]]]
"""The seconds of a chat's turns whose newest message has so many words."""
Rulers = list[tuple[float, float]]
"""Seconds on the clock, and of the processor."""


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[tuple[Resources, Graph]]:
    """Our system over a folder, with an instant provider."""
    with running(lambda _: Answer(REPLY)) as provider:
        loaded = load_settings(db_path=folder, openai_base_url=provider.base_url, **SETTINGS)
        async with open_resources(loaded) as resources:
            yield resources, build_graph(resources)


async def timed_turn(resources: Resources, graph: Graph, name: str, given: TurnInput) -> dict[str, float]:
    """Run a whole turn: seconds of every step, of all together, and of the processor for all (`cpu`)."""
    ended: dict[str, float] = {}
    spent: dict[str, float] = {}
    async for update in graph.astream(given, context=TurnContext(OWNER), stream_mode="updates"):
        ended |= dict.fromkeys(update, time.perf_counter())
        spent |= dict.fromkeys(update, time.process_time())
    resources.worker.wake(TreeKey(OWNER, name))
    await resources.worker.idle()
    understood = max(ended["emotion"], ended["persona"])
    begins = (ended["reconcile"], ended["reconcile"], understood, ended["retrieve"], ended["rerank"])
    steps = {step: ended[step] - began for step, began in zip(STEPS, begins, strict=True)}
    cpu = spent["budget"] - spent["reconcile"]
    return steps | {"all": ended["budget"] - ended["reconcile"], "cpu": cpu}


async def turns(
    resources: Resources, graph: Graph, chats: dict[str, list[Message]], count: int, seed: int
) -> tuple[Spent, Rulers]:
    """Turns of every chat, taking turns with each other and with the ruler."""
    measure: Callable[[], float] = await asyncio.to_thread(ruler)
    said: Iterator[str] = texts(seed - 1)
    spent: Spent = {(name, words): [] for name in chats for words in LENGTHS}
    rulers: Rulers = []
    for number in range(count + WARM):
        for (name, words), times in spent.items():
            messages, text = chats[name], " ".join(next(said).split()[:words])
            seconds = await timed_turn(resources, graph, name, turn_of(name, messages[-WINDOW:], text))
            messages += [{"role": "user", "content": text}, {"role": "assistant", "content": REPLY}]
            if number >= WARM:
                times.append(seconds)
                began = time.process_time()
                rulers.append((measure(), time.process_time() - began))
    return spent, rulers


def resident(folder: Path, names: Sequence[str], seed: int) -> Figures:
    """In a process of its own: what memory grows by when every chat has had a turn, in MB (10^6 bytes)."""
    return asyncio.run(_resident(folder, names, seed))


async def _resident(folder: Path, names: Sequence[str], seed: int) -> Figures:
    async with opened(folder) as (resources, graph):
        said = texts(seed - 1)
        for _ in range(WARM):
            await timed_turn(resources, graph, "small", turn_of("small", [], next(said)))
        before = resident_bytes()
        for number, name in enumerate(names):
            shown = chat(seed + number, CHAT)[-WINDOW:]
            await timed_turn(resources, graph, name, turn_of(name, shown, next(said)))
        after = resident_bytes()
    growth = {"growth_mb": round((after - before) / 1e6, 1), "before_mb": round(before / 1e6, 1)}
    return {"chats": len(names), "messages_each": CHAT} | growth


def resident_bytes() -> int:
    """This process's resident memory (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


async def measured_turns(options: argparse.Namespace, folder: Path) -> Figures:
    """Storing through the nodes, and turns of chats of all sizes."""
    seed = options.seed
    chats = {str(size): chat(seed + size, size) for size in options.sizes}
    digest = hashlib.sha256(json.dumps(chats).encode()).hexdigest()
    async with quickly_opened(folder, seed, **SETTINGS) as (resources, clock):
        for name in (name for name, messages in chats.items() if len(messages) > EMBEDDED):
            await seed_chat(resources, clock, name, chats[name])
    async with opened(folder) as (resources, graph):
        storing = {
            name: await store_turns(resources, graph, name, messages)
            for name, messages in chats.items()
            if len(messages) <= EMBEDDED
        }
        spent, rulers = await turns(resources, graph, chats, options.turns, seed)
    return {"texts_sha256": digest, "storing": storing} | told(spent, rulers)


def told(spent: Spent, rulers: Rulers) -> Figures:
    """The figures of turns, by stored messages and words of the newest, in ms and in rulers."""
    walls, cpus = zip(*rulers, strict=True)
    stored = {
        f"{name}/{words}": summary([t["all"] for t in times], list(walls))
        | {
            "p50_cpu_ms": round(1000 * median(t["cpu"] for t in times), 2),
            "p50_cpu_rulers": round(median(t["cpu"] for t in times) / median(cpus), 2),
            "steps_p50_ms": {step: round(1000 * median(t[step] for t in times), 2) for step in STEPS},
        }
        for (name, words), times in spent.items()
    }
    rulers_ms = {"ruler_ms": round(1000 * median(walls), 2), "ruler_cpu_ms": round(1000 * median(cpus), 2)}
    return rulers_ms | {"stored/words": stored}


def bytes_below(folder: Path) -> int:
    """What the files below a folder hold together."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


async def measured_memory(options: argparse.Namespace, folder: Path) -> Figures:
    """Disk and resident memory of many chats, all in use."""
    seed = options.seed
    names = [f"hot-{number}" for number in range(options.chats)]
    async with quickly_opened(folder, seed, **SETTINGS) as (resources, clock):
        for number, name in enumerate(names):
            await seed_chat(resources, clock, name, chat(seed + number, CHAT))
    size = await asyncio.to_thread(bytes_below, folder)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        grown = await asyncio.wrap_future(process.submit(resident, folder, names, seed))
    return {"resident": grown, "disk_bytes_per_message": round(size / (CHAT * options.chats))}


def measure(options: argparse.Namespace) -> Figures:
    """Everything, in one run; `rulers_10k` and `ms_100k` are medians."""
    figures: Figures = {
        "unit": "one turn, from the end of reconcile to the end of budget",
        "seed": options.seed,
    }
    with tempfile.TemporaryDirectory() as folder:
        figures |= asyncio.run(measured_turns(options, Path(folder)))
    with tempfile.TemporaryDirectory() as folder:
        figures |= asyncio.run(measured_memory(options, Path(folder)))
    turns_of = figures["stored/words"]
    small, large = (turns_of.get(f"{size}/30", {}) for size in (10_000, 100_000))
    return figures | {"rulers_10k": small.get("p50_rulers"), "ms_100k": large.get("p50_ms")}


def with_options(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """The options of this measurement."""
    parser.add_argument("--turns", type=int, default=100, help="measured turns of each chat")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), help="messages in a chat")
    parser.add_argument("--chats", type=int, default=CHATS, help=f"chats of {CHAT} messages, all in use")
    parser.add_argument("--seed", type=int, default=20)
    return parser


def main() -> None:
    """Measure, print, and write build/bench/recall_speed.json."""
    parser = with_options(argparse.ArgumentParser(description=__doc__))
    parser.add_argument("--json", type=Path, default=Path("build/bench/recall_speed.json"))
    options = parser.parse_args()
    figures = measure(options)
    keep(figures, options.json)
    Console().print_json(data=figures)


if __name__ == "__main__":
    main()
