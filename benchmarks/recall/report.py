"""The collected figures of recall: as JSON, as tables, and as the README's chart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.recall.baselines import Rankings, description
from benchmarks.recall.baselines import figures as recall_figures
from benchmarks.recall.chart import Bar, Panel, chart
from benchmarks.recall.data import DataSet, Question
from benchmarks.recall.measures import mean, ndcg_at, paired_interval, recall_at

Figures = dict[str, Any]  # Any: JSON

COLUMNS = {
    "locomo": ("r5", "r10", "r25", "r50", "multihop_r10"),
    "madial": ("r5", "ndcg5"),
    "realistic": ("top1",),
}
NEEDED = {
    "locomo": {"r5": 74.0, "r10": 82.0, "r25": 89.0, "r50": 93.0, "multihop_r10": 57.0},
    "madial": {"r5": 0.62, "ndcg5": 0.58},
    "realistic": {"top1": 0.55},
}
"""What is to be reached; LoCoMo in percent, the others as shares, as in JSON."""
COMPARED: dict[str, tuple[str, Callable[[Sequence[str], Sequence[str]], float]]] = {
    "locomo": ("r10", lambda row, evidence: recall_at(10, row, evidence)),
    "madial": ("ndcg5", lambda row, evidence: ndcg_at(5, row, evidence)),
    "realistic": ("top1", lambda row, evidence: recall_at(1, row, evidence)),
}
"""By which figure emotion automatic and off are compared."""
SPLITS = ("report", "all")
OURS = "emotional-rag"


def figures_of(dataset: DataSet, ranked: Rankings) -> dict[str, Figures]:
    """A ranking's figures for `report` (what nothing was chosen by) and `all`, named as in COLUMNS.

    Of LoCoMo in percent and by category too, of the others as shares; an empty split has none.
    """
    found = recall_figures(dataset, ranked)
    told: dict[str, Figures] = {}
    for split in SPLITS:
        asked = counted(dataset, ranked, split)
        if not asked:
            continue
        if dataset.name == "locomo":
            told[split] = found[split] | {"by_category": by_category(dataset, ranked, split)}
        else:
            shares = {
                "r5": mean([recall_at(5, row, q.evidence) for q, row in asked]),
                "ndcg5": mean([ndcg_at(5, row, q.evidence) for q, row in asked]),
                "top1": mean([recall_at(1, row, q.evidence) for q, row in asked]),
            }
            told[split] = {"questions": len(asked)} | {k: round(v / 100, 3) for k, v in shares.items()}
    return told


def counted(dataset: DataSet, ranked: Rankings, split: str) -> list[tuple[Question, list[str]]]:
    """The questions of a split with their rankings, without adversarial ones."""
    return [(q, row) for q, row in _asked(dataset, ranked, split) if q.category != "adversarial"]


def _asked(dataset: DataSet, ranked: Rankings, split: str) -> list[tuple[Question, list[str]]]:
    return [
        pair
        for conversation, rows in zip(dataset.conversations, ranked, strict=True)
        if conversation.report or split == "all"
        for pair in zip(conversation.questions, rows, strict=True)
    ]


def by_category(dataset: DataSet, ranked: Rankings, split: str) -> Figures:
    """Recall of each category in percent, the adversarial one too, which counts nowhere else."""
    asked = _asked(dataset, ranked, split)
    told: Figures = {}
    for category in sorted({q.category for q, _ in asked}):
        rows = [(q, row) for q, row in asked if q.category == category]
        recalls = {f"r{k}": mean([recall_at(k, row, q.evidence) for q, row in rows]) for k in (5, 10, 25, 50)}
        told[category] = {"questions": len(rows)} | {k: round(v, 1) for k, v in recalls.items()}
    return told


def compared(dataset: DataSet, auto: Rankings, off: Rankings, seed: int) -> Figures:
    """What emotion changes: the mean difference in points and its paired 95 percent bootstrap interval."""
    name, measure = COMPARED[dataset.name]
    told: Figures = {"figure": name, "seed": seed}
    for split in SPLITS:
        pairs = zip(counted(dataset, auto, split), counted(dataset, off, split), strict=True)
        both = [(measure(a, q.evidence), measure(b, q.evidence)) for (q, a), (_, b) in pairs]
        if both:
            with_it, without = zip(*both, strict=True)
            low, high = paired_interval(with_it, without, seed)
            told[split] = {
                "questions": len(both),
                "difference": round(mean(with_it) - mean(without), 2),
                "interval": [round(low, 2), round(high, 2)],
            }
    return told


def of_dataset(dataset: DataSet, ranked: dict[str, Rankings], seed: int) -> Figures:
    """Everything of one data set, under its name: `NAME_report`, `NAME_all`, with emotion off, and compared."""
    name = dataset.name
    told: Figures = {f"{name}_data": description(dataset)}
    told |= {f"{name}_{split}": found for split, found in figures_of(dataset, ranked["auto"]).items()}
    if "off" in ranked:
        told[f"{name}_emotion_off"] = figures_of(dataset, ranked["off"])
        told[f"{name}_emotion"] = compared(dataset, ranked["auto"], ranked["off"], seed)
    return told


def draw(figures: Figures, picture: Path) -> None:
    """The chart, where there is anything to compare with."""
    if panels := panels_of(figures):
        picture.parent.mkdir(parents=True, exist_ok=True)
        picture.write_text(chart(panels))


# the README


BEGIN, END = "<!-- recall: written by make bench-recall -->\n", "<!-- recall: end -->"
HEADINGS = ("R@5", "R@10", "R@25", "R@50", "multi-hop R@10")


def tell(figures: Figures, readme: Path) -> None:
    """Put the table where the README marks it; a README without marks stays as it is."""
    text = readme.read_text() if readme.is_file() else ""
    before, begun, rest = text.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if begun and ended and "locomo_report" in figures:
        readme.write_text(before + BEGIN + in_markdown(figures) + END + after)


def in_markdown(figures: Figures) -> str:
    """LoCoMo's recall and the time to answer, a system a line, and what could not be measured."""
    times = answer_times(figures, "10000")
    lines = [["system", *HEADINGS, "ms at 10,000 messages, p50 / p95"]]
    lines.append(["---", *("---:" for _ in lines[0][1:])])
    for system, row in systems(figures, "locomo", "report").items():
        spent = " / ".join(f"{ms:g}" for ms in times[system]) if system in times else ""
        name = f"**{system}**" if system == OURS else system
        lines.append([name, *(f"{row[c]:.1f}" if c in row else "" for c in COLUMNS["locomo"]), spent])
    table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    about = f"LoCoMo, sha256 {figures['locomo_data']['sha256'][:16]}, seed {figures['seed']}, percent."
    unable = figures.get("peers", {}).get("cannot_run", [])
    missing = "; ".join(f"{one['name']} {one['version']}: {one['reason'].rstrip('.')}" for one in unable)
    return f"\n{table}\n{about}{f' Not measured: {missing}.' if missing else ''}\n\n"


# the chart


def panels_of(figures: Figures) -> list[Panel]:
    """Recall of all systems, and the time that each takes to answer."""
    recall = [
        Bar(name, row["r10"], name == OURS) for name, row in systems(figures, "locomo", "report").items()
    ]
    times = [Bar(name, row[0], name == OURS) for name, row in answer_times(figures, "10000").items()]
    panels = [
        Panel("Evidence among the first 10 memories, percent (LoCoMo, chats nothing was chosen by)", recall),
        Panel("Time to recall in a chat of 10,000 messages, milliseconds (median; less is better)", times),
    ]
    return [panel for panel in panels if len(panel.bars) > 1]


def systems(figures: Figures, name: str, split: str) -> dict[str, Figures]:
    """Every system's figures on a data set: ours, then the others, best first."""
    ours = figures.get(f"{name}_{split}")
    others = {n: row[split] for n, row in figures.get("baselines", {}).get(name, {}).items() if split in row}
    if name == "locomo":
        peers = figures.get("peers", {}).get("peers", {})
        others |= {n: peer["recall"][split] for n, peer in peers.items() if "recall" in peer}
    first = COMPARED[name][0]
    best = sorted(others.items(), key=lambda item: item[1].get(first, 0), reverse=True)
    return ({OURS: ours} if ours else {}) | dict(best)


def answer_times(figures: Figures, size: str) -> dict[str, tuple[float, float]]:
    """Milliseconds, p50 and p95, that each system takes for a question of ten words at this many messages."""
    told: dict[str, tuple[float, float]] = {}
    if ours := figures.get("speed", {}).get("stored/words", {}).get(f"{size}/10"):
        told[OURS] = (ours["p50_ms"], ours["p95_ms"])
    for name, peer in figures.get("peers", {}).get("peers", {}).items():
        if spent := peer.get("speed", {}).get(size):
            told[name] = (spent["query_p50_ms"], spent["query_p95_ms"])
    return dict(sorted(told.items(), key=lambda item: item[1][0]))


# the tables


def show(figures: Figures, console: Console) -> None:
    """Print everything that was measured."""
    console.print(f"seed {figures['seed']}; k 5, 10, 25, 50; memories as told to the prompt, best first")
    for name in COLUMNS:
        if f"{name}_all" in figures:
            _show_dataset(figures, name, console)
    if times := answer_times(figures, "10000"):
        table = Table(
            "system", "p50 ms", "p95 ms", title="Recall in a chat of 10,000 messages, ten words asked"
        )
        for system, (p50, p95) in times.items():
            table.add_row(system, f"{p50:g}", f"{p95:g}")
        console.print(table)
    if speed := figures.get("speed"):
        _show_speed(speed, console)
    for one in figures.get("peers", {}).get("cannot_run", []):
        console.print(f"not measured: {one['name']} {one['version']}: {one['reason']}")


def _show_speed(speed: Figures, console: Console) -> None:
    columns = ("p50_ms", "p95_ms", "p50_rulers", "p95_rulers", "p50_cpu_ms", "p50_cpu_rulers")
    table = Table("stored/words", *(c.replace("_", " ") for c in columns), title=f"Speed: {speed['unit']}")
    for name, row in speed["stored/words"].items():
        table.add_row(name, *(f"{row[c]:g}" for c in columns))
    console.print(table)
    console.print(f"ruler {speed['ruler_ms']} ms, of the processor {speed['ruler_cpu_ms']} ms")
    for name in ("storing", "resident", "disk_bytes_per_message"):
        console.print(f"{name.replace('_', ' ')}: {speed[name]}")


def _show_dataset(figures: Figures, name: str, console: Console) -> None:
    about = figures[f"{name}_data"]
    console.print(f"\n{name}, sha256 {about['sha256'][:16]}; unit: {about['unit']}")
    for split in SPLITS:
        table = Table("system", *COLUMNS[name], title=f"{name}, {split}")
        for system, row in systems(figures, name, split).items():
            table.add_row(system, *(f"{row[c]:g}" if c in row else "" for c in COLUMNS[name]))
        if off := figures.get(f"{name}_emotion_off", {}).get(split):
            table.add_row("ours, emotion off", *(f"{off[c]:g}" for c in COLUMNS[name]))
        table.add_row("to reach", *(f"{NEEDED[name][c]:g}" for c in COLUMNS[name]))
        console.print(table)
    if emotion := figures.get(f"{name}_emotion"):
        console.print(f"what emotion changes: {emotion}")
    for category, row in figures[f"{name}_all"].get("by_category", {}).items():
        console.print(f"  {category}: {row}")
