"""Chats without an id that begin alike: one of them may be the other, edited where only its beginning was said.

Their requests have too little in common to tell: a greeting alone, or what the user answered to it where more had
been said after it. They are two sessions, but of the one that was there before nobody knows whether it is still a
chat of its own: it is left behind until it is taken up again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from memory.stored import Session, TreeKey
from memory.transcript import Transcript, TreeView

Marks = frozenset[int]
"""The fingerprint of a message, and those it may turn out to have."""
MOST_FORMER = 20
"""Sessions that are looked at, the most recently used ones."""


class Chats(Protocol):
    """Which chats a character has (`memory.catalog`)."""

    async def unnamed_of_character(
        self, owner: str, character: str, person: str, limit: int, avatar: str
    ) -> list[tuple[str, TreeKey]]: ...


class Beginning(NamedTuple):
    """How a chat begins, up to the user's first message."""

    before: tuple[Marks, ...]
    first: Marks
    is_all: bool
    """The user said nothing else."""


def beginning_of(said: Iterable[tuple[str, Marks]]) -> Beginning | None:
    """The beginning of what was said, by roles; None where the user said nothing."""
    before: list[Marks] = []
    first: Marks | None = None
    for role, marks in said:
        if role == "user":
            if first is not None:
                return Beginning(tuple(before), first, is_all=False)
            first = marks
        elif first is None:
            before.append(marks)
    return None if first is None else Beginning(tuple(before), first, is_all=True)


def stored_beginning(session: Session, tree: TreeView) -> Beginning | None:
    """How a stored chat begins."""
    return beginning_of((tree.role(i), frozenset(tree.fingerprints_of(i))) for i in session.path)


def may_have_been(former: Beginning, now: Beginning) -> bool:
    """Whether a chat that begins anew, or whose first message is answered again, may be what another one became:
    the user's only message was edited, or everything after the first one deleted."""
    alike = len(former.before) == len(now.before) and all(map(_are_one, former.before, now.before))
    return alike and ((former.is_all and now.is_all) or _are_one(former.first, now.first))


async def former_of(transcript: Transcript, chats: Chats, now: Session, *, is_new: bool) -> Sequence[Session]:
    """The sessions that a chat without an id may have been before its last turn, which may have made it."""
    if now.chat_id or now.is_group or not now.character:
        return []
    begins = stored_beginning(now, await transcript.tree(now.key))
    if begins is None or not (is_new or begins.is_all):
        return []
    owner, person = now.key.owner, now.person or ""
    listed = await chats.unnamed_of_character(owner, now.character, person, MOST_FORMER + 1, now.avatar)
    found = [await transcript.session(owner, name) for name, _ in listed if name != now.session_id]
    former = []
    for session in found:
        begun = stored_beginning(session, await transcript.tree(session.key)) if session else None
        if session is not None and begun is not None and may_have_been(begun, begins):
            former.append(session)
    return former


def _are_one(one: Marks, other: Marks) -> bool:
    return not one.isdisjoint(other)
