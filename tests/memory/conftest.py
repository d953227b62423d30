"""A data folder, its transcript, and a front-end that talks to it the way requests do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path as FilePath

import pytest

from memory.align import Incoming, fingerprint, incoming
from memory.assignment import Assignment, Request
from memory.catalog import Catalog
from memory.sessions import Sessions
from memory.stored import Committed, NewMessage, TurnWrite
from memory.transcript_sqlite import SqliteTranscript
from memory.whose import ANYBODY, Whose
from tests.truth.memory_under_test import Memory

ROLES = {"u": "user", "a": "assistant"}
Said = Callable[..., list[Incoming]]


def _said(*lines: str) -> list[Incoming]:
    messages = [{"role": ROLES[line[0]], "content": line[2:]} for line in lines]
    return incoming(messages, [])


def _new(line: str, **more: object) -> NewMessage:
    role = ROLES[line[0]]
    return NewMessage(role, "", line[2:], fingerprint(role, line[2:]), **more)


@pytest.fixture
def said() -> Said:
    """A window from lines such as "u:hello" and "a:hi"."""
    return _said


@pytest.fixture
def new() -> Callable[..., NewMessage]:
    """A message to be stored, from a line such as "u:hello"."""
    return _new


class FrontEnd:
    """Sends windows and stores what is answered; `turns` counts them."""

    def __init__(self, transcript: SqliteTranscript, catalog: Catalog) -> None:
        self.transcript = transcript
        self.sessions = Sessions(transcript, catalog)
        self.turns = 0

    def write(self, assignment: Assignment, window: Sequence[Incoming], *replies: str) -> TurnWrite:
        """What the turn of an assignment stores."""
        self.turns += 1
        fresh = [n for n, row in enumerate(assignment.alignment.rows) if row is None]
        numbers = {row: n for n, row in enumerate(fresh)}
        path = assignment.alignment.path
        return TurnWrite(
            key=assignment.key,
            session_id=assignment.session_id,
            turn_id=f"turn-{self.turns}",
            path=[[-numbers[-first - 1] - 1] * 2 if first < 0 else [first, last] for first, last in path],
            new=[NewMessage(r.role, r.speaker, r.text, r.fingerprint) for r in (window[n] for n in fresh)],
            replies=[_new(reply) for reply in replies],
            forked_from=assignment.forked_from,
        )

    async def find(self, *lines: str, **ids: str | Whose) -> Assignment:
        """Which session these visible lines belong to."""
        return await self.sessions.find(Request("local", _said(*lines), **ids))

    async def send(self, *lines: str, reply: str | None = None, **ids: str | Whose) -> Assignment:
        """A turn: the visible lines come, the reply (a line) is stored."""
        assignment, _ = await self.turn(*lines, reply=reply, **ids)
        return assignment

    async def turn(
        self, *lines: str, reply: str | None = None, **ids: str | Whose
    ) -> tuple[Assignment, Committed]:
        window, whose = _said(*lines), ids.get("whose", ANYBODY)
        async with self.sessions.turn(Request("local", window, **ids)) as assignment:
            write = self.write(assignment, window, *([reply] if reply else []))
            write = replace(
                write,
                chat_id=ids.get("chat_id", ""),
                user_name=ids.get("user", ""),
                person=ids.get("user", ""),
                character=ids.get("character", whose.character),
                is_group=whose.is_group,
            )
            return assignment, await self.transcript.commit(write)

    async def path(self, session_id: str) -> list[str]:
        """A session's path as lines."""
        session = await self.transcript.session("local", session_id)
        messages = await self.transcript.messages(session.key, list(session.path))
        return [f"{m.role[0]}:{m.text}" for m in messages]

    async def stored(self, session_id: str) -> list[str]:
        """Every message of a session's tree as lines, on the path or not."""
        session = await self.transcript.session("local", session_id)
        ids = [i for i in range(1, 1000) if i in await self.transcript.tree(session.key)]
        messages = await self.transcript.messages(session.key, ids)
        return [f"{m.role[0]}:{m.text}" for m in messages]


@pytest.fixture(scope="session")
def front_end_over() -> type[FrontEnd]:
    """For tests that open their own data folders."""
    return FrontEnd


@pytest.fixture
def root(tmp_path: FilePath) -> FilePath:
    return tmp_path / "chats"


@pytest.fixture
def catalog(root: FilePath) -> Iterator[Catalog]:
    catalog = Catalog.open(root)
    yield catalog
    catalog.close()


@pytest.fixture
async def transcript(root: FilePath, catalog: Catalog) -> AsyncIterator[SqliteTranscript]:
    transcript = await SqliteTranscript.open(root, catalog)
    yield transcript
    await transcript.close()


@pytest.fixture
def front_end(transcript: SqliteTranscript, catalog: Catalog) -> FrontEnd:
    return FrontEnd(transcript, catalog)


@pytest.fixture
async def memory(tmp_path: FilePath) -> AsyncIterator[Memory]:
    memory = await Memory.open(tmp_path)
    yield memory
    await memory.close()
