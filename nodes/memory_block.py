"""How memories read in the prompt: one block, day by day, a line each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from graph.state import TurnState
from memory.path import Path
from nodes.history import Ruler

HEADING = "[What {name} remembers from earlier {where}; use it where it fits, do not quote it.]"
HERE, ELSEWHERE = "in this chat", "in this chat and in other chats"
COUNTED_AT_ONCE = 32
"""Memories whose tokens are counted together; the worst are mostly not needed."""
LEAST_LINE = 8
"""Tokens without which no line of a memory is worth trying."""

Memory = dict[str, Any]
"""As the state has it (Any: JSON)."""
MemoryKey = tuple[str, str, int]
"""A memory's other chat (empty: this one), kind and reference."""


@dataclass(frozen=True, slots=True)
class Told:
    """A memory as the prompt shows it."""

    day: str
    """On which it was said (UTC, of storing); empty for what nobody says, which stands first."""
    place: int
    """On the path, -1 for what does not stand on it."""
    line: str


@dataclass(slots=True)
class Block:
    """The block in the making: `room` is the tokens that are left for its lines."""

    heading: str
    room: int
    told: dict[MemoryKey, Told] = field(default_factory=dict)
    days: set[str] = field(default_factory=set)

    @property
    def text(self) -> str:
        """What is told so far, in the order in which it was said, each day under its date; empty for nothing."""
        shown = [self.heading]
        day = ""
        for one in sorted(self.told.values(), key=lambda t: (t.day, t.place, t.line)):
            shown += [f"{one.day}:"] if one.day != day else []
            shown.append(one.line)
            day = one.day
        return "\n".join(shown) if self.told else ""

    def add(self, key: MemoryKey, one: Told, tokens: int, tokens_of_day: int) -> bool:
        """Whether it is told, now or already: it is added if it fits, with its day's heading if that is new."""
        if key in self.told:
            return True
        needed = tokens + (tokens_of_day if one.day and one.day not in self.days else 0)
        if needed > self.room:
            return False
        self.room -= needed
        self.told[key] = one
        self.days.add(one.day)
        return True


async def block_of(state: TurnState, memories: Sequence[Memory], room: int, ruler: Ruler) -> Block:
    """The memories that fit into so many tokens, best first; with each the rest of its exchange, if that fits."""
    heading = heading_of(state)
    of_heading, of_day = await ruler.texts([heading, "2000-12-31:"])
    block = Block(heading, room - of_heading)
    path = Path(state.path)
    wholes = [[m, *({**m, **half} for half in m.get("exchange", ()))] for m in memories]
    for at in range(0, len(wholes), COUNTED_AT_ONCE):
        some = [
            [(key_of(m), told_of(m, path, state)) for m in whole] for whole in wholes[at:][:COUNTED_AT_ONCE]
        ]
        lines = [one.line for whole in some for _, one in whole]
        tokens = dict(zip(lines, await ruler.texts(lines), strict=True))
        for whole in some:
            for key, one in whole:
                if not block.add(key, one, tokens[one.line] + 1, of_day + 1):
                    break
        if block.room < LEAST_LINE:
            break
    return block


def heading_of(state: TurnState) -> str:
    """Whose memories these are, and where they come from."""
    where = ELSEWHERE if any(is_from_another_chat(m) for m in state.memories) else HERE
    return HEADING.format(name=state.card.get("name") or state.character or "the character", where=where)


def told_of(memory: Memory, path: Path, state: TurnState) -> Told:
    """One memory as the prompt shows it: who said it, when, whether elsewhere."""
    if memory["kind"] != "message":
        about = {"card": f"About {state.card.get('name') or state.character or 'the character'}: "}
        return Told("", -1, f"- {about.get(memory['kind'], '')}{' '.join(memory['text'].split())}")
    speaker = memory["speaker"] or (
        (state.user_name or "User") if memory["role"] == "user" else (state.character or "Character")
    )
    text = memory["text"].strip().removeprefix(f"{speaker}:").strip()
    day = datetime.fromtimestamp(memory["created_at"], UTC).date().isoformat()
    if is_from_another_chat(memory):
        return Told(day, -1, f"- {speaker} (in another chat): {text}")
    position = path.position(memory["ref"])
    return Told(day, -1 if position is None else position, f"- {speaker}: {text}")


def is_from_another_chat(memory: Memory) -> bool:
    return bool(memory.get("session_id"))


def key_of(memory: Memory) -> MemoryKey:
    return memory.get("tree_id", ""), memory["kind"], memory["ref"]
