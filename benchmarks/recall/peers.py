"""The peers beside us: recall on the same lines, and how fast they store and answer.

Every peer is given the same texts ("Speaker: text"), all-MiniLM-L6-v2 where it takes an embedder, one thread
and a process of its own; its times are its own work, embedding included. `python -m benchmarks.recall.peers
--data LOCOMO` prints both and writes build/bench/peers.json.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.figures import keep, wide_console
from benchmarks.peers.worker import Said
from benchmarks.recall.baselines import (
    ABSENT,
    DEPTH,
    UNCOUNTED,
    description,
    figures,
    said,
)
from benchmarks.recall.data import Conversation, DataSet, locomo
from benchmarks.recall.peers_environments import ENVIRONMENTS, named
from benchmarks.recall.peers_process import PeerFailed, PeerProcess, Spent, opened
from benchmarks.recall.peers_tables import show
from benchmarks.recall.peers_unable import UNABLE
from benchmarks.recall.texts import WORDS, chat, texts

SIZES = (1_000, 10_000)
QUESTION_WORDS = 10
QUESTIONS = 100
BATCH = 500
WARM = 5
"""Questions at each size before those that are timed."""
FOUND = 10
"""How many lines a timed question asks for."""
LIMIT = 900.0
"""Seconds that a peer may take for one batch of lines."""


def available(names: Sequence[str] = (), environments: Path = ENVIRONMENTS) -> dict[str, Any]:
    """`runs`: the peers that can be measured now; `cannot_run`: name, version and reason of all others.

    Any: lists of names and of dicts.
    """
    asked = named(names)
    missing = [
        {
            "name": candidate.name,
            "version": candidate.requirement,
            "reason": "not installed: python -m benchmarks.recall.peers_environments",
        }
        for candidate in asked
        if not candidate.installed(environments)
    ]
    return {
        "runs": [candidate.name for candidate in asked if candidate.installed(environments)],
        "cannot_run": missing + UNABLE,
    }


def measure(
    dataset: DataSet | None,
    *,
    names: Sequence[str] = (),
    sizes: Sequence[int] = SIZES,
    questions: int = QUESTIONS,
    seed: int = 20,
    environments: Path = ENVIRONMENTS,
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Recall (not without a data set) and speed (not without sizes) of every peer that runs.

    `peers` is by name: version, setting, `recall` as `baselines.figures`, `speed` by size as `speed_of`; a part
    in which a peer fails is missing and stands with its reason in `cannot_run`, as do all that cannot run. `say`
    is told what is being done. Any: JSON of several kinds.
    """
    found = available(names, environments)
    told: dict[str, Any] = {}
    for candidate in (c for c in named(names) if c.name in found["runs"]):
        parts: dict[str, Callable[[PeerProcess], Any]] = {}
        if dataset:
            parts["recall"] = partial(recall_of, dataset)
        if some := [size for size in sizes if size <= candidate.most]:
            parts["speed"] = partial(speed_of, sizes=some, questions=questions, seed=seed)
        told[candidate.name] = {"setting": candidate.setting}
        for part, work in parts.items():
            say(f"{candidate.name}: {part} ...")
            try:
                with opened(candidate.module, candidate.python(environments)) as peer:
                    told[candidate.name] |= {"version": peer.version, part: work(peer)}
            except PeerFailed as failure:
                reason = {"version": candidate.requirement, "reason": str(failure)}
                found["cannot_run"].insert(0, {"name": f"{candidate.name}, {part}"} | reason)
    given = {"words": WORDS, "seed": seed, "questions": questions, "found": FOUND, "batch": BATCH}
    about = description(dataset) if dataset else {}
    return about | {"speed_texts": given, "peers": told, "cannot_run": found["cannot_run"]}


def recall_of(dataset: DataSet, peer: PeerProcess) -> dict[str, dict[str, float]]:
    """The peer's figures on a data set, as `baselines.figures`; raises PeerFailed."""
    return figures(dataset, [rank(peer, conversation) for conversation in dataset.conversations])


def rank(peer: PeerProcess, conversation: Conversation) -> list[list[str]]:
    """The conversation stored as one chat, then a ranking for each question; raises PeerFailed.

    A question of a category that does not count is not asked: its ranking is empty.
    """
    lines = [Said(id=x.id, role=x.role, text=said(x), at=x.at) for x in conversation.lines]
    peer.store(conversation.name, lines, LIMIT)
    return [
        peer.ask(conversation.name, asked.text, DEPTH)[0] if asked.category not in UNCOUNTED else []
        for asked in conversation.questions
    ]


def speed_of(
    peer: PeerProcess, sizes: Sequence[int], questions: int, seed: int
) -> dict[str, dict[str, float]]:
    """For each size of one growing chat: `store_s` since it was empty, `query_p50_ms`, `query_p95_ms`.

    Beside them `store_cpu_s` and `query_cpu_p50_ms`, which other work on the machine does not stretch. Another
    chat and ten questions come first, so that models and files are open; raises PeerFailed.
    """
    lines = speed_lines(max(sizes), seed)
    peer.store("warm", lines[:20], LIMIT)
    for question in speed_questions(10, seed):
        peer.ask("warm", question, FOUND)
    told: dict[str, dict[str, float]] = {}
    stored: list[Spent] = []
    done = 0
    for size in sorted(sizes):
        while done < size:
            batch = lines[done : min(done + BATCH, size)]
            stored.append(peer.store("speed", batch, LIMIT))
            done += len(batch)
        some = speed_questions(WARM + questions, seed)
        asked = [peer.ask("speed", question, FOUND)[1] for question in some][WARM:]
        told[str(size)] = _speed(size, stored, asked)
    return told


def _speed(size: int, stored: Sequence[Spent], asked: Sequence[Spent]) -> dict[str, float]:
    seconds = sum(spent.wall for spent in stored)
    p50, p95 = np.percentile([spent.wall for spent in asked], [50, 95])
    return {
        "store_s": round(seconds, 2),
        "store_cpu_s": round(sum(spent.cpu for spent in stored), 2),
        "stored_per_s": round(size / seconds, 1),
        "query_p50_ms": round(1000 * float(p50), 2),
        "query_p95_ms": round(1000 * float(p95), 2),
        "query_cpu_p50_ms": round(1000 * float(np.median([spent.cpu for spent in asked])), 2),
    }


def speed_lines(count: int, seed: int) -> list[Said]:
    """The messages that our own speed is measured with, a minute apart."""
    return [
        Said(id=f"m{n}", role=message["role"], text=message["content"], at=1.7e9 + 60 * n)
        for n, message in enumerate(chat(seed, count))
    ]


def speed_questions(count: int, seed: int) -> list[str]:
    """The first ten words each of another such chat's messages."""
    return [" ".join(text.split()[:QUESTION_WORDS]) for text in islice(texts(seed - 1), count)]


def main() -> None:
    """Measure, print, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these peers")
    parser.add_argument("--data", type=Path, required=True, help="LoCoMo's JSON file")
    parser.add_argument("--sizes", type=int, nargs="*", default=list(SIZES), help="none: no speed")
    parser.add_argument("--questions", type=int, default=QUESTIONS)
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--environments", type=Path, default=ENVIRONMENTS)
    parser.add_argument("--json", type=Path, default=Path("build/bench/peers.json"))
    options = parser.parse_args()
    if not options.data.is_file():
        print(ABSENT.format(options.data))
    told = measure(
        locomo(options.data) if options.data.is_file() else None,
        names=options.names,
        sizes=options.sizes,
        questions=options.questions,
        seed=options.seed,
        environments=options.environments,
    )
    keep(told, options.json)
    show(told, wide_console())


if __name__ == "__main__":
    main()
