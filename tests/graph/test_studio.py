"""LangGraph's own server loads `langgraph.json` and drives the graph: no internet, no key, Resources once."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from langgraph_sdk import get_client

from tests.fakes.openai_server import FakeOpenAI

REPOSITORY = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@asynccontextmanager
async def langgraph_dev(folder: Path, **environment: str) -> AsyncIterator[tuple[str, Path]]:
    """`langgraph dev` on a free port; its URL and its log."""
    port, log = free_port(), folder / "langgraph.log"
    command = [Path(sys.executable).with_name("langgraph"), "dev", "--no-browser", "--no-reload"]
    variables = os.environ | {"DB_PATH": str(folder / "sessions"), "LANGSMITH_TRACING": "false"} | environment
    with log.open("wb") as out:
        process = subprocess.Popen(  # noqa: ASYNC220 - only starting it
            [*command, "--host", "127.0.0.1", "--port", str(port)],
            cwd=REPOSITORY,
            env=variables,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        async with asyncio.timeout(120), httpx.AsyncClient() as http:
            while True:
                assert process.poll() is None, log.read_text()
                try:
                    (await http.get(f"{url}/ok")).raise_for_status()
                    break
                except httpx.HTTPError:
                    await asyncio.sleep(0.2)
        yield url, log
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(30)


def plain(text: str) -> dict[str, Any]:
    """What Studio's chat sends."""
    return {"messages": [{"role": "user", "content": text}]}


@pytest.mark.timeout(300)
async def test_langgraph_dev_runs_streams_and_shows_the_state(tmp_path: Path) -> None:
    async with (
        FakeOpenAI() as provider,
        langgraph_dev(tmp_path, LLM="openai:stub-model", OPENAI_BASE_URL=provider.url) as (url, log),
        get_client(url=url) as client,
    ):
        thread = await client.threads.create()
        for i in range(9):
            await client.runs.wait(thread["thread_id"], "emotional_rag", input=plain(f"Line {i}."))
        nodes = []
        async for part in client.runs.stream(
            thread["thread_id"], "emotional_rag", input=plain("The last line."), stream_mode="updates"
        ):
            nodes += list(part.data or {}) if part.event == "updates" else []
        state = await client.threads.get_state(thread["thread_id"])
        history = await client.threads.get_history(thread["thread_id"], limit=100)
    values: dict[str, Any] = state["values"]  # type: ignore[assignment]
    assert nodes[0] == "reconcile" and nodes[-2:] == ["store", "summarise"]
    assert values["stored"]["length"] == 20
    assert [m["content"] for m in provider.calls[-1].body["messages"]][-3::2] == ["Line 8.", "The last line."]
    assert len({s["values"]["turn_id"] for s in history if s["values"].get("turn_id")}) == 10
    assert log.read_text().count("data folder opened") == 1


@pytest.mark.timeout(300)
async def test_langgraph_dev_starts_with_no_key_and_answers_with_the_embedded_model(tmp_path: Path) -> None:
    async with langgraph_dev(tmp_path) as (url, _), get_client(url=url) as client:
        thread = await client.threads.create()
        values = await client.runs.wait(thread["thread_id"], "emotional_rag", input=plain("Say hello."))
    assert values["replies"][0]["text"].strip()  # type: ignore[index,call-overload]
