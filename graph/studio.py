"""What `langgraph.json` names: the graph and its checkpointer over one process-wide Resources.

`langgraph dev` calls a graph factory again for every run and enters the checkpointer once per event loop, so
the checkpointer's context owns the Resources and every run shares them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from graph.build import Graph, build_graph
from graph.resources import Resources, open_resources
from graph.settings import load_settings


class _Process:
    """The one Resources of this process, opened by whoever needs it first."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._stack: AsyncExitStack | None = None
        self._graph: Graph | None = None
        self.resources: Resources | None = None

    async def open(self) -> Resources:
        """Open once; concurrent callers wait for the same one."""
        async with self._lock:
            if self.resources is None:
                self._stack = AsyncExitStack()
                settings = await asyncio.to_thread(load_settings)
                self.resources = await self._stack.enter_async_context(open_resources(settings))
            return self.resources

    async def graph(self) -> Graph:
        """The graph over the Resources, compiled once; the platform adds its checkpointer."""
        resources = await self.open()
        if self._graph is None:
            self._graph = build_graph(resources)
        return self._graph

    async def close(self) -> None:
        """Close what is open, so that the data folder is free again."""
        async with self._lock:
            if self._stack is not None:
                await self._stack.aclose()
            self._stack = self._graph = self.resources = None


process = _Process()


async def graph() -> Graph:
    """The factory that langgraph.json names."""
    return await process.graph()


@asynccontextmanager
async def checkpointer() -> AsyncIterator[AsyncSqliteSaver]:
    """The checkpointer that langgraph.json names; its end closes the Resources."""
    resources = await process.open()
    try:
        yield resources.checkpointer
    finally:
        await process.close()
