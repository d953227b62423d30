"""Runs the application in uvicorn: binds, opens the resources, serves, and ends without losing a turn."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import uvicorn

from graph.errors import SettingsError
from graph.resources import Resources, open_resources
from graph.settings import Settings
from server.app import create_app
from server.chat.serving import Turns
from server.dependencies import OWNER

GRACE = 4.0
"""Seconds that a turn under way has at the end before it is stopped and stored as far as it came."""

Ready = Callable[[Resources, str, int], None]
"""Called when requests are taken: resources, URL, number of stored sessions."""


class TurnServer(uvicorn.Server):
    """A uvicorn server that says when it is ready and brings the turns under way to their end."""

    def __init__(self, config: uvicorn.Config, turns: Turns, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self.turns = turns
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        finishing = asyncio.create_task(self.turns.finish(GRACE))
        await super().shutdown(sockets)
        await finishing


def bind(host: str, port: int) -> socket.socket:
    """A socket on host and port; raises SettingsError when that cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise SettingsError(
            f"Cannot listen on {host} port {port}: {error.strerror or error}. "
            "Stop what uses it, or set PORT (and HOST) to something else."
        ) from None
    return listener


def url_of(listener: socket.socket) -> str:
    """The address to open in a client; all interfaces are shown as loopback."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{host}:{port}"


async def serve_on(
    listener: socket.socket,
    settings: Settings,
    ready: Ready,
    started: Callable[[TurnServer], None] = lambda server: None,
) -> None:
    """Serve until told to stop; raises what `open_resources` raises. `started` receives the server object."""
    async with open_resources(settings) as resources:
        app = create_app(resources)
        url = url_of(listener)
        stored = (await resources.transcript.sessions(OWNER, limit=1)).total
        config = uvicorn.Config(
            app,
            lifespan="off",
            log_config=None,
            access_log=settings.log_level == "debug",
            timeout_graceful_shutdown=int(3 * GRACE),
        )

        def is_ready() -> None:
            resources.lock.set_url(url)
            ready(resources, url, stored)

        server = TurnServer(config, app.state.turns, is_ready)
        started(server)
        with _signals_end_quietly():
            await server.serve(sockets=[listener])


@contextmanager
def _signals_end_quietly() -> Iterator[None]:
    """uvicorn raises the signal that ended it once more; the resources must still be closed then."""

    def ignore(number: int, frame: FrameType | None) -> None:
        return None

    try:
        before = {number: signal.signal(number, ignore) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not the main thread: uvicorn takes no signals there either
        yield
        return
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
