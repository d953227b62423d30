"""Our server as a process of its own, to be killed and started again."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from graph.settings import Settings
from tests.fakes.openai_server import FakeOpenAI


def environment(settings: Settings, fake: FakeOpenAI, **more: str) -> dict[str, str]:
    """The variables of a process that runs on the same settings."""
    ours = {name.upper() for name in Settings.model_fields}
    return {
        **{name: value for name, value in os.environ.items() if name not in ours},
        "LLM": "openai:stub-model",
        "OPENAI_BASE_URL": fake.url,
        "OPENAI_API_KEY": "key",
        "PROVIDER_RETRIES": "0",
        "DB_PATH": str(settings.db_path),
        "PORT": "0",
        **more,
    }


async def command(
    *args: str, env: dict[str, str], stdin: str | None = None, cwd: Path | None = None
) -> asyncio.subprocess.Process:
    """Start `python -m server.cli ARGS`."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "server.cli",
        *args,
        env=env,
        cwd=cwd,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdin
    if stdin is not None:
        process.stdin.write(stdin.encode())
        process.stdin.close()
    return process


async def ended(process: asyncio.subprocess.Process) -> tuple[int, str, str]:
    """Exit code, stdout and stderr."""
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


@dataclass
class ServerProcess:
    """A running `emotional-rag serve`; `screen` is what it printed until it took requests."""

    process: asyncio.subprocess.Process
    screen: str
    url: str
    http: httpx.AsyncClient = field(repr=False)

    async def kill(self) -> None:
        """As a power cut would: nothing is flushed or finished."""
        self.process.send_signal(signal.SIGKILL)
        await self.process.wait()


@asynccontextmanager
async def server_process(env: dict[str, str]) -> AsyncIterator[ServerProcess]:
    """Serve in a process that is gone when the block ends."""
    process = await command("serve", env=env, stdin="")
    try:
        screen = await _until_ready(process)
        found = re.search(r"on (http://127\.0\.0\.1:\d+)", screen)
        assert found, screen
        async with httpx.AsyncClient(base_url=found[1], timeout=30) as http:
            yield ServerProcess(process, screen, found[1], http)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def _until_ready(process: asyncio.subprocess.Process) -> str:
    """What is printed until the last line of the banner; fails with stderr when the process ends before."""
    assert process.stdout and process.stderr
    screen = ""
    while "Ctrl-C stops it." not in screen:
        line = await process.stdout.readline()
        assert line, (await process.stderr.read()).decode()
        screen += line.decode()
    return screen
