"""`emotional-rag serve`."""

from __future__ import annotations

import asyncio

from graph.errors import DataFolderBusy
from graph.settings import load_settings
from memory.files import holder
from server.banner import show_banner
from server.log import configure_logging
from server.serve import bind, serve_on


def serve() -> int:
    """Serve until Ctrl-C or SIGTERM."""
    settings = load_settings()
    configure_logging(settings.log_level)
    if held := holder(settings.db_path):
        raise DataFolderBusy(str(settings.db_path), held.pid, held.url)
    with bind(settings.host, settings.port) as listener:
        asyncio.run(serve_on(listener, settings, show_banner))
    return 0
