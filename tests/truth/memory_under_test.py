"""Live memory as a server has it, without HTTP or model: transcript, sessions, reconcile, store, vectors."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from io import BytesIO
from typing import Any, cast

from langgraph.runtime import Runtime

from graph.build import after_generate
from graph.context import TurnContext
from graph.resources import Resources
from graph.state import STORED_KINDS, Kind, Turn, TurnState
from memory.assignment import Assignment, Request
from memory.whose import ANYBODY
from server.chat.protocol import parse
from server.chat.router import session_request, turn_of
from server.sessions import events
from server.sessions.lookup import to_export
from server.sessions.protocol import ChatEvent
from server.sillytavern import Markers, interpret, told_whose
from server.sillytavern.spoken import spoken
from server.transfer.chat_file import About
from server.transfer.export import write_export
from server.transfer.progress import Progress
from server.transfer.receive import import_file
from server.transfer.report import Report
from tests.truth.chat import NAMES
from tests.truth.held import Held, Kept


def as_delivered(said: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """The `messages` of a request that shows these, role and text, without post-processing."""
    before = [("system", "A keeper of lights."), ("system", "[Start a new Chat]")]
    return [{"role": role, "content": text} for role, text in [*before, *said]]


def spoken_in(messages: list[dict[str, Any]]) -> list[list[Any]]:
    """What the server takes out of a request's texts: here the placeholder of strict post-processing."""
    return spoken(messages, (), NAMES, Markers())


def _assign(turn: Turn, assignment: Assignment) -> None:
    turn.session_id, turn.tree_id = assignment.session_id, assignment.key.tree_id
    turn.forked_from, turn.again = assignment.forked_from, turn.again or assignment.asks_again


class ProviderFailed(Exception):
    """What a turn ends with that nobody answers."""


class Memory(Held):
    """Held memory that takes requests, reports and files."""

    async def ask(
        self,
        body: dict[str, Any],  # Any: OpenAI's JSON
        headers: Mapping[str, str],
        replies: Sequence[str] | None,
        markers: Markers,
    ) -> Kept | None:
        """A request as the server takes it; None where nothing is stored: of its kind, or as the provider
        fails (`replies` None)."""
        asked = parse(json.dumps(body).encode())
        meant = interpret(asked.body, headers, "", markers)
        turn = turn_of(asked, meant)
        request = session_request(turn, told_whose(asked.body, headers), exact=meant.is_exact)
        try:
            if turn.kind in STORED_KINDS:
                return await self._stored(turn, request, replies)
            if turn.kind in ("quiet", "impersonate"):
                _assign(turn, await self.sessions.find(request))
            await self._run(turn, replies, "local")
        except ProviderFailed:
            pass
        return None

    async def turn(
        self,
        messages: list[dict[str, Any]],
        replies: Sequence[str] = (),
        *,
        kind: Kind = "normal",
        chat_id: str = "",
        character: str = "Mira",
        owner: str = "local",
    ) -> Kept:
        """A turn of which everything is known that a request may tell, and what follows from its outbox."""
        turn = Turn(
            messages,
            kind=kind,
            turn_id=self._turn_id(),
            chat_id=chat_id,
            character=character,
            user_name="Alex",
            names=list(NAMES),
            spoken=spoken_in(messages),
        )
        request = session_request(turn, ANYBODY)
        return await self._stored(turn, replace(request, owner=owner), replies)

    async def replay(self, said: Sequence[tuple[str, str]]) -> Kept:
        """These messages, role and text, as the one request of a chat beside which nothing is known."""
        last = [text for role, text in said[-1:] if role == "assistant" and len(said) > 1]
        messages = as_delivered(said[: len(said) - len(last)])
        return await self.turn(messages, last, chat_id="replay", owner=f"owner-{self._turns}")

    async def _stored(self, turn: Turn, request: Request, replies: Sequence[str] | None) -> Kept:
        async with self.sessions.turn(request) as assignment:
            _assign(turn, assignment)
            await self._run(turn, replies, request.owner)
        await self.settle(assignment.key)
        return await self.kept(request.owner, turn.session_id)

    async def _run(self, turn: Turn, replies: Sequence[str] | None, owner: str) -> None:
        """The steps of a turn that tell what is stored."""
        runtime = Runtime(context=TurnContext(owner=owner))
        given = turn.as_input()
        state = TurnState(messages=given["messages"], request=given["request"])
        state = replace(state, **await self._reconcile(state, runtime))
        if replies is None:
            raise ProviderFailed
        state = replace(state, replies=[{"text": text, "remembered": True} for text in replies])
        if after_generate(state) == "store":
            await self._store(state, runtime)

    async def tell(self, chat_id: str, event: ChatEvent) -> Kept | None:
        """What a front-end reports between requests; None for a chat that is not stored."""
        taken = await events.take(cast(Resources, self), chat_id, event)
        await self._wake()
        return await self.kept("local", taken.id) if taken.id else None

    async def take_file(self, content: bytes, name: str, *, is_group: bool = False) -> Report:
        """Import a file, whatever it is."""
        about = About(name, group=is_group)
        report = await import_file(cast(Resources, self), BytesIO(content), about, Progress())
        await self._wake()
        return report

    async def export(self) -> bytes:
        """Everything that is stored."""
        file = BytesIO()
        await write_export(self.transcript, await to_export(self, None), file)
        return file.getvalue()

    async def _wake(self) -> None:
        for key in self.worker.awake:
            await self.settle(key)
        self.worker.awake.clear()

    def _turn_id(self) -> str:
        self._turns += 1
        return f"turn-{self._turns}"
