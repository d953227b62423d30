"""One Resources for a whole process, whoever asks first; for hosts that load our modules in their own way."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from graph.build import Graph, build_graph
from graph.resources import Resources, open_resources
from graph.settings import load_settings


class Process:
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


process = Process()
