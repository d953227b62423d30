"""A real server of ours on loopback, in front of a fake provider."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

import httpx
import pytest
from openai import AsyncOpenAI

from graph.resources import Resources
from graph.settings import Settings, load_settings
from server.serve import TurnServer, bind, serve_on
from tests.fakes.openai_server import FakeOpenAI


@dataclass(frozen=True)
class Live:
    """A server that takes requests, and its inside."""

    url: str
    resources: Resources
    turns: Turns
    openai: AsyncOpenAI
    http: httpx.AsyncClient


Serving = Callable[[Settings], AbstractAsyncContextManager[Live]]


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[Live]:
    """Serve until the block ends; raises what opening raises."""
    ready: asyncio.Future[tuple[Resources, str]] = asyncio.get_running_loop().create_future()
    servers: list[TurnServer] = []
    with bind("127.0.0.1", 0) as listener:
        task = asyncio.create_task(
            serve_on(listener, settings, lambda r, url, n: ready.set_result((r, url)), servers.append)
        )
        await asyncio.wait({task, ready}, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            task.result()
        resources, url = ready.result()
        client = AsyncOpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0)
        try:
            async with client, httpx.AsyncClient(base_url=url, timeout=30) as http:
                yield Live(url, resources, client, http)
        finally:
            servers[0].should_exit = True
            await task


@pytest.fixture
async def fake() -> AsyncIterator[FakeOpenAI]:
    """The provider."""
    async with FakeOpenAI() as provider:
        yield provider


@pytest.fixture
def settings(settings: Settings, fake: FakeOpenAI) -> Settings:
    """Settings that use the fake provider and give up on it at once."""
    return load_settings(
        db_path=settings.db_path,
        chromadb_path=settings.chromadb_path,
        port=0,
        llm="openai:stub-model",
        openai_base_url=fake.url,
        openai_api_key="secret-key-of-the-user",
        provider_retries=0,
    )


@pytest.fixture
async def live(settings: Settings) -> AsyncIterator[Live]:
    """The server."""
    async with serving(settings) as live:
        yield live


def said(*texts: str) -> list[dict[str, str]]:
    """A chat in turns, the user first."""
    return [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(texts)]


async def stored(live: Live, session_id: str) -> list[tuple[str, str]]:
    """Role and text of every message of a session; empty for an unknown one."""
    answer = await live.http.get(f"/v1/sessions/{session_id}/messages")
    return [(m["role"], m["content"]) for m in answer.json().get("data", [])]


async def idle(live: Live) -> None:
    """Wait until no turn is under way."""
    await until(lambda: not live.turns.running)


async def until(condition: Callable[[], object]) -> None:
    """Wait for something that no event tells; the test's own timeout ends it."""
    while not condition():
        await asyncio.sleep(0.01)
