"""The whole machine over a fake provider, without a server around it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from graph.build import Graph, build_graph
from graph.checkpoints import thread
from graph.context import TurnContext
from graph.resources import Resources, open_resources
from graph.settings import load_settings
from graph.state import ChatMessage, Turn
from memory.stored import Message, Session
from tests.fakes.openai_server import FakeOpenAI

CARD: ChatMessage = {
    "role": "system",
    "content": "Mira is the keeper of a lighthouse. She is dry, loyal and forgetful about dates.",
}
MAIN: ChatMessage = {
    "role": "system",
    "content": "Write Mira's next reply in a fictional chat between Mira and Alex.",
}


@dataclass
class Machine:
    """A graph, its provider, and a chat as a front-end keeps it."""

    resources: Resources
    graph: Graph
    provider: FakeOpenAI
    chat: list[ChatMessage] = field(default_factory=list)
    session_id: str = "chat"
    system: list[ChatMessage] = field(default_factory=lambda: [MAIN, CARD])

    async def run(self, messages: list[ChatMessage], **more: Any) -> dict[str, Any]:
        """One run on the session's thread; `more`: fields of Turn and of TurnContext (Any: their types)."""
        context = TurnContext(**{k: more.pop(k) for k in list(more) if k in TurnContext.__annotations__})
        turn = Turn(messages, session_id=self.session_id, character="Mira", user_name="Alex", **more)
        return await self.graph.ainvoke(
            turn.as_input(), thread("local", self.session_id), context=context, durability="exit"
        )

    async def say(self, text: str, **more: Any) -> dict[str, Any]:
        """Send a message with the chat so far, and keep the reply in the chat."""
        self.chat.append({"role": "user", "content": text})
        state = await self.run([*self.system, *self.chat], **more)
        self.chat.append({"role": "assistant", "content": state["replies"][0]["text"]})
        return state

    async def catch_up(self) -> None:
        """Wait until embeddings, emotions and summaries of the chat are there."""
        session = await self.session()
        assert session is not None
        self.resources.worker.wake(session.key)
        await self.resources.worker.idle()

    async def session(self) -> Session | None:
        return await self.resources.transcript.session("local", self.session_id)

    async def path(self) -> list[Message]:
        """The messages on the session's path."""
        session = await self.session()
        return await self.resources.transcript.messages(session.key, list(session.path)) if session else []

    def prompt(self, call: int = -1) -> list[ChatMessage]:
        """What a call sent to the provider."""
        messages: list[ChatMessage] = self.provider.calls[call].body["messages"]
        return messages


@asynccontextmanager
async def open_machine(folder: Path, **more: Any) -> AsyncIterator[Machine]:
    """A machine over a data folder; `more`: settings (Any: their types)."""
    async with FakeOpenAI() as provider:
        changed = {
            "llm": "openai:stub-model",
            "openai_base_url": provider.url,
            "provider_retries": 0,
            "context_tokens": 2000,
        } | more
        chosen = load_settings(db_path=folder / "sessions", chromadb_path=folder / "chroma", **changed)
        async with open_resources(chosen) as resources:
            yield Machine(resources, build_graph(resources, checkpointer=resources.checkpointer), provider)


@pytest.fixture
async def machine(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Machine]:
    """The machine; parametrise indirectly with settings that differ."""
    async with open_machine(tmp_path, **getattr(request, "param", {})) as machine:
        yield machine
