"""What `langgraph.json` names: the graph and its checkpointer over one process-wide Resources.

`langgraph dev` loads this file once for each name it finds in it, calls the graph factory again for every run
and enters the checkpointer once per event loop: so what is open lives in `graph.process`, and the
checkpointer's context ends it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from graph.build import Graph
from graph.process import process


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
