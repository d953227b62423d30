"""TurnContext: the knobs of one run, plain JSON, so that Studio can show and edit them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

MemoryScope = Literal["chat", "character", "off"]
EmotionMode = Literal["auto", "off", "seed"]
MemoryKind = Literal["message", "card", "summary", "lore"]


@dataclass(frozen=True)
class Filter:
    """Which memories may be recalled; what is empty or None lets everything pass."""

    role: Literal["", "user", "assistant"] = ""
    speaker: str = ""
    emotion: str = ""
    """A label that a message was read with."""
    since: float | None = None
    """Unix seconds; said at that time or later."""
    until: float | None = None
    """Unix seconds; said before that time."""
    kinds: tuple[MemoryKind, ...] = ("message", "card", "summary", "lore")


@dataclass(frozen=True)
class TurnContext:
    """What may differ from run to run without changing the chat."""

    owner: str = "local"
    """The tenant; every key in every tier begins with it."""
    memory: MemoryScope = "chat"
    """`chat` recalls from this chat, `character` from the character's other chats too; `off` adds no memory
    to the prompt (the turn is still stored)."""
    emotion: EmotionMode = "auto"
    """How feelings count in recall: `auto` where a question has a mood, `off` never, `seed` as a factor on equal
    labels (1 + 0.3 * importance)."""
    only: Filter | None = None
    """Narrows what may be recalled."""
    candidates: int = 160
    """How many messages of the chat `retrieve` hands to `rerank`."""
    memories: int = 64
    """How many memories `rerank` hands to `budget` at most; how many it does, their scores decide."""


def session_of_thread(thread_id: str, owner: str) -> str:
    """The session a thread belongs to: `owner:session`, or the thread's own id where another made it."""
    return thread_id.removeprefix(f"{owner}:")
