"""`emotional-rag reindex`: rebuild everything that is derived from the chats."""

from __future__ import annotations

import asyncio

from rich.console import Console
from rich.progress import Progress

from graph.resources import Resources, open_resources
from graph.settings import Settings, load_settings
from server.serve import configure_logging

STEP = 0.2
"""Seconds between looks at what is left."""


def reindex() -> int:
    """Rebuild catalog and vectors; raises DataFolderBusy while a server runs."""
    settings = load_settings()
    configure_logging("warning" if settings.log_level == "info" else settings.log_level)
    asyncio.run(_reindex(settings))
    return 0
