"""Our server under measurement, in a thread of this process."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.provider import Provider
from graph.resources import Resources
from graph.settings import load_settings
from server.serve import TurnServer, bind, serve_on, url_of

PAUSE = 0.1


@dataclass
class Bench:
    """A server and a provider under measurement, in this process."""

    url: str
    resources: Resources
    loop: asyncio.AbstractEventLoop
    provider: Provider
    arrivals: list[float] = field(default_factory=list)

    def settle(self) -> None:
        """A moment between turns, as between people's, then until nothing is left to do in the background."""
        time.sleep(PAUSE)
        self.call(self.resources.worker.idle())

    def call(self, coroutine: Any) -> Any:  # Any: whatever the coroutine returns
        """Run a coroutine on the server's loop and wait for it."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()


@contextmanager
def serving(provider: Provider, folder: Path, **settings: Any) -> Iterator[Bench]:
    """Our server on a free port, in a thread of this process (Any: values of settings)."""
    loaded = load_settings(
        db_path=folder, port=0, llm="openai:stub-model", openai_base_url=provider.base_url, **settings
    )
    listener = bind(loaded.host, 0)
    ready: Future[Bench] = Future()
    servers: list[TurnServer] = []

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        await serve_on(
            listener,
            loaded,
            lambda resources, url, _: ready.set_result(Bench(url, resources, loop, provider)),
            servers.append,
        )

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        bench = ready.result(timeout=120)
        bench.url = url_of(listener)
        yield bench
    finally:
        for server in servers:
            server.should_exit = True
        thread.join()
