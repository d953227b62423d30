"""What the tests of the server talk to: a real server of ours on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from openai import AsyncOpenAI

from graph.resources import Resources
from graph.settings import Settings
from server.chat.serving import Turns
from server.serve import TurnServer, bind, serve_on


@dataclass(frozen=True)
class Live:
    """A server that takes requests, and its inside."""

    url: str
    resources: Resources
    turns: Turns
    openai: AsyncOpenAI
    http: httpx.AsyncClient


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[Live]:
    """Serve until the block ends; raises what opening raises."""
    ready: asyncio.Future[tuple[Resources, str]] = asyncio.get_running_loop().create_future()
    servers: list[TurnServer] = []
    with bind("127.0.0.1", 0) as listener:
        task = asyncio.create_task(
            serve_on(listener, settings, lambda r, url, n: ready.set_result((r, url)), servers.append)
        )
        await asyncio.wait((task, ready), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
        resources, url = ready.result()
        client = AsyncOpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0)
        try:
            async with client, httpx.AsyncClient(base_url=url, timeout=30) as http:
                yield Live(url, resources, servers[0].turns, client, http)
        finally:
            servers[0].should_exit = True
            await task


def said(*texts: str) -> list[Any]:
    """A chat in turns, the user first (Any: as OpenAI's client and JSON both take it)."""
    return [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(texts)]


async def stored(live: Live, session_id: str) -> list[tuple[str, str]]:
    """Role and text of every message of a session; empty for an unknown one."""
    answer = await live.http.get(f"/v1/sessions/{session_id}/messages")
    return [(m["role"], m["content"]) for m in answer.json().get("data", [])]


async def idle(live: Live) -> None:
    """Wait until no turn is under way and what follows from the turns is done."""
    await until(lambda: not live.turns.running)
    await live.resources.worker.idle()


async def until(condition: Callable[[], object]) -> None:
    """Wait for something that no event tells; the test's own timeout ends it."""
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.01)
