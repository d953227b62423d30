"""What is known of a request, and the session it is assigned to."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

from memory.align import Alignment, Incoming
from memory.stored import Session, TreeKey
from memory.whose import ANYBODY, Whose


@dataclass(frozen=True, slots=True)
class Request:
    """What is known of a request; ids that are empty or hold an unreplaced macro (`{{`) count as none."""

    owner: str
    window: Sequence[Incoming]
    session_id: str = ""
    chat_id: str = ""
    user: str = ""
    character: str = ""
    continues: bool = False
    whose: Whose = ANYBODY
    """Whose chat the chat id names, where the front-end tells it."""

    @property
    def is_lone(self) -> bool:
        """One message of the user is all that came."""
        return len(self.window) == 1 and self.window[0].role == "user"

    def cleaned(self) -> Request:
        """The request without ids that count as none."""
        return replace(
            self,
            session_id=_id(self.session_id),
            chat_id=_id(self.chat_id),
            user=_id(self.user),
            character=_id(self.character),
            whose=replace(self.whose, character=_id(self.whose.character)),
        )

    def beginning(self) -> Hashable:
        """What two requests have in common that may both begin the same session."""
        if self.session_id:
            return ("session", self.owner, self.session_id)
        if self.chat_id:
            return ("chat", self.owner, self.chat_id)
        if self.user and self.is_lone:
            return ("person", self.owner, self.user, self.character)
        users = [n for n, row in enumerate(self.window) if row.role == "user"]
        first = self.window[: users[0] + 1 if users else None]
        return ("start", self.owner, *(row.fingerprint for row in first))


@dataclass(frozen=True, slots=True)
class Assignment:
    """The session of a request and how it changes; `session` None: its first turn makes it."""

    key: TreeKey
    session_id: str
    session: Session | None
    alignment: Alignment
    forked_from: str = ""
    """The session whose tree and path a new one shares."""


def new_id() -> str:
    """A short id, safe as a file name, later ones sorting after earlier ones."""
    return f"{time.time_ns() // 1_000_000:011x}{secrets.token_hex(4)}"


def is_new_id(text: str) -> bool:
    """Whether an id is of this kind, and so not taken from a chat's name."""
    return re.fullmatch("[0-9a-f]{19}", text) is not None


def _id(text: str) -> str:
    return "" if "{{" in text else text.strip()
