"""Recall, measured beside the baselines and the peers: `python -m benchmarks.recall --data FOLDER`.

Writes build/bench/recall.json and the README's chart and table, and prints all tables. With `--only` the
figures of the other parts stay in the file as they were.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.figures import keep
from benchmarks.recall import baselines, peers, ranked, report, speed
from benchmarks.recall.data import DataSet, locomo, madial, realistic
from benchmarks.recall.ours import opened

DATA = ("locomo", "madial", "realistic")
PARTS = (*DATA, "speed", "peers")

Figures = dict[str, Any]  # Any: JSON


def read(name: str, folder: Path) -> DataSet | None:
    """A data set out of the folder; None where it is not there."""
    if name == "madial":
        found = folder / "madial"
        return madial(found) if (found / "memories.jsonl").is_file() else None
    pattern, reader = (
        ("locomo*.json", locomo) if name == "locomo" else ("**/realistic_recall*.json", realistic)
    )
    files = sorted(folder.glob(pattern))
    return reader(files[0]) if files else None


def shortened(dataset: DataSet, conversations: int | None) -> DataSet:
    """Only the first so many conversations of each split."""
    if conversations is not None:
        for_report = [c for c in dataset.conversations if c.report][:conversations]
        chosen = [c for c in dataset.conversations if not c.report][:conversations]
        dataset.conversations = chosen + for_report
    return dataset


async def our_figures(dataset: DataSet, console: Console, seed: int) -> Figures:
    """Our system on one data set, in a data folder of its own."""
    async with opened() as ours:
        found = await ranked.rank(ours, dataset, console.print)
    return report.of_dataset(dataset, found, seed)


def baseline_figures(dataset: DataSet, console: Console) -> Figures:
    """What everybody has, by name; none without the extra `bench`."""
    try:
        rankings = baselines.rankings(dataset)
    except ModuleNotFoundError as missing:
        console.print(f"Skipped: the baselines need the extra bench ({missing}).")
        return {}
    return {name: report.figures_of(dataset, rows) for name, rows in rankings.items()}


def parts(options: argparse.Namespace, console: Console) -> Iterator[Figures]:
    """The figures of the parts that were asked for, one part after the other."""
    data: dict[str, DataSet] = {}
    for name in (name for name in DATA if name in options.only):
        dataset = read(name, options.data)
        if dataset is None:
            console.print(f"Skipped: there is no {name} below {options.data}.")
            continue
        data[name] = shortened(dataset, options.conversations)
        yield asyncio.run(our_figures(data[name], console, options.seed))
        yield {"baselines": {name: baseline_figures(data[name], console)}}
    if "peers" in options.only:
        dataset = data.get("locomo") or read("locomo", options.data)
        shown = dataset and shortened(dataset, options.conversations)
        yield {"peers": peers.measure(shown, seed=options.seed)}
    if "speed" in options.only:
        yield {"speed": speed.measure(options)}


def main() -> None:
    """Measure, print, and write; what is finished stays in the file if a later part fails."""
    parser = speed.with_options(argparse.ArgumentParser(description=__doc__))
    parser.add_argument("--data", type=Path, required=True, help="folder with locomo*.json, madial, ...")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--conversations", type=int, help="only the first so many of each split")
    parser.add_argument("--json", type=Path, default=Path("build/bench/recall.json"))
    parser.add_argument("--chart", type=Path, default=Path("docs/recall.svg"))
    parser.add_argument("--readme", type=Path, default=Path("README.md"))
    options = parser.parse_args()
    console = Console()
    is_whole = set(options.only) == set(PARTS)
    earlier = {} if is_whole or not options.json.is_file() else json.loads(options.json.read_text())
    baselines_so_far = earlier.get("baselines", {})
    figures = earlier | {"seed": options.seed, "contexts": ranked.described()}
    for part in parts(options, console):
        baselines_so_far = baselines_so_far | part.get("baselines", {})
        figures |= part | {"baselines": baselines_so_far}
        keep(figures, options.json)
    if options.conversations is None:
        report.draw(figures, options.chart)
        report.tell(figures, options.readme)
    report.show(figures, console)


if __name__ == "__main__":
    main()
