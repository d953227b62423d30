"""What the fake providers are made of: a small HTTP server on loopback that plays scripts.

    async with FakeOpenAI() as fake:
        fake.script(Fail(429), says("Hello", " there"), [Say("Well"), Hang()])
        ...                        # point a real client at fake.url
        fake.calls[0].body         # what it sent
        await fake.calls[2].left.wait()

Each call takes the next behaviour of the script; without one it gets `fake.reply(n, request)`, by default
`Stub reply n: ...`. A behaviour is a `Fail` or a list of steps, played in order and then ended properly.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

STUB = 'Stub reply {n}: "I remember," she says softly. *smiles*'


@dataclass(frozen=True)
class Say:
    """A piece of the answer's text."""

    text: str


@dataclass(frozen=True)
class Think:
    """A piece of reasoning."""

    text: str


@dataclass(frozen=True)
class Call:
    """A tool call or a fragment of one; id and name only come with the first."""

    arguments: str
    index: int = 0
    id: str = ""
    name: str = ""


@dataclass(frozen=True)
class Finish:
    """OpenAI's `stop`, `length`, `content_filter`, ..., or the provider's own word."""

    reason: str = "stop"


@dataclass(frozen=True)
class Count:
    """The usage."""

    prompt: int = 100
    completion: int = 10


@dataclass(frozen=True)
class Event:
    """One server-sent event with this JSON, as it is."""

    data: Any


@dataclass(frozen=True)
class Raw:
    """Bytes of the body, as they are."""

    data: bytes


@dataclass(frozen=True)
class Wait:
    """Go on when the event is set."""

    event: asyncio.Event


@dataclass(frozen=True)
class Hang:
    """Send nothing more and keep the connection."""


@dataclass(frozen=True)
class Cut:
    """Break the connection off."""


@dataclass(frozen=True)
class Fail:
    """An error instead of an answer."""

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


Step = Say | Think | Call | Finish | Count | Event | Raw | Wait | Hang | Cut
Behaviour = Fail | Sequence[Step]


def says(*texts: str) -> list[Step]:
    """A whole answer in these pieces, with usage."""
    return [*map(Say, texts), Finish(), Count()]


@dataclass(eq=False)
class Request:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    """Names in lower case."""
    raw: bytes
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the whole answer is sent."""
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the client closed the connection before that."""
    left_at: float | None = None
    """When it did, by the event loop's clock."""

    @property
    def body(self) -> Any:
        return json.loads(self.raw)


class FakeProvider:
    """The server; a provider's fake says how steps look on its wire, and what its other addresses answer."""

    def __init__(self, port: int = 0) -> None:
        self.requests: list[Request] = []
        self.calls: list[Request] = []
        """Those of the requests that asked for an answer."""
        self.reply: Callable[[int, Request], Behaviour] = stub
        self._port = port
        self._script: list[Behaviour] = []
        self._called = asyncio.Condition()
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.StreamWriter, asyncio.Task[None]] = {}

    @property
    def url(self) -> str:
        """The address a client is given."""
        return self.origin

    @property
    def origin(self) -> str:
        assert self._server, "not started"
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def script(self, *behaviours: Behaviour) -> None:
        """What the next calls meet, in order."""
        self._script += behaviours

    async def called(self, times: int = 1) -> None:
        """Returns when this many calls have come."""
        async with self._called:
            await self._called.wait_for(lambda: len(self.calls) >= times)

    def is_call(self, request: Request) -> bool:
        raise NotImplementedError

    def page(self, request: Request) -> Any:
        """The JSON of another address; None: 404."""
        raise NotImplementedError

    def render(self, step: Step, request: Request) -> bytes:
        raise NotImplementedError

    def ending(self, request: Request) -> bytes:
        """What ends a stream."""
        return b""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self._port)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server
        self._server.close()
        for writer in self._connections:
            writer.transport.abort()
        await asyncio.gather(*self._connections.values())
        await self._server.wait_closed()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._connections[writer] = task
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while request := await read_request(reader):
                self.requests.append(request)
                await self._answer(request, reader, writer)
        writer.close()
        del self._connections[writer]

    async def _answer(
        self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if not self.is_call(request):
            page = self.page(request)
            writer.write(whole(200 if page is not None else 404, page or {"error": {"message": "not here"}}))
            return
        self.calls.append(request)
        async with self._called:
            self._called.notify_all()
        behaviour = self._script.pop(0) if self._script else self.reply(len(self.calls), request)
        if isinstance(behaviour, Fail):
            writer.write(whole(behaviour.status, behaviour.body or {}, behaviour.headers))
            return
        leaving = asyncio.ensure_future(reader.read(1))
        playing = asyncio.ensure_future(self._play(behaviour, request, writer))
        await asyncio.wait({leaving, playing}, return_when=asyncio.FIRST_COMPLETED)
        if not playing.done():
            request.left_at = asyncio.get_running_loop().time()
            request.left.set()
        for task in (leaving, playing):
            task.cancel()
        await asyncio.gather(leaving, playing, return_exceptions=True)

    async def _play(self, steps: Sequence[Step], request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        for step in steps:
            match step:
                case Wait(event):
                    await event.wait()
                case Hang():
                    await asyncio.Event().wait()
                case Cut():
                    await writer.drain()
                    writer.transport.abort()
                    return
                case _:
                    data = self.render(step, request)
                    writer.write(chunk(data) if data else b"")
                    await writer.drain()
        writer.write(chunk(self.ending(request)) + b"0\r\n\r\n")
        await writer.drain()
        request.answered.set()


def stub(n: int, request: Request) -> Behaviour:
    """What captures were made with, word by word."""
    words = STUB.format(n=n).split(" ")
    return says(words[0], *(f" {word}" for word in words[1:]))


def event(data: Any) -> bytes:
    """One server-sent event."""
    return b"data: " + json.dumps(data).encode() + b"\n\n"


def chunk(data: bytes) -> bytes:
    """One piece of a chunked body; nothing for nothing, which would end it."""
    return b"%x\r\n%s\r\n" % (len(data), data) if data else b""


def whole(status: int, body: Any, headers: dict[str, str] | None = None) -> bytes:
    """A response of one piece; strings go out as text, everything else as JSON."""
    text = isinstance(body, str)
    data = body.encode() if text else json.dumps(body).encode()
    lines = [
        f"HTTP/1.1 {status} Status",
        f"content-type: {'text/html' if text else 'application/json'}",
        f"content-length: {len(data)}",
        *(f"{name}: {value}" for name, value in (headers or {}).items()),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + data


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """The next request of a connection; None at its end."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.rstrip("\r\n").split("\r\n")
    method, path, _ = first.split(" ")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    raw = await reader.readexactly(int(headers.get("content-length", 0)))
    return Request(method, path, headers, raw)


def serve(fake: FakeProvider) -> None:
    """Run a fake by itself, until interrupted; prints its address."""

    async def forever() -> None:
        async with fake:
            print(fake.url, flush=True)
            await asyncio.Event().wait()

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(forever())
