"""What was measured of the peers, as tables."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.recall.baselines import print_description, recall_table


def show(told: dict[str, Any], console: Console) -> None:
    """Print what `measure` told (Any: JSON of several kinds)."""
    if "sha256" in told:
        print_description(console, told)
        for split in ("report", "all"):
            rows = {n: peer["recall"][split] for n, peer in told["peers"].items() if "recall" in peer}
            console.print(recall_table(f"Recall, percent ({split})", rows))
    for name, peer in told["peers"].items():
        console.print(f"{name} {peer.get('version', '')}: {peer['setting']}")
    console.print(f"speed: {told['speed_texts']}")
    console.print(speed_table(told))
    console.print(unable_table(told))


def speed_table(told: dict[str, Any]) -> Table:
    """One line a peer and size (Any: as `measure` tells it)."""
    table = Table(title="Storing and asking, 30 words a message, own embedding included, one thread")
    columns = ("store s", "CPU s", "stored/s", "query p50 ms", "p95 ms", "p50 CPU ms")
    for column in ("system", "messages", *columns):
        table.add_column(column, justify="left" if column == "system" else "right")
    for name, peer in told["peers"].items():
        for size, speed in peer.get("speed", {}).items():
            table.add_row(f"{name} {peer['version']}", size, *(f"{value:g}" for value in speed.values()))
    return table


def unable_table(told: dict[str, Any]) -> Table:
    """What could not be measured (Any: as `measure` tells it)."""
    table = Table("system", "version", "reason", title="Cannot run here")
    for one in told["cannot_run"]:
        table.add_row(one["name"], one["version"], one["reason"])
    return table
