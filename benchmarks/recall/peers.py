"""The peers beside us: recall on the same lines, and how fast they store and answer.

Every peer is given the same texts ("Speaker: text"), all-MiniLM-L6-v2 where it takes an embedder, one thread
and a process of its own; its times are its own work, embedding included. `python -m benchmarks.recall.peers
--data LOCOMO` prints both and writes build/bench/peers.json.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.peers.worker import Said
from benchmarks.recall.baselines import (
    ABSENT,
    DEPTH,
    UNCOUNTED,
    description,
    figures,
    print_description,
    recall_table,
    said,
)
from benchmarks.recall.data import Conversation, DataSet, locomo
from benchmarks.recall.peers_environments import ENVIRONMENTS, Candidate, named
from benchmarks.recall.peers_process import PeerFailed, PeerProcess, Spent, opened
from benchmarks.recall.peers_unable import UNABLE
from models.weights import built_in_folder

SIZES = (1_000, 10_000)
WORDS = 30
QUESTION_WORDS = 10
QUESTIONS = 100
BATCH = 500
WARM = 5
"""Questions at each size before those that are timed."""
FOUND = 10
"""How many lines a timed question asks for."""
LIMIT = 900.0
"""Seconds that a peer may take for one batch of lines."""
ZIPF_SHIFT = 2.7
"""Mandelbrot's shift of Zipf's law for English words: p(rank) ~ 1 / (rank + 2.7)."""


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
) -> dict[str, Any]:
    """Recall (not without a data set) and speed of every peer that runs, and the rest with its reason.

    `peers` is by name: version, setting, `recall` as `baselines.figures`, `speed` by size as `speed_of`.
    Any: JSON of several kinds.
    """
    found = available(names, environments)
    told: dict[str, Any] = {}
    for candidate in (c for c in named(names) if c.name in found["runs"]):
        try:
            told[candidate.name] = _measured(candidate, environments, dataset, sizes, questions, seed)
        except PeerFailed as failure:
            reason = {"name": candidate.name, "version": candidate.requirement, "reason": str(failure)}
            found["cannot_run"].insert(0, reason)
    given = {"words": WORDS, "seed": seed, "questions": questions, "found": FOUND, "batch": BATCH}
    about = description(dataset) if dataset else {}
    return about | {"speed_texts": given, "peers": told, "cannot_run": found["cannot_run"]}


def _measured(
    candidate: Candidate,
    environments: Path,
    dataset: DataSet | None,
    sizes: Sequence[int],
    questions: int,
    seed: int,
) -> dict[str, Any]:
    told: dict[str, Any] = {"setting": candidate.setting}
    if dataset:
        with opened(candidate.module, candidate.python(environments)) as peer:
            ranked = [rank(peer, conversation) for conversation in dataset.conversations]
        told["recall"] = figures(dataset, ranked)
    with opened(candidate.module, candidate.python(environments)) as peer:
        told["version"] = peer.version
        told["speed"] = speed_of(peer, sizes, questions, seed)
    return told


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
    for question in speed_questions(lines[:20], 10, seed):
        peer.ask("warm", question, FOUND)
    told: dict[str, dict[str, float]] = {}
    stored: list[Spent] = []
    done = 0
    for size in sorted(sizes):
        while done < size:
            batch = lines[done : min(done + BATCH, size)]
            stored.append(peer.store("speed", batch, LIMIT))
            done += len(batch)
        some = speed_questions(lines[:size], WARM + questions, seed)
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
    """Messages of 30 words by two speakers in turn, a minute apart.

    The words are those of MiniLM's vocabulary that are one piece each, as often as Zipf's law has them, so that
    neither a keyword index nor the embedder meets a text unlike English in length or in rarity of words.
    """
    rng = random.Random(seed)
    words = _words()
    weights = list(accumulate(1 / (rank + ZIPF_SHIFT) for rank in range(1, len(words) + 1)))
    lines = []
    for n in range(count):
        role, speaker = ("assistant", "Mira") if n % 2 else ("user", "Alex")
        text = " ".join(rng.choices(words, cum_weights=weights, k=WORDS))
        lines.append(Said(id=f"m{n}", role=role, text=f"{speaker}: {text}.", at=1.7e9 + 60 * n))
    return lines


def speed_questions(lines: Sequence[Said], count: int, seed: int) -> list[str]:
    """Ten words each of a line somewhere in the chat, so that there is something to find."""
    rng = random.Random(seed + 1)
    return [" ".join(rng.sample(rng.choice(lines)["text"].split(), QUESTION_WORDS)) for _ in range(count)]


def _words() -> list[str]:
    """Most frequent first, as the vocabulary has them."""
    pieces = (built_in_folder() / "vocab.txt").read_text().split()
    return [piece for piece in pieces if piece.isascii() and piece.isalpha() and len(piece) > 1]


def speed_table(told: dict[str, Any]) -> Table:
    """One line a peer and size (Any: as `measure` tells it)."""
    table = Table(title="Storing and asking, 30 words a message, own embedding included, one thread")
    columns = ("store s", "CPU s", "stored/s", "query p50 ms", "p95 ms", "p50 CPU ms")
    for column in ("system", "messages", *columns):
        table.add_column(column, justify="left" if column == "system" else "right")
    for name, peer in told["peers"].items():
        for size, speed in peer["speed"].items():
            table.add_row(f"{name} {peer['version']}", size, *(f"{value:g}" for value in speed.values()))
    return table


def unable_table(told: dict[str, Any]) -> Table:
    """What could not be measured (Any: as `measure` tells it)."""
    table = Table("system", "version", "reason", title="Cannot run here")
    for one in told["cannot_run"]:
        table.add_row(one["name"], one["version"], one["reason"])
    return table


def main() -> None:
    """Measure, print, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these peers")
    parser.add_argument("--data", type=Path, required=True, help="LoCoMo's JSON file")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
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
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(told, indent=1) + "\n")
    show(told, Console())


def show(told: dict[str, Any], console: Console) -> None:
    """Print what `measure` told (Any: JSON of several kinds)."""
    if "sha256" in told:
        print_description(console, told)
        for split in ("report", "all"):
            rows = {f"{n} ({p['setting']})": p["recall"][split] for n, p in told["peers"].items()}
            console.print(recall_table(f"Recall, percent ({split})", rows))
    console.print(f"speed: {told['speed_texts']}")
    console.print(speed_table(told))
    console.print(unable_table(told))


if __name__ == "__main__":
    main()
