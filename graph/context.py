"""TurnContext: the knobs of one run, plain JSON, so that Studio can show and edit them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

MemoryScope = Literal["chat", "character", "off"]


@dataclass(frozen=True)
class TurnContext:
    """What may differ from run to run without changing the chat."""

    owner: str = "local"
    """The tenant; every key in every tier begins with it."""
    memory: MemoryScope = "chat"
    """`chat` recalls from this chat, `character` from the character's other chats too; `off` adds no memory
    to the prompt (the turn is still stored)."""
    candidates: int = 50
    """How many candidates `retrieve` hands to `rerank`."""
    memories: int = 10
    """How many memories `rerank` hands to `budget`."""


def session_of_thread(thread_id: str, owner: str) -> str:
    """The session a thread belongs to: `owner:session`, or the thread's own id where another made it."""
    return thread_id.removeprefix(f"{owner}:")
