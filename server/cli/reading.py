"""What commands read of the chats: over HTTP beside a running server, else straight from the data folder."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol
from urllib.parse import quote, urlencode

import httpx

from graph.errors import EmotionalRagError, NotFound
from graph.settings import Settings
from memory.catalog import Catalog
from memory.files import FolderLock
from memory.transcript import Transcript
from memory.transcript_sqlite import SqliteTranscript
from server.cli.reach import running_server
from server.sessions import lookup
from server.transfer.export import write_export

PAGE = 1000
BLOCK = 2**18
TIMEOUT = httpx.Timeout(None, connect=30)


@dataclass(frozen=True, slots=True)
class Listed:
    """A session in a list; `updated_at` in Unix seconds."""

    id: str
    character: str
    avatar: str
    user_name: str
    messages: int
    updated_at: float


@dataclass(frozen=True, slots=True)
class Shown:
    """A message of a chat."""

    speaker: str
    emotion: str
    content: str


class Chats(Protocol):
    """The stored chats; every method raises NotFound for a name that no session has."""

    def sessions(self) -> Iterator[Listed]:
        """Every session, most recently used first."""
        ...

    def messages(self, name: str) -> Iterator[Shown]:
        """A chat as it stands now, oldest first."""
        ...

    def export(self, names: Sequence[str], file: BinaryIO) -> None:
        """Write these sessions, or all where none is named, as JSON lines."""
        ...


@contextmanager
def reading(settings: Settings) -> Iterator[Chats]:
    """The chats of the data folder, without the models that a server would load."""
    url = running_server(settings)
    if url is not None:
        with httpx.Client(base_url=url, timeout=TIMEOUT) as client:
            yield Served(client)
        return
    root = settings.db_path
    with ExitStack() as stack:
        stack.callback(FolderLock(root).release)
        catalog = Catalog.open(root)
        stack.callback(catalog.close)
        runner = stack.enter_context(asyncio.Runner())
        transcript = runner.run(SqliteTranscript.open(root, catalog))
        stack.callback(lambda: runner.run(transcript.close()))
        yield Opened(runner, catalog, transcript)


@dataclass(frozen=True, slots=True)
class Opened:
    """The chats of a data folder that this process holds."""

    runner: asyncio.Runner
    catalog: Catalog
    transcript: Transcript

    def sessions(self) -> Iterator[Listed]:
        for s in self.runner.run(lookup.everything(self)):
            yield Listed(s.session_id, s.character, s.avatar, s.user_name, len(s.path), s.updated_at)

    def messages(self, name: str) -> Iterator[Shown]:
        session = self.runner.run(lookup.named(self, name))
        for start in range(0, len(session.path), PAGE):
            ids = session.path.slice(start, start + PAGE)
            for message in self.runner.run(self.transcript.messages(session.key, ids)):
                yield Shown(message.speaker or message.role, message.emotion, lookup.said(message))

    def export(self, names: Sequence[str], file: BinaryIO) -> None:
        chosen = self.runner.run(lookup.to_export(self, list(names) or None))
        self.runner.run(write_export(self.transcript, chosen, file))


@dataclass(frozen=True, slots=True)
class Served:
    """The chats of a running server."""

    client: httpx.Client

    def sessions(self) -> Iterator[Listed]:
        for s in self._pages("/v1/sessions"):
            yield Listed(s["id"], s["character"], s["avatar"], s["user_name"], s["messages"], s["updated_at"])

    def messages(self, name: str) -> Iterator[Shown]:
        for message in self._pages(f"{path_of(name)}/messages"):
            yield Shown(message["speaker"] or message["role"], message["emotion"], message["content"])

    def export(self, names: Sequence[str], file: BinaryIO) -> None:
        query = urlencode([("session", name) for name in names])
        with self.client.stream("GET", f"/v1/export?{query}") as answer:
            if answer.is_error:
                answer.read()
                checked(answer)
            for block in answer.iter_bytes(BLOCK):
                file.write(block)

    def _pages(self, path: str) -> Iterator[dict[str, Any]]:
        """Every row of a list of the API (Any: JSON)."""
        offset, more = 0, True
        while more:
            page = checked(self.client.get(path, params={"limit": PAGE, "offset": offset}))
            yield from page["data"]
            offset, more = offset + len(page["data"]), page["has_more"]


def path_of(name: str) -> str:
    """Where the API has a session."""
    return f"/v1/sessions/{quote(name, safe='')}"


def checked(response: httpx.Response) -> dict[str, Any]:
    """The JSON of a good answer; raises what the server said otherwise (Any: JSON)."""
    body: dict[str, Any] = response.json()
    if response.status_code == 404:
        raise NotFound(body["error"]["message"])
    if response.is_error:
        raise EmotionalRagError(body["error"]["message"])
    return body
