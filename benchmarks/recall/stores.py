"""Vector stores on the same vectors: exact search, Chroma embedded, and a Chroma server.

`python -m benchmarks.recall.stores` needs no data: the vectors come from a seed. The unit is a message of one
vector; a query asks for the 10 nearest on the path (every tenth message was swiped away), in one chat or in each
of 20 chats, whose best are merged. Adding, and asking after reopening, run in fresh processes.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import sqlite3
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.figures import keep, wide_console
from benchmarks.recall.stores_server import chroma_server, resident_mb
from benchmarks.recall.stores_vectors import DIMENSION, batches, exact, path_of, queries
from memory.files import tree_path
from memory.stored import TreeKey
from memory.vectors import Hit, Item, VectorIndex
from memory.vectors_chroma import ChromaVectors
from memory.vectors_exact import ExactVectors

T = TypeVar("T")

OWNER = "bench"
WEIGHTS = "0" * 64
K = 10
QUESTIONS = 100
STORES = ("exact", "chroma embedded", "chroma server")
SHAPES = ((1, 1_000), (1, 10_000), (1, 100_000), (20, 1_000))
"""Chats, and messages in each."""


@dataclass(frozen=True, slots=True)
class Case:
    """One store under one load, below one folder."""

    store: str
    folder: str
    chats: int
    messages: int
    questions: int
    seed: int
    url: str | None = None

    async def open(self) -> VectorIndex:
        """The store as the system opens it; exact search finds the (empty) files of its trees."""
        folder = Path(self.folder)
        if self.store != "exact":
            return await ChromaVectors.open(WEIGHTS, path=folder / "chroma", url=self.url)
        for chat in range(self.chats):
            file = tree_path(folder, self.key(chat))
            file.parent.mkdir(parents=True, exist_ok=True)
            sqlite3.connect(file).execute("PRAGMA journal_mode = WAL").connection.close()
        return ExactVectors(folder, WEIGHTS, DIMENSION)

    def key(self, chat: int) -> TreeKey:
        return TreeKey(OWNER, f"chat-{chat}")


def measure(
    *,
    stores: Sequence[str] = STORES,
    shapes: Sequence[tuple[int, int]] = SHAPES,
    questions: int = QUESTIONS,
    seed: int = 20,
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """`cases`: for each store and shape (chats, messages each), the figures of `_measured`.

    Any: JSON of several kinds. A Chroma server is started on loopback and ended; `say` is told what is being
    done. Chroma takes minutes to add 100,000.
    """
    about = {"unit": "a message of one vector", "k": K, "questions": questions, "seed": seed}
    cases = []
    for chats, messages in shapes:
        asked = queries(chats, messages, questions, seed)
        truth = exact(chats, messages, asked, K, seed)
        for store in stores:
            with tempfile.TemporaryDirectory() as folder:
                say(f"{store}: {chats} x {messages} ...")
                case = Case(store, folder, chats, messages, questions, seed)
                cases.append(_measured(case, truth))
    return about | {"cases": cases}


def _measured(case: Case, truth: Sequence[set[tuple[int, int]]]) -> dict[str, Any]:
    """add_s; disk_mb; ram_mb (for asking; of a server its whole process); first_ms, query_p50_ms, query_p95_ms

    and their CPU times in the asking process; agreement: the share of the true ten that was found, in [0, 1].
    Any: numbers and names.
    """
    told: dict[str, Any] = {"store": case.store, "chats": case.chats, "messages": case.messages}
    if case.store != "chroma server":
        told |= _in_fresh_process(add, case)
        told["disk_mb"] = _disk_mb(Path(case.folder))
        asked = _in_fresh_process(ask, case)
    else:
        path = Path(case.folder) / "server"
        with chroma_server(path) as (url, _):
            told |= _in_fresh_process(add, _at(case, url))
        told["disk_mb"] = _disk_mb(path)
        with chroma_server(path) as (url, process):
            asked = _in_fresh_process(ask, _at(case, url))
            asked["ram_mb"] = resident_mb(process.pid)
    found = asked.pop("found")
    shares = [len(set(map(tuple, row)) & best) / len(best) for row, best in zip(found, truth, strict=True)]
    return told | asked | {"agreement": round(float(np.mean(shares)), 4)}


def add(case: Case) -> dict[str, Any]:
    """Every chat's messages, a thousand at once: add_s, the seconds spent adding (Any: a number)."""
    return {"add_s": round(asyncio.run(_add(case)), 2)}


async def _add(case: Case) -> float:
    index = await case.open()
    seconds = 0.0
    for chat in range(case.chats):
        ref = 1
        for batch in batches(chat, case.messages, case.seed):
            items = [Item("message", ref + n, vector[np.newaxis]) for n, vector in enumerate(batch)]
            began = time.perf_counter()
            await index.upsert(case.key(chat), items)
            seconds += time.perf_counter() - began
            ref += len(batch)
    await index.close()
    return seconds


def ask(case: Case) -> dict[str, Any]:
    """Times, memory, and `found`, a list of (chat, message) for each query (Any: numbers and lists)."""
    return asyncio.run(_ask(case))


async def _ask(case: Case) -> dict[str, Any]:
    path, asked = path_of(case.messages), queries(case.chats, case.messages, case.questions, case.seed)
    before = resident_mb()
    index = await case.open()
    found, times, cpu = [], [], []
    for query in asked:
        began, busy = time.perf_counter(), time.process_time()
        hits: list[tuple[Hit, int]] = []
        for chat in range(case.chats):
            near = await index.search(case.key(chat), "message", query, path, K)
            hits += [(hit, chat) for hit in near]
        hits.sort(key=lambda pair: -pair[0].similarity)
        times.append(time.perf_counter() - began)
        cpu.append(time.process_time() - busy)
        found.append([(chat, hit.ref) for hit, chat in hits[:K]])
    used = resident_mb() - before
    await index.close()
    first, *rest = times
    return {
        "ram_mb": round(used, 1),
        "first_ms": round(1000 * first, 2),
        "query_p50_ms": _ms(rest, 50),
        "query_p95_ms": _ms(rest, 95),
        "query_cpu_p50_ms": _ms(cpu[1:], 50),
        "found": found,
    }


def _ms(seconds: Sequence[float], percentile: float) -> float:
    return round(1000 * float(np.percentile(seconds, percentile)), 3)


def _at(case: Case, url: str) -> Case:
    return Case(**(asdict(case) | {"url": url}))


def _in_fresh_process(work: Callable[[Case], T], case: Case) -> T:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        return process.submit(work, case).result()


def _disk_mb(folder: Path) -> float:
    return round(sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 2**20, 1)


def store_table(told: dict[str, Any]) -> Table:
    """One line a case (Any: as `measure` tells it)."""
    table = Table(title="Vector stores on the same vectors: the 10 nearest on the path")
    for column in told["cases"][0]:
        left = column == "store"
        heading = column.replace("_", " ").replace("query ", "")
        table.add_column(heading, justify="left" if left else "right", no_wrap=left)
    for case in told["cases"]:
        table.add_row(*(f"{value}" for value in case.values()))
    return table


def show(told: dict[str, Any], console: Console) -> None:
    """Print what `measure` told (Any: JSON of several kinds)."""
    console.print({name: value for name, value in told.items() if name != "cases"})
    console.print(store_table(told))


def main() -> None:
    """Measure, print, and write build/bench/stores.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", action="append", help="CHATSxMESSAGES, such as 1x10000; may be repeated")
    parser.add_argument("--stores", nargs="+", choices=STORES, default=STORES)
    parser.add_argument("--questions", type=int, default=QUESTIONS)
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--json", type=Path, default=Path("build/bench/stores.json"))
    options = parser.parse_args()
    shapes = [tuple(map(int, shape.split("x"))) for shape in options.shape or ()]
    told = measure(
        stores=options.stores,
        shapes=[(chats, messages) for chats, messages in shapes] or SHAPES,
        questions=options.questions,
        seed=options.seed,
    )
    keep(told, options.json)
    show(told, wide_console())


if __name__ == "__main__":
    main()
