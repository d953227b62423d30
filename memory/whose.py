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
    avatar: str = ""
    """What tells characters of one name apart: SillyTavern's name of the card's file. A group has none."""

    @property
    def told(self) -> bool:
        return bool(self.character or self.avatar) or self.is_group

    def may_have(self, session: Session) -> bool:
        """Whether a session is of the same character or of a group as well, or one of both does not say.

        Where both tell an avatar, that decides, whatever the names are."""
        if not self.told or not (session.character or session.avatar or session.is_group):
            return True
        if self.is_group or session.is_group:
            return self.is_group and session.is_group
        return self.avatar == session.avatar if self.avatar and session.avatar else self._has_name_of(session)

    def _has_name_of(self, session: Session) -> bool:
        return self.character in ("", session.character) or not session.character

    def is_first_of(self, session: Session) -> bool:
        """Whether this would be the first avatar of a session that never told one."""
        return bool(self.avatar) and not session.avatar and not session.is_group

    def are_alike(self, one: Session, other: Session) -> bool:
        """Whether this tells two sessions of its id, each of a tree of its own, not apart: what is said there must."""
        going_on = not (one.left_behind or other.left_behind or one.is_group or other.is_group)
        same = self.told and going_on and one.key != other.key
        return one is other or (same and (not self.avatar or one.avatar == other.avatar))

    def is_namesake_of(self, session: Session) -> bool:
        """Whether a session is that of another character of the same name."""
        return not self.may_have(session) and not session.is_group and self.character == session.character


def whose_of(session: Session) -> Whose:
    """Whose chat a session is."""
    return Whose(session.character, session.is_group, "" if session.is_group else session.avatar)


def has_id_of(line: Session, session: Session) -> bool:
    """Whether two lines of a tree are known by one id: of the same character, or both of a group."""
    same = line.is_group if session.is_group else not line.is_group and _is_of_one(line, session)
    return bool(session.chat_id) and line.chat_id == session.chat_id and same


def _is_of_one(line: Session, other: Session) -> bool:
    known = line.avatar and other.avatar
    return line.avatar == other.avatar if known else line.character == other.character


ANYBODY = Whose()
