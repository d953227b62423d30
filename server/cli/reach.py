"""Where a command finds the chats: the server that holds the data folder, or one of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TYPE_CHECKING

from graph.errors import DataFolderBusy
from graph.settings import Settings
from memory.files import holder

if TYPE_CHECKING:
    from graph.resources import Resources
    from server.serve import TurnServer


def running_server(settings: Settings) -> str | None:
    """The URL of the server that holds the data folder; raises DataFolderBusy when the holder serves none."""
    held = holder(settings.db_path)
    if held is None:
        return None
    if held.url is None:
        raise DataFolderBusy(str(settings.db_path), held.pid)
    return held.url


@contextmanager
def reachable_server(settings: Settings) -> Iterator[str]:
    """The URL of a server over the data folder: the running one, or ours until the block ends."""
    url = running_server(settings)
    if url is not None:
        yield url
        return
    with own_server(settings) as url:
        yield url


@contextmanager
def own_server(settings: Settings) -> Iterator[str]:
    """Our server in a thread of this process, on a free port; raises what opening it raises."""
    from server.serve import bind, serve_on  # the models' libraries: not needed beside a running server

    address: Future[str] = Future()
    servers: list[TurnServer] = []
    leaving = threading.Event()

    def ready(resources: Resources, url: str, stored: int) -> None:
        address.set_result(url)

    def started(server: TurnServer) -> None:
        servers.append(server)
        server.should_exit = leaving.is_set()

    def run() -> None:
        try:
            with bind("127.0.0.1", 0) as listener:
                asyncio.run(serve_on(listener, settings, ready, started))
        except BaseException as error:
            if address.done():
                raise
            address.set_exception(error)

    thread = threading.Thread(target=run, name="server")
    thread.start()
    try:
        yield address.result()
    finally:
        leaving.set()
        for server in servers:
            server.should_exit = True
        thread.join()
