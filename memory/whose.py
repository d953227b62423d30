"""Whose chat an id names: a front-end's ids are file names, which several characters may have alike."""

from __future__ import annotations

from dataclasses import dataclass

from memory.stored import Session


@dataclass(frozen=True, slots=True)
class Whose:
    """The character of a chat as the front-end tells it; in a group, the one who speaks now."""

    character: str = ""
    is_group: bool = False
    """Several take part: the character changes, and the chat stays."""

    @property
    def told(self) -> bool:
        return bool(self.character) or self.is_group

    def may_have(self, session: Session) -> bool:
        """Whether a session is of the same character or of a group as well, or one of both does not say."""
        if not self.told or not (session.character or session.is_group):
            return True
        if self.is_group or session.is_group:
            return self.is_group and session.is_group
        return self.character == session.character


def has_id_of(line: Session, session: Session) -> bool:
    """Whether two lines of a tree are known by one id: of the same character, or both of a group."""
    same = line.is_group if session.is_group else not line.is_group and line.character == session.character
    return bool(session.chat_id) and line.chat_id == session.chat_id and same


ANYBODY = Whose()
