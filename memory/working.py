"""Working memory: the newest messages of the hot sessions."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Protocol

from memory.stored import Message


class WorkingMemory(Protocol):
    """The last messages of a session's path, valid for exactly one version of it."""

    size: int
    """How many messages of a session are held."""

    async def recent(self, owner: str, session_id: str, version: int) -> list[Message] | None:
        """The newest messages, oldest first, or None when not held for this version."""
        ...

    async def put(self, owner: str, session_id: str, version: int, messages: Sequence[Message]) -> None: ...

    async def drop(self, owner: str, session_id: str) -> None: ...


class RamWorkingMemory:
    """Least recently used sessions fall out; what is lost is read from the transcript again."""

    def __init__(self, size: int, sessions: int = 1000) -> None:
        self.size = size
        self._sessions = sessions
        self._held: OrderedDict[tuple[str, str], tuple[int, list[Message]]] = OrderedDict()

    async def recent(self, owner: str, session_id: str, version: int) -> list[Message] | None:
        held = self._held.get((owner, session_id))
        if held is None or held[0] != version:
            return None
        self._held.move_to_end((owner, session_id))
        return list(held[1])

    async def put(self, owner: str, session_id: str, version: int, messages: Sequence[Message]) -> None:
        self._held[(owner, session_id)] = (version, list(messages)[-self.size :])
        self._held.move_to_end((owner, session_id))
        while len(self._held) > self._sessions:
            self._held.popitem(last=False)

    async def drop(self, owner: str, session_id: str) -> None:
        self._held.pop((owner, session_id), None)

    def __len__(self) -> int:
        return len(self._held)
