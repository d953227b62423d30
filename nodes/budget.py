"""Budget: fit system text, history, memories and answer into the window, and lay out the prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from langgraph.runtime import Runtime

from graph.context import TurnContext
from graph.errors import PromptTooLong
from graph.state import ChatMessage, TurnState
from memory.path import Path
from memory.stored import TreeKey
from memory.transcript import Transcript
from nodes.history import Measured, Ruler, Said, as_chat, first_shown, kept_tokens, shows_names
from nodes.layout import MESSAGE_OVERHEAD

MEMORY_HEADING = "[What {name} remembers from earlier {where}; use it where it fits, do not quote it.]"
HERE, ELSEWHERE = "in this chat", "in this chat and in other chats"
SUMMARY_HEADING = "[Earlier in this chat, before the messages below:]"
SUMMARY_SHARE = 0.5
"""The share of the memory budget that summaries may take."""

COUNTED_AT_ONCE = 32
"""Memories whose tokens are counted together; the worst are mostly not needed."""
LEAST_LINE = 8
"""Tokens without which no line of a memory is worth trying."""

Entry = tuple[ChatMessage, str]
"""A prompt message and its label."""
MemoryKey = tuple[str, str, int]
"""A memory's other chat (empty: this one), kind and reference."""


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
        counts = await self.ruler.messages([m for m, _ in entries])
        room = measured.shares.prompt - measured.tools - sum(counts)
        block, told = await self._memory_block(state, room, summed) if context.memory != "off" else ("", [])
        if block:
            entries.insert(_memory_place(entries, state), ({"role": "user", "content": block}, "memory"))
            counts = await self.ruler.messages([m for m, _ in entries])
        labels = [label for _, label in entries]
        return {
            "prompt": [m for m, _ in entries],
            "prompt_parts": labels,
            "recalled": told,
            "tokens": accounting(measured, labels, counts),
        }

    async def _refill(self, key: TreeKey, state: TurnState) -> list[Entry]:
        """Messages of the path that the front-end's window has lost and the prompt still begins with."""
        ids = Path(state.path).slice(state.history_from, first_shown(state))
        named = any(state.messages[row["index"]].get("name") for row in state.window)
        led = shows_names(state)
        said = await self.said.messages(state, key, ids)
        return [(as_chat(m, named=named, led=led), "history") for m in said]

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
        lines = [(path.position(s.over[0][0]) or 0, s.text) for s in reversed(found)]
        kept = sorted(await self._fitting(lines, room))
        shown = {s.id for s in found if any(text == s.text for _, text, _ in kept)}
        text = "\n".join([SUMMARY_HEADING, *(text for _, text, _ in kept)])
        return ([({"role": "user", "content": text}, "summary")] if kept else []), shown

    async def _memory_block(self, state: TurnState, room: int, summed: set[int]) -> tuple[str, list[int]]:
        """What is recalled for this moment, in the order in which it was said; which memories are in it.

        Summaries that stand in the prompt already (`summed`) are not told again.
        """
        name = state.card.get("name") or state.character or "the character"
        where = ELSEWHERE if any(is_from_another_chat(m) for m in state.memories) else HERE
        heading = MEMORY_HEADING.format(name=name, where=where)
        room -= (await self.ruler.texts([heading]))[0] + MESSAGE_OVERHEAD
        new = [m for m in state.memories if m["kind"] != "summary" or m["ref"] not in summed]
        lines = await self._recalled(state, new, room)
        if not lines:
            return "", []
        block = "\n".join([heading, *(text for _, text in sorted(lines.values()))])
        told = [n for n, memory in enumerate(state.memories) if _key(memory) in lines]
        return block, told

    async def _recalled(
        self, state: TurnState, memories: Sequence[dict[str, Any]], room: int
    ) -> dict[MemoryKey, tuple[int, str]]:
        """Place and line of each memory that fits, best first; with it the rest of its exchange, if that fits."""
        path = Path(state.path)
        wholes = [[m, *({**m, **half} for half in m.get("exchange", ()))] for m in memories]
        texts = [[memory_line(part, state) for part in whole] for whole in wholes]
        told: dict[MemoryKey, tuple[int, str]] = {}
        for at in range(0, len(wholes), COUNTED_AT_ONCE):
            counted = iter(await self.ruler.texts([t for ts in texts[at : at + COUNTED_AT_ONCE] for t in ts]))
            for whole, lines in zip(wholes[at:], texts[at : at + COUNTED_AT_ONCE], strict=False):
                for part, line, count in zip(whole, lines, [next(counted) for _ in lines], strict=True):
                    if _key(part) in told:
                        continue
                    if count + 1 > room:
                        break
                    room -= count + 1
                    told[_key(part)] = (_memory_at(path, part), line)
            if room < LEAST_LINE:
                break
        return told

    async def _fitting(self, lines: Sequence[tuple[int, str]], room: int) -> list[tuple[int, str, int]]:
        """Of lines in order of preference, those that fit together."""
        kept = []
        counts = await self.ruler.texts([line for _, line in lines])
        for (position, line), count in zip(lines, counts, strict=True):
            if count + 1 <= room:
                room -= count + 1
                kept.append((position, line, count + 1))
        return kept


def dropped_examples(measured: Measured, newest: int) -> set[int]:
    """Indices of the examples, oldest first, that must go so that system text and newest message fit.

    Raises PromptTooLong when they do not fit even without any example.
    """
    must = measured.total("system") + measured.tools + newest
    over = must - measured.shares.prompt
    if over > 0:
        s = measured.shares
        raise PromptTooLong(
            f"The character card and other system text ({must - newest} tokens) and the newest message "
            f"({newest}) are {over} tokens too many for a context of {s.context} that keeps {s.response} for "
            "the answer. Shorten the card, ask for a shorter answer, or use a model with a larger context "
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
        (m, label)
        for i, (m, label) in enumerate(zip(state.messages, measured.labels, strict=True))
        if i not in dropped and (label != "history" or i >= first_kept)
    ]


def _first_history(entries: Sequence[Entry]) -> int:
    return next((i for i, (_, label) in enumerate(entries) if label in ("history", "newest")), len(entries))


def _memory_place(entries: Sequence[Entry], state: TurnState) -> int:
    """Before the last user message; on continue before the message that holds what is continued; else at the end."""
    if state.continues is not None:
        continued = state.messages[state.window[state.continues]["index"]]
        return next(i for i, (m, _) in enumerate(entries) if m is continued)
    for i, (_, label) in enumerate(entries):
        if label == "newest":
            return i
    said = [i for i, (_, label) in enumerate(entries) if label == "history"]
    return said[-1] + 1 if said else len(entries)


def memory_line(memory: dict[str, Any], state: TurnState) -> str:
    """One memory as the prompt shows it: who said it, when (UTC date of storing), whether elsewhere."""
    if memory["kind"] != "message":
        about = {"card": f"About {state.card.get('name') or state.character or 'the character'}: "}
        return f"- {about.get(memory['kind'], '')}{' '.join(memory['text'].split())}"
    speaker = memory["speaker"] or (
        (state.user_name or "User") if memory["role"] == "user" else (state.character or "Character")
    )
    when = datetime.fromtimestamp(memory["created_at"], UTC).date().isoformat()
    text = memory["text"].strip().removeprefix(f"{speaker}:").strip()
    where = ", from another chat" if is_from_another_chat(memory) else ""
    return f"- {speaker} ({when}{where}): {text}"


def is_from_another_chat(memory: dict[str, Any]) -> bool:
    return bool(memory.get("session_id"))


def _key(memory: dict[str, Any]) -> MemoryKey:
    return memory.get("tree_id", ""), memory["kind"], memory["ref"]


def _memory_at(path: Path, memory: dict[str, Any]) -> int:
    """What other chats hold comes first, then the card, then this chat in its order."""
    if is_from_another_chat(memory):
        return -2
    return (path.position(memory["ref"]) or 0) if memory["kind"] == "message" else -1


def accounting(measured: Measured, labels: Sequence[str], counts: Sequence[int]) -> dict[str, int]:
    """Tokens of each part of the prompt, by the model's counter."""

    def total(*parts: str) -> int:
        return sum(c for c, label in zip(counts, labels, strict=True) if label in parts)

    return {
        "context": measured.shares.context,
        "response": measured.shares.response,
        "system": total("system") + measured.tools,
        "examples": total("example"),
        "history": total("history", "newest"),
        "memory": total("memory", "summary"),
        "prompt": sum(counts) + measured.tools,
    }
