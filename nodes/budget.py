"""Budget: fit system text, history, memories and answer into the window, and lay out the prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from langgraph.runtime import Runtime

from graph.context import TurnContext
from graph.errors import PromptTooLong
from graph.state import ChatMessage, TurnState
from memory.path import Path
from memory.ranking.reading import asks
from memory.stored import TreeKey
from memory.transcript import Transcript
from nodes.asking import query_text
from nodes.history import Measured, Ruler, Said, as_chat, first_shown, kept_tokens, shows_names
from nodes.layout import MESSAGE_OVERHEAD
from nodes.memory_block import block_of, key_of

SUMMARY_HEADING = "[Earlier in this chat, before the messages below:]"
SUMMARY_SHARE = 0.5
"""The share of the memory budget that summaries may take."""
SCENE_SHARE, SCENE_LEAST = 0.06, 400
"""Of a prompt, and tokens: what memories may take, whichever is more, where nothing is asked. A scene in flow
needs few, and the prompt from the memories on is what a provider's cache cannot keep from turn to turn."""


class Entry(NamedTuple):
    """A prompt message, its label and its tokens."""

    message: ChatMessage
    label: str
    tokens: int


@dataclass(frozen=True)
class Budget:
    """Everything the front-end sent stays, in its order; only oldest history, then examples, may fall out."""

    transcript: Transcript
    ruler: Ruler
    said: Said

    async def __call__(self, state: TurnState, runtime: Runtime[TurnContext]) -> dict[str, Any]:
        context = runtime.context or TurnContext()
        key = TreeKey(context.owner, state.tree_id)
        measured = await self.ruler.measure(state)
        dropped = dropped_examples(measured, kept_tokens(state, measured))
        entries = kept_messages(state, measured, dropped)
        refill = await self._refill(key, state)
        summary, summed = (
            await self._summary(key, state, measured) if context.memory != "off" else ([], set())
        )
        entries[_first_history(entries) : _first_history(entries)] = summary + refill
        tokens = sum(entry.tokens for entry in entries)
        room = measured.shares.prompt - measured.tools - tokens
        room = memory_room(room, query_text(state), tokens)
        block, told = await self._memory_block(state, room, summed) if context.memory != "off" else ("", [])
        if block:
            memory = await self._entries([{"role": "user", "content": block}], "memory")
            at = _memory_place(entries, state)
            entries[at:at] = memory
        return {
            "prompt": [entry.message for entry in entries],
            "prompt_parts": [entry.label for entry in entries],
            "recalled": told,
            "tokens": accounting(measured, entries),
        }

    async def _entries(self, messages: Sequence[ChatMessage], label: str) -> list[Entry]:
        counts = await self.ruler.messages(messages)
        return [Entry(m, label, count) for m, count in zip(messages, counts, strict=True)]

    async def _refill(self, key: TreeKey, state: TurnState) -> list[Entry]:
        """Messages of the path that the front-end's window has lost and the prompt still begins with."""
        ids = Path(state.path).slice(state.history_from, first_shown(state))
        named = any(state.messages[row["index"]].get("name") for row in state.window)
        led = shows_names(state)
        said = await self.said.messages(state, key, ids)
        return await self._entries([as_chat(m, named=named, led=led) for m in said], "history")

    async def _summary(
        self, key: TreeKey, state: TurnState, measured: Measured
    ) -> tuple[list[Entry], set[int]]:
        """The newest summaries of what fell out of the prompt, in its place, as far as they fit; and their ids.

        They change only when the history's start moves, so the prompt's beginning stays the same between.
        """
        path = Path(state.path)
        before = path.prefix(state.history_from)
        room = int(measured.shares.memory * SUMMARY_SHARE) - MESSAGE_OVERHEAD
        room = min(room, measured.room - kept_tokens(state, measured))
        room -= (await self.ruler.texts([SUMMARY_HEADING]))[0]
        if not len(before) or room <= 0:
            return [], set()
        found = await self.transcript.summaries(key, before)
        kept = await self._fitting([s.text for s in reversed(found)], room)
        placed = sorted((path.position(found[-n - 1].over[0][0]) or 0, found[-n - 1].text) for n in kept)
        texts = [text for _, text in placed]
        prompt = [{"role": "user", "content": "\n".join([SUMMARY_HEADING, *texts])}] if texts else []
        return await self._entries(prompt, "summary"), {s.id for s in found if s.text in texts}

    async def _memory_block(self, state: TurnState, room: int, summed: set[int]) -> tuple[str, list[int]]:
        """What is recalled for this moment, and which memories are in it.

        Summaries that stand in the prompt already (`summed`) are not told again.
        """
        new = [m for m in state.memories if m["kind"] != "summary" or m["ref"] not in summed]
        block = await block_of(state, new, room - MESSAGE_OVERHEAD, self.ruler)
        return block.text, [n for n, memory in enumerate(state.memories) if key_of(memory) in block.told]

    async def _fitting(self, lines: Sequence[str], room: int) -> list[int]:
        """Of lines in order of preference, which of them fit together."""
        kept = []
        for n, count in enumerate(await self.ruler.texts(lines)):
            if count + 1 <= room:
                room -= count + 1
                kept.append(n)
        return kept


def memory_room(room: int, answered: str, prompt: int) -> int:
    """Tokens for memories, of those left beside a prompt of so many: all of them where something is asked."""
    return room if asks(answered) else min(room, max(SCENE_LEAST, int(prompt * SCENE_SHARE)))


def dropped_examples(measured: Measured, newest: int) -> set[int]:
    """Indices of the examples, oldest first, that must go so that system text and newest message fit.

    Raises PromptTooLong when they do not fit even without any example.
    """
    must = measured.total("system") + measured.tools + newest
    over = must - measured.shares.prompt
    if over > 0:
        s, system = measured.shares, must - newest
        shorter = "Shorten the card" if system > newest else "Send less (lower the front-end's context size)"
        raise PromptTooLong(
            f"The character card and other system text ({system} tokens) and the newest message "
            f"({newest}) are {over} tokens too many for a context of {s.context} that keeps {s.response} for "
            f"the answer. {shorter}, ask for a shorter answer, or use a model with a larger context "
            "(CONTEXT_TOKENS).",
            over,
        )
    over += measured.total("example")
    dropped: set[int] = set()
    for i, label in enumerate(measured.labels):
        if over <= 0:
            break
        if label == "example":
            dropped.add(i)
            over -= measured.counts[i]
    return dropped


def kept_messages(state: TurnState, measured: Measured, dropped: set[int]) -> list[Entry]:
    """The request's messages with their labels, without the history before `history_from`."""
    start = max(0, state.history_from - first_shown(state))
    path, shown = Path(state.path), first_shown(state)
    kept_rows = [
        row["index"]
        for i, row in enumerate(state.window)
        if (path.position(row["id"] if row["id"] is not None else -i - 1) or 0) - shown >= start
    ]
    first_kept = kept_rows[0] if kept_rows and start else 0
    return [
        Entry(m, label, count)
        for i, (m, label, count) in enumerate(
            zip(state.messages, measured.labels, measured.counts, strict=True)
        )
        if i not in dropped and (label != "history" or i >= first_kept)
    ]


def _first_history(entries: Sequence[Entry]) -> int:
    return next((i for i, entry in enumerate(entries) if entry.label in ("history", "newest")), len(entries))


def _memory_place(entries: Sequence[Entry], state: TurnState) -> int:
    """Before the last user message; on continue before the message that holds what is continued; else at the end."""
    if state.continues is not None:
        continued = state.messages[state.window[state.continues]["index"]]
        return next(i for i, entry in enumerate(entries) if entry.message is continued)
    for i, entry in enumerate(entries):
        if entry.label == "newest":
            return i
    said = [i for i, entry in enumerate(entries) if entry.label == "history"]
    return said[-1] + 1 if said else len(entries)


def accounting(measured: Measured, entries: Sequence[Entry]) -> dict[str, int]:
    """Tokens of each part of the prompt, by the model's counter."""

    def total(*parts: str) -> int:
        return sum(entry.tokens for entry in entries if entry.label in parts)

    return {
        "context": measured.shares.context,
        "request": measured.whole,
        "response": measured.shares.response,
        "system": total("system") + measured.tools,
        "examples": total("example"),
        "history": total("history", "newest"),
        "memory": total("memory", "summary"),
        "prompt": sum(entry.tokens for entry in entries) + measured.tools,
    }
