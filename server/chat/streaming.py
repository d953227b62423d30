"""From a run's events to the answer: server-sent events as they come, or one JSON body."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from server.chat.protocol import Envelope, finish
from server.errors import body_of

Delta = dict[str, Any]
"""What `generate` writes to the stream: index, and content, reasoning or tool_calls (Any: JSON)."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The turn is stored; what remains is to say so."""

    reasons: dict[int, str]
    """Finish reason by choice."""
    usage: dict[str, int]
    memories: list[dict[str, Any]] | None = None
    """The memories in the prompt (Any: as in the state), where the request asked for them."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The turn left nothing behind."""

    error: Exception


Event = Delta | Kept | Failed


class Channel:
    """Events from a run to the response that drains them; bounded only while somebody reads."""

    def __init__(self, size: int = 256) -> None:
        self._events: asyncio.Queue[Event] = asyncio.Queue(size)
        self._abandoned = False

    @property
    def full(self) -> bool:
        """Whether the run waits for its reader."""
        return self._events.full()

    async def put(self, event: Event) -> None:
        """Wait for room; an abandoned channel swallows everything at once."""
        if not self._abandoned:
            await self._events.put(event)

    async def get(self) -> Event:
        return await self._events.get()

    def abandon(self) -> None:
        """The client left: whoever waits for room goes on, whoever waits for an event is told."""
        self._abandoned = True
        while not self._events.empty():
            self._events.get_nowait()
        self._events.put_nowait(Failed(ConnectionAbortedError("the client left")))


def sse(data: BaseModel) -> bytes:
    """One server-sent event."""
    return f"data: {data.model_dump_json(exclude_unset=True)}\n\n".encode()


DONE = b"data: [DONE]\n\n"


def as_openai(delta: Delta) -> dict[str, Any]:
    """A delta in OpenAI's words; reasoning text is called as DeepSeek's API calls it."""
    words = {"content": "content", "reasoning": "reasoning_content", "tool_calls": "tool_calls"}
    return {words[key]: value for key, value in delta.items() if key in words and value}


class Chunks:
    """The chunks of one streamed answer; each choice's first one carries its role."""

    def __init__(self, envelope: Envelope, *, include_usage: bool) -> None:
        self._envelope = envelope
        self._include_usage = include_usage
        self._begun: set[int] = set()

    def of_delta(self, delta: Delta) -> bytes:
        index = int(delta.get("index", 0))
        return sse(self._envelope.chunk(index, self._with_role(index, as_openai(delta))))

    def at_end(self, kept: Kept) -> Iterator[bytes]:
        for index, reason in sorted(kept.reasons.items()):
            yield sse(self._envelope.chunk(index, self._with_role(index, {}), finish(reason)))
        if self._include_usage:
            yield sse(self._envelope.usage_chunk(kept.usage))
        if kept.memories is not None:
            yield sse(self._envelope.memories_chunk(kept.memories))
        yield DONE

    def _with_role(self, index: int, delta: dict[str, Any]) -> dict[str, Any]:
        if index in self._begun:
            return delta
        self._begun.add(index)
        return {"role": "assistant", "content": "", **delta}


@dataclass(slots=True)
class Choice:
    """One choice of an answer that is not streamed, put together from its deltas."""

    content: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    tool_calls: dict[int, dict[str, Any]] = field(default_factory=dict)

    def add(self, delta: Delta) -> None:
        self.content.append(delta.get("content") or "")
        self.reasoning.append(delta.get("reasoning") or "")
        for call in delta.get("tool_calls") or []:
            self._add_call(call)

    def _add_call(self, piece: dict[str, Any]) -> None:
        at = int(piece.get("index") or 0)
        call = self.tool_calls.setdefault(at, {"id": "", "type": "function", "function": {}})
        call["id"] = call["id"] or piece.get("id") or ""
        for key, text in (piece.get("function") or {}).items():
            call["function"][key] = call["function"].get(key, "") + (text or "")

    def message(self) -> dict[str, Any]:
        """OpenAI's message object; content is null where only tools are called."""
        message: dict[str, Any] = {"role": "assistant", "content": "".join(self.content)}
        if reasoning := "".join(self.reasoning):
            message["reasoning_content"] = reasoning
        if self.tool_calls:
            message["tool_calls"] = [call for _, call in sorted(self.tool_calls.items())]
            message["content"] = message["content"] or None
        return message


async def whole(channel: Channel, envelope: Envelope) -> BaseModel | Failed:
    """Read a run to its end: the JSON body, or what went wrong."""
    choices: dict[int, Choice] = {}
    while isinstance(event := await channel.get(), dict):
        choices.setdefault(int(event.get("index", 0)), Choice()).add(event)
    if isinstance(event, Failed):
        return event
    body = [
        {
            "index": index,
            "message": choices.get(index, Choice()).message(),
            "finish_reason": finish(reason),
        }
        for index, reason in sorted(event.reasons.items())
    ]
    return envelope.completion(body, event.usage, event.memories)


async def remaining(first: Event, channel: Channel, chunks: Chunks, turn_id: str) -> AsyncIterator[bytes]:
    """The stream from its first event on; an error is its last event, with no `[DONE]` after it."""
    event = first
    while isinstance(event, dict):
        yield chunks.of_delta(event)
        event = await channel.get()
    if isinstance(event, Failed):
        yield f"data: {json.dumps(body_of(event.error, turn_id))}\n\n".encode()
        return
    for chunk in chunks.at_end(event):
        yield chunk
