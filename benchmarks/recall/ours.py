"""Our own system under measurement: a chat stored turn by turn through the graph, then asked."""

from __future__ import annotations

import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from benchmarks.provider import Answer, running
from benchmarks.recall.data import Conversation, Line, Question
from graph.build import build_graph
from graph.context import TurnContext
from graph.resources import Resources, open_resources
from graph.settings import load_settings
from graph.state import Turn, TurnInput
from memory.stored import TreeKey

WINDOW = 12
"""Messages of the chat that each stored turn's request shows before its new ones."""
CLOSING = "Well then."
"""What the character says last, so that no line of the data is left without an answer."""
OWNER = "local"


@dataclass(slots=True)
class Clock:
    """The time of the chat that is being stored."""

    now: float = field(default_factory=time.time)

    def __call__(self) -> float:
        return self.now


@dataclass(slots=True)
class Stored:
    """A chat in memory: its session, and which line each message id is."""

    conversation: Conversation
    session_id: str
    lines: dict[int, str]


class Ours:
    """The graph with its real resources, and a provider on loopback that says what the data says."""

    def __init__(self, resources: Resources, clock: Clock, replies: list[str]) -> None:
        self.resources = resources
        self._clock = clock
        self._replies = replies
        self._graph = build_graph(resources)

    async def store(self, conversation: Conversation) -> Stored:
        """Every line through the graph: a turn for each of the character's, showing what came before it."""
        name = conversation.name
        shown: list[Line] = []
        since = 0
        for line in (*conversation.lines, closing(conversation)):
            if line.role == "assistant":
                await self._turn(name, conversation, shown[max(0, since - WINDOW) :], line)
                since = len(shown)
            shown.append(line)
        await self.resources.worker.idle()
        return Stored(conversation, name, await self._ids(name, [line.id for line in shown]))

    async def _turn(self, name: str, conversation: Conversation, shown: Sequence[Line], reply: Line) -> None:
        self._clock.now = reply.at
        self._replies.append(reply.text)
        turn = Turn(
            messages=[system(conversation), *(message(line) for line in shown)],
            session_id=name,
            tree_id=name,
            chat_id=name,
            character=conversation.character,
            user_name=conversation.user,
            names=[n for n in (conversation.user, conversation.character) if n],
        )
        await self._graph.ainvoke(cast(TurnInput, turn.as_input()), context=TurnContext(OWNER))
        self.resources.worker.wake(TreeKey(OWNER, name))

    async def _ids(self, name: str, ids: Sequence[str]) -> dict[int, str]:
        session = await self.resources.transcript.session(OWNER, name)
        assert session is not None and len(session.path) == len(ids), "a line was stored twice or not at all"
        return dict(zip(session.path, ids, strict=True))

    async def ask(self, stored: Stored, question: Question, context: TurnContext) -> list[dict[str, Any]]:
        """The memories (Any: as in the state) that the graph hands to `budget`, best first; nothing is stored.

        What was said just before the question follows the chat's end, which shows whose chat it is.
        """
        asked = Line("", "user", question.speaker or stored.conversation.user, question.text, 0.0)
        before = (closing(stored.conversation), *question.before) if question.before else ()
        turn = Turn(
            messages=[system(stored.conversation), *(message(line) for line in (*before, asked))],
            kind="quiet",
            session_id=stored.session_id,
            tree_id=stored.session_id,
            chat_id=stored.session_id,
            character=stored.conversation.character,
            user_name=stored.conversation.user,
        )
        given = cast(TurnInput, turn.as_input())
        steps = self._graph.astream(given, context=context, stream_mode="updates")
        found: list[dict[str, Any]] | None = None
        async for step in steps:
            found = step["rerank"]["memories"] if "rerank" in step else found
        if found is not None:
            return found
        raise RuntimeError("the graph ended before it ranked")


def closing(conversation: Conversation) -> Line:
    """The character's last line, which is none of the data's."""
    return Line("", "assistant", conversation.character, CLOSING, conversation.lines[-1].at)


def system(conversation: Conversation) -> dict[str, Any]:
    """The instruction that every front-end sends first."""
    return {"role": "system", "content": f"Write {conversation.character or 'the assistant'}'s next reply."}


def message(line: Line) -> dict[str, Any]:
    """A line as a front-end sends it."""
    return {"role": line.role, "content": line.text} | ({"name": line.speaker} if line.speaker else {})


@asynccontextmanager
async def opened(**settings: Any) -> AsyncIterator[Ours]:
    """Our system over an empty data folder (Any: values of settings).

    The prompt has no room for history besides the newest messages, so that everything may be recalled.
    """
    replies: list[str] = []
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder, running(lambda _: Answer(replies[-1])) as provider:
        loaded = load_settings(
            db_path=Path(folder),
            llm="openai:stub-model",
            openai_base_url=provider.base_url,
            max_working_memory_size=2,
            summarize_after_messages=10_000,
            **settings,
        )
        async with open_resources(loaded, clock) as resources:
            yield Ours(resources, clock, replies)
