"""`emotional-rag reindex`: rebuild everything that is derived from the chats."""

from __future__ import annotations

import asyncio

from rich.console import Console
from rich.progress import Progress

from graph.errors import EmotionalRagError
from graph.resources import open_resources
from graph.settings import Settings, load_settings
from server.health import backlog
from server.log import configure_logging

STEP = 0.5
"""Seconds between looks at what is left."""

console = Console(highlight=False)


def reindex() -> int:
    """Rebuild catalog, vectors and token codes; raises DataFolderBusy while a server runs."""
    settings = load_settings()
    configure_logging(settings.log_level, interactive=True)
    asyncio.run(_reindex(settings))
    return 0


async def _reindex(settings: Settings) -> None:
    async with open_resources(settings) as resources:
        chats = await asyncio.to_thread(resources.catalog.rebuild, settings.db_path)
        await resources.vectors.clear()
        await resources.codes.clear()
        jobs = await resources.transcript.reindex_jobs()
        for key in await resources.transcript.trees_with_jobs():
            resources.worker.wake(key)
        with Progress(console=console) as progress:
            bar = progress.add_task("Embedding", total=jobs)
            idle = asyncio.ensure_future(resources.worker.idle())
            while not idle.done():
                await asyncio.wait({idle}, timeout=STEP)
                progress.update(bar, completed=jobs - min(jobs, await backlog(resources)))
        console.print(f"{chats} chats, {await resources.vectors.count()} vectors.")
        for kind, why in resources.worker.failing.items():
            raise EmotionalRagError(f"{kind} failed and will be tried again by the server: {why}")
