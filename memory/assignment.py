"""What is known of a request, and the session it is assigned to."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace

from memory.align import Alignment, Incoming
from memory.names import Prompt, as_stored
from memory.stored import Session, TreeKey
from memory.transcript import TreeView
from memory.whose import ANYBODY, Whose

TOLD = 4
"""So many messages and more of a chat are not all left out of a turn's request at once."""


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
    again: bool = False
    """Another reply is asked for in the place of the last one."""
    whose: Whose = ANYBODY
    """Whose chat the chat id names, where the front-end tells it."""
    is_group: bool = False
    """The request has what begins a group's prompt."""
    shows_group: bool = False
    """Whether several characters may take part: it has that, or it names more of them than the one who speaks."""
    branch_of: str = ""
    """The id of a chat that it certainly is not, for it says that it branched off that one."""
    exact: bool = False
    """The chat id names one chat, as a file's name does: branches have ids of their own."""
    may_be_raw: bool = False
    """Its front-end shows a chat's messages with each turn, and here one at most, and nothing else of the chat."""
    is_file: bool = False
    """The window is a chat's file: all of it, as it was when it was written."""
    prompt: Prompt | None = None
    """What the window was read from, where it was a prompt."""

    @property
    def is_lone(self) -> bool:
        """One message of the user is all that came."""
        return len(self.window) == 1 and self.window[0].role == "user"

    def read_for(self, tree: TreeView) -> Request:
        """The request with its window, and who answers, as a chat of this tree would show it."""
        if self.prompt is None:
            return replace(self, window=[as_stored(row, tree) for row in self.window])
        character, _ = self.prompt.cast_in(tree)
        is_told = character == self.prompt.character
        return replace(
            self,
            window=self.prompt.window_in(tree),
            character=self.character if is_told else character,
        )

    def guesses(self) -> Iterator[Request]:
        """The request as it is, and then with windows that may have more speakers than it tells."""
        yield self
        for window in self.prompt.guesses() if self.prompt else ():
            yield replace(self, window=window)

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
    pinned: bool = False
    """Whether the session was known by an id when the window was aligned with it."""

    @property
    def asks_again(self) -> bool:
        """Whether a lone message without an id was found to be what its session ends with: another reply is asked for.
        Where the session is known by an id it would be one more."""
        is_lone = len(self.alignment.window) == 1
        return self.session is not None and not self.pinned and is_lone and self.alignment.change == "retry"

    def is_beside(self, request: Request) -> bool:
        """Whether a request is no turn of the chat that its id names: it shows nothing of what was said there."""
        if self.session is None or not self.pinned or not request.may_be_raw:
            return False
        return len(self.session.path) >= TOLD and not self.alignment.matched

    def holds_where_known(self) -> bool:
        """Whether the alignment is the one that there is where the session is known: it is no fork of it, nor is
        it a lone message or a stranger to it."""
        found = self.alignment
        return self.pinned or (found.change != "fork" and found.matched > 0 and len(found.window) > 1)


def new_id() -> str:
    """A short id, safe as a file name, later ones sorting after earlier ones."""
    return f"{time.time_ns() // 1_000_000:011x}{secrets.token_hex(4)}"


def is_new_id(text: str) -> bool:
    """Whether an id is of this kind, and so not taken from a chat's name."""
    return re.fullmatch("[0-9a-f]{19}", text) is not None


def _id(text: str) -> str:
    return "" if "{{" in text else text.strip()
