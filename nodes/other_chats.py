"""What a character's other chats hold that bears on the newest message: `retrieve` asks when it may."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from graph.state import TurnState
from memory.begun_anew import Beginning, Marks, beginning_of, may_have_been, stored_beginning
from memory.incoming import prefix_of, row_of, text_of
from memory.path import Path
from memory.read_rows import may_be
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
    begins: Beginning | None = None
    """How the chat begins, where it has no id and nothing but its beginning was said: another one may have been it."""


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
        return [session for session in found if session and not await self._may_be_here(session, here)]

    async def _may_be_here(self, session: Session, here: Here) -> bool:
        """Whether a chat is what this one may have been until now (`memory.begun_anew`)."""
        if here.begins is None or session.chat_id:
            return False
        begins = stored_beginning(session, await self.transcript.tree(session.key))
        return begins is not None and may_have_been(begins, here.begins)

    async def unheard(self, here: Here, key: TreeKey, ids: Ids) -> npt.NDArray[np.bool_]:
        """Shape (ids,): which messages of another chat say what is not said in this one (greetings are)."""
        tree, own = await self.transcript.tree(key), await self.transcript.tree(here.key)
        return np.array([not is_heard(tree.fingerprint(i), here, own) for i in ids.tolist()], np.bool_)


def is_heard(said: int, here: Here, own: TreeView) -> bool:
    """Whether a message with this fingerprint stands in this chat."""
    return said in here.shown or any(i in here.path for i in own.ids_of(said))


def begins_with(state: TurnState, tree: TreeView) -> Beginning | None:
    """How a turn's chat begins, where the turn is of its beginning: the chat is new, or the user said one thing."""

    def marks(i: int) -> tuple[str, Marks]:
        if i > 0:
            return tree.role(i), frozenset(tree.fingerprints_of(i))
        row = state.window[-i - 1]
        shown = row_of(row["role"], row["speaker"], _text_of(row, state), [])
        return row["role"], frozenset(
            may_be(replace(shown, fingerprint=row["fingerprint"], glued=row["unsettled"]))
        )

    begins = beginning_of(map(marks, Path(state.path)))
    is_new = state.change == "new" and not state.forked_from
    return begins if begins and (is_new or begins.is_all) else None


def is_group(state: TurnState) -> bool:
    """Whether the request says so, or names more characters than the one that answers, under either name.

    Who speaks for the user is none: a persona that the user had is named as well, or leads what was stored so.
    """
    theirs = [row for row in state.window if row["role"] == "user"]
    heard = {row["speaker"] for row in state.window} - {row["speaker"] for row in theirs}
    users = {row["speaker"] or prefix_of(_text_of(row, state), state.names) for row in theirs} - heard
    users.add(state.user_name)
    answers = {state.character, state.card.get("name")}
    return state.is_group or bool(set(state.names) - users - answers)


def _text_of(row: Mapping[str, Any], state: TurnState) -> str:  # Any: a row of the window is JSON
    return row.get("text") or text_of(state.messages[row["index"]].get("content"))
