"""What a character's other chats hold that bears on the newest message: `retrieve` asks when it may."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from graph.state import TurnState
from memory.path import Path
from memory.rows import Ids
from memory.stored import Session, TreeKey
from memory.transcript import Transcript, TreeView

MOST_CHATS = 20
"""Other chats that are searched, the most recently used ones."""


class Chats(Protocol):
    """Which chats a character has (`memory.catalog`)."""

    async def recent_of_character(
        self, owner: str, character: str, person: str, limit: int, avatar: str
    ) -> list[tuple[str, TreeKey]]: ...


@dataclass(frozen=True, slots=True)
class Here:
    """The chat that is answered: its own words are nobody's memory of another chat."""

    key: TreeKey
    session_id: str
    person: str
    """Who asks: OpenAI's `user`, empty where it was not told."""
    avatar: str
    """What tells the character from others of the name; empty where it was not told."""
    path: Path
    shown: frozenset[int]
    """Fingerprints of the messages in the request."""


@dataclass(frozen=True)
class OtherChats:
    """A bounded number of a character's chats.

    A chat that a fork without an id left behind is none of them, and neither is a group's: what was said
    there is the group's. Neither is another person's, and who takes part in another's chat recalls nothing.
    """

    transcript: Transcript
    chats: Chats

    async def sessions(self, here: Here, character: str) -> list[Session]:
        """The character's other chats, the most recently used first."""
        owner = here.key.owner
        own = await self.transcript.session(owner, here.session_id)
        if own is not None and (own.is_group or own.person not in (None, "", here.person)):
            return []
        avatar = here.avatar or (own.avatar if own else "")
        recent = await self.chats.recent_of_character(owner, character, here.person, MOST_CHATS + 1, avatar)
        others = [name for name, _ in recent if name != here.session_id][:MOST_CHATS]
        found = [await self.transcript.session(owner, name) for name in others]
        return [session for session in found if session is not None]

    async def unheard(self, here: Here, key: TreeKey, ids: Ids) -> npt.NDArray[np.bool_]:
        """Shape (ids,): which messages of another chat say what is not said in this one (greetings are)."""
        tree, own = await self.transcript.tree(key), await self.transcript.tree(here.key)
        return np.array([not is_heard(tree.fingerprint(i), here, own) for i in ids.tolist()], np.bool_)


def is_heard(said: int, here: Here, own: TreeView) -> bool:
    """Whether a message with this fingerprint stands in this chat."""
    return said in here.shown or any(i in here.path for i in own.ids_of(said))


def is_group(state: TurnState) -> bool:
    """Whether the request says so, or names more characters than the one that answers, under either name.

    Who speaks for the user is none: a persona that the user had is named as well.
    """
    users = {row["speaker"] for row in state.window if row["role"] == "user"} | {state.user_name}
    answers = {state.character, state.card.get("name")}
    return state.is_group or bool(set(state.names) - users - answers)
