"""Figures of a measurement: kept as a JSON file, shown in a console."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

WIDTH = 130
"""Columns of a table that goes to a file."""


def keep(figures: Mapping[str, Any], file: Path) -> None:
    """Write them, and the folders above the file where there are none (Any: JSON of several kinds)."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(figures, indent=1) + "\n")


def wide_console() -> Console:
    """The terminal, or where there is none a console as wide as the tables."""
    console = Console()
    return console if console.is_terminal else Console(width=WIDTH)
