"""`emotional-rag export`: chats with everything about them, into a file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from graph.errors import BadRequest
from graph.settings import load_settings
from server.cli.reading import Chats, reading
from server.log import configure_logging

console = Console(highlight=False)


def export_sessions(names: Sequence[str], everything: bool, output: Path) -> int:
    """Write sessions to a file, which appears only when it is complete."""
    if bool(names) == everything:
        raise BadRequest("Name the sessions to export, or say --all.")
    settings = load_settings()
    configure_logging(settings.log_level, interactive=True)
    with reading(settings) as chats:
        write(chats, names, output)
    console.print(f"{output}: {output.stat().st_size} bytes.", soft_wrap=True)
    return 0


def write(chats: Chats, names: Sequence[str], output: Path) -> None:
    """Export into a file beside the output, which takes its place at the end."""
    partial = output.with_name(f"{output.name}.part")
    try:
        with partial.open("wb") as file:
            chats.export(names, file)
        os.replace(partial, output)
    except OSError as error:
        raise BadRequest(f"Cannot write {output}: {error.strerror}.") from None
    finally:
        partial.unlink(missing_ok=True)
