"""What of the path stands in the prompt: the measured parts of a request and the start of its history."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from graph.settings import PERCENT_FIELDS, Settings
from graph.state import ChatMessage, Turn, TurnState
from memory.incoming import text_of
from memory.path import Path
from memory.stored import Message, TreeKey
from memory.transcript import Transcript
from memory.working import WorkingMemory
from models.chat import ChatModel
from models.tokens import TokenCounter
from nodes.layout import (
    IMAGE_TOKENS,
    MESSAGE_OVERHEAD,
    Shares,
    countable,
    history_limit,
    history_start,
    images_in,
    parts_of,
    shares,
)

FULL, LESS = 0.95, 0.9
"""Of the largest request: a front-end's window that would hold so much with one message more is full, as far as its
tokens can be counted here; and what is left of that for each time that it moved on and was not."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A request's messages with their labels and tokens."""

    shares: Shares
    labels: list[str]
    counts: list[int]
    tools: int

    def total(self, label: str) -> int:
        """Tokens of all messages with a label."""
        return sum(c for c, part in zip(self.counts, self.labels, strict=True) if part == label)

    @property
    def conversation(self) -> list[int]:
        """Tokens of each message that is part of the conversation, 0 for all others."""
        return [
            c if part in ("history", "newest") else 0
            for c, part in zip(self.counts, self.labels, strict=True)
        ]

    @property
    def whole(self) -> int:
        """Tokens of all messages and tools."""
        return sum(self.counts) + self.tools

    @property
    def room(self) -> int:
        """Tokens left for history, newest message and memory once all system text stands."""
        return self.shares.prompt - self.total("system") - self.total("example") - self.tools


@dataclass(frozen=True, slots=True)
class Ruler:
    """Measures requests and texts by the model's counter against the model's window."""

    counter: TokenCounter
    chat: ChatModel
    settings: Settings

    async def measure(self, state: TurnState) -> Measured:
        """Label and count the messages of a request."""
        counts = await self.messages(state.messages)
        tools, nobodys = state.sampling.get("tools"), state.nobodys()
        extra = (await self.counter.count([json.dumps(tools)]))[0] if tools else 0
        labels = parts_of(state.messages, newest_index(state))
        labels = ["system" if i in nobodys else label for i, label in enumerate(labels)]
        percents = [getattr(self.settings, name) for name in PERCENT_FIELDS]
        split = shares(self.chat.context_tokens, percents, max_tokens_of(state.sampling))
        return Measured(split, labels, counts, extra)

    async def messages(self, messages: Sequence[ChatMessage]) -> list[int]:
        """Tokens of each message, its wrapping and images included."""
        counts = await self.counter.count([countable(m) for m in messages])
        return [
            n + MESSAGE_OVERHEAD + IMAGE_TOKENS * images_in(m) for n, m in zip(counts, messages, strict=True)
        ]

    async def texts(self, texts: Sequence[str]) -> list[int]:
        """Tokens of bare texts."""
        return await self.counter.count(texts)


def max_tokens_of(sampling: dict[str, Any]) -> int | None:
    """The request's own limit for the answer, under either of its names."""
    for name in ("max_completion_tokens", "max_tokens"):
        value = sampling.get(name)
        if isinstance(value, int) and value > 0:
            return value
    return None


def newest_index(turn: Turn) -> int | None:
    """Index in `messages` of the last message that the user sent, whether it has text or only an image."""
    nobodys = turn.nobodys()
    users = (i for i, m in enumerate(turn.messages) if m["role"] == "user" and i not in nobodys)
    return max(users, default=None)


def kept_from(state: TurnState) -> int:
    """Index in `messages` from which the conversation is never cut: its newest user message or last row."""
    ends = [
        i for i in (newest_index(state), state.window[-1]["index"] if state.window else None) if i is not None
    ]
    return min(ends, default=len(state.messages))


def kept_tokens(state: TurnState, measured: Measured) -> int:
    """Tokens of the conversation that is never cut, tool calls and results in it included."""
    return sum(measured.conversation[kept_from(state) :])


def first_shown(state: TurnState) -> int:
    """Position on the path of the window's first row (the path's length without rows)."""
    path = Path(state.path)
    if not state.window:
        return len(path)
    first = state.window[0]["id"]
    position = path.position(first if first is not None else -1)
    return len(path) if position is None else position


@dataclass(frozen=True, slots=True)
class Said:
    """Reads stored messages: the newest of a path from working memory, the others from the transcript."""

    transcript: Transcript
    working: WorkingMemory

    async def messages(self, state: TurnState, key: TreeKey, ids: Sequence[int]) -> list[Message]:
        """The messages, in the order asked."""
        recent = await self.working.recent(key.owner, state.session_id, state.base_version) or []
        held = {m.id: m for m in recent}
        missing = [i for i in ids if i not in held]
        if missing:
            held |= {m.id: m for m in await self.transcript.messages(key, missing)}
        return [held[i] for i in ids]


async def history_from(state: TurnState, measured: Measured, ruler: Ruler, said: Said, key: TreeKey) -> int:
    """The position on the path where the prompt's history begins."""
    path = Path(state.path)
    window_at = first_shown(state)
    shown = window_at
    if len(state.window) <= 1 and window_at > 0:
        shown = max(0, len(path) - ruler.settings.max_working_memory_size)
    held = state.held if state.held is not None and state.held >= 2 * shown - len(path) else None
    base = min(shown, held if held is not None else shown)
    earlier = await said.messages(state, key, path.slice(base, window_at))
    led = shows_names(state)
    counts = await ruler.messages([as_chat(m, led=led) for m in earlier])
    counts += _window_counts(state, measured, path, window_at)
    if base < shown == window_at and not _slid(state, measured, counts[: shown - base]):
        counts, base, held = counts[shown - base :], shown, None
    if base == 0 and sum(counts) <= measured.room:
        return 0
    limit = max(history_limit(measured.shares, measured.room), kept_tokens(state, measured))
    start = base + history_start(counts, limit, None if held is None else held - base, shown - base)
    return min(start, window_at + _last_row(state))


@dataclass(frozen=True, slots=True)
class HistoryStart:
    """Finds where on a path the prompt's history begins."""

    ruler: Ruler
    said: Said

    async def __call__(self, state: TurnState, owner: str) -> int:
        measured = await self.ruler.measure(state)
        return await history_from(state, measured, self.ruler, self.said, TreeKey(owner, state.tree_id))


def _slid(state: TurnState, measured: Measured, counts: Sequence[int]) -> bool:
    """Whether the oldest messages fell out of the front-end's window: that happens when it is full, and not while it
    shows them all. Otherwise they were hidden, or deleted.

    `counts` are the tokens of the messages that the prompt would begin with instead.
    """
    if not state.shown_from:
        return False
    is_full = measured.whole + counts[-1] >= FULL * state.most_tokens
    return state.shown_from >= first_shown(state) or is_full


def most_tokens(state: TurnState) -> int:
    """Of the largest request, for the next turn; it may be that the front-end sends no such one any longer."""
    moved = state.shown_from and state.shown_from < first_shown(state) <= state.history_from
    return max(state.tokens.get("request", 0), int(state.most_tokens * (LESS if moved else 1)))


def _last_row(state: TurnState) -> int:
    """The row from which the conversation is never cut."""
    first = kept_from(state)
    return max((i for i, row in enumerate(state.window) if row["index"] <= first), default=0)


def _window_counts(state: TurnState, measured: Measured, path: Path, window_at: int) -> list[int]:
    """Tokens at each position of the path from the window on; what was moved away counts nothing.

    What has no row of its own (tool calls and results, images) counts with the row before it.
    """
    counts = [0] * (len(path) - window_at)
    begins = [0, *(row["index"] for row in state.window[1:]), len(state.messages)]
    conversation = measured.conversation
    for i, row in enumerate(state.window):
        position = path.position(row["id"] if row["id"] is not None else -i - 1)
        if position is not None:
            counts[position - window_at] = sum(conversation[begins[i] : begins[i + 1]])
    return counts


def shows_names(state: TurnState) -> bool:
    """Whether names are written before what characters say, as front-ends do in groups."""
    rows = (row for row in state.window if row["role"] == "assistant" and row["speaker"])
    texts = ((row["speaker"], text_of(state.messages[row["index"]].get("content"))) for row in rows)
    return any(text.lstrip().startswith(f"{name}:") for name, text in texts)


def as_chat(message: Message, *, named: bool = False, led: bool = False) -> ChatMessage:
    """A stored message as a request shows it; `led`: the names of characters are written before their texts."""
    text, name = message.text, message.speaker
    if led and name and message.role == "assistant" and not text.lstrip().startswith(f"{name}:"):
        text = f"{name}: {text}"
    chat: ChatMessage = {"role": message.role, "content": text}
    return chat | {"name": message.speaker} if named and message.speaker else chat
