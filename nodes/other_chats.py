"""What a character's other chats hold that bears on the newest message: `retrieve` asks when it may."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from graph.state import TurnState
from memory.path import Path
from memory.transcript import Message, Session, Transcript, TreeKey, TreeView
from memory.vectors import Hit, Vector, VectorIndex

MOST_CHATS = 20
"""Other chats that are searched, the most recently used ones."""


class Chats(Protocol):
    """Which chats a character has (`memory.catalog`)."""

    async def recent_of_character(
        self, owner: str, character: str, limit: int
    ) -> list[tuple[str, TreeKey]]: ...


@dataclass(frozen=True, slots=True)
class Here:
    """The chat that is answered: its own words are nobody's memory of another chat."""

    key: TreeKey
    session_id: str
    path: Path
    shown: frozenset[int]
    """Fingerprints of the messages in the request."""


@dataclass(frozen=True, slots=True)
class Found:
    """A message of another chat."""

    session: Session
    hit: Hit
    message: Message


@dataclass(frozen=True)
class OtherChats:
    """Dense search within the paths of a bounded number of chats.

    A chat that a fork without an id left behind is none of them, and neither is a group's: what was said
    there is the group's.
    """

    transcript: Transcript
    vectors: VectorIndex
    chats: Chats

    async def search(self, here: Here, character: str, query: Vector, k: int) -> list[Found]:
        """The k best messages of the character's other chats, best first; what several hold is found once."""
        sessions = await self._sessions(here, character)
        found = await asyncio.gather(*(self._in(session, here, query, k) for session in sessions))
        best = sorted((f for chat in found for f in chat), key=lambda f: -f.hit.similarity)
        return unheard(best, here, await self.transcript.tree(here.key))[:k]

    async def _sessions(self, here: Here, character: str) -> list[Session]:
        recent = await self.chats.recent_of_character(here.key.owner, character, MOST_CHATS + 1)
        others = [name for name, _ in recent if name != here.session_id][:MOST_CHATS]
        found = [await self.transcript.session(here.key.owner, name) for name in others]
        return [session for session in found if session is not None and not session.is_group]

    async def _in(self, session: Session, here: Here, query: Vector, k: int) -> list[Found]:
        hits = await self.vectors.search(session.key, "message", query, session.path, k)
        if session.key == here.key:
            hits = [hit for hit in hits if hit.ref not in here.path]
        if not hits:
            return []
        messages = await self.transcript.messages(session.key, [hit.ref for hit in hits])
        return [Found(session, hit, message) for hit, message in zip(hits, messages, strict=True)]


def unheard(found: Sequence[Found], here: Here, tree: TreeView) -> list[Found]:
    """Those whose words do not stand in this chat too (greetings do), each text once."""
    heard = set(here.shown)
    new = []
    for one in found:
        said = one.message.fingerprint
        if said not in heard and not any(i in here.path for i in tree.ids_of(said)):
            new.append(one)
        heard.add(said)
    return new


def is_group(state: TurnState) -> bool:
    """Whether the request names more characters than the one that answers, under either of its names."""
    character: str = state.card.get("name") or state.character
    return bool(set(state.names) - {state.user_name, state.character, character})
