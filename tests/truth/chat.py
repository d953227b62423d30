"""A model of a front-end's chats: messages and what requests have shown of them.

A chat keeps what its requests have shown so far (`Chat.shown`), which is what memory can know.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import count

from memory.stored import Message

USERS = ("Alex", "Sam")
"""The user's personas."""
USER = USERS[0]
NAMES = (*USERS, "Mira", "Tobias")
"""Everybody who speaks anywhere."""
GREETING = "Mira sets the kettle down. You are late."
_origins = count()
_seconds = count(1_700_000_000)


def clock() -> float:
    """Unix seconds, of front-end and memory alike: later each time that somebody looks."""
    return float(next(_seconds))


@dataclass(eq=False)
class Said:
    """A message of a chat; `origin` is the same in every branch that has it."""

    role: str
    speaker: str
    swipes: list[str]
    at: int = 0
    hidden: bool = False
    gone: bool = False
    origin: int = field(default_factory=lambda: next(_origins))
    dates: list[float] = field(default_factory=list)
    """When each of its swipes was written, Unix seconds."""

    def __post_init__(self) -> None:
        self.date_swipes()

    def date_swipes(self) -> None:
        """Give swipes that have no date the time it is now."""
        self.dates += [clock()] * (len(self.swipes) - len(self.dates))

    @property
    def text(self) -> str:
        return self.swipes[self.at]

    @text.setter
    def text(self, text: str) -> None:
        self.swipes[self.at] = text

    @property
    def visible(self) -> bool:
        return not self.hidden and not self.gone


@dataclass(frozen=True)
class Shown:
    """A message as a request, or the reply to one, last told it to memory."""

    said: Said
    text: str


@dataclass(eq=False)
class Chat:
    """One chat file; messages that were deleted keep their place in `said`."""

    characters: list[str]
    chat_id: str = ""
    user: str = USER
    """The persona that the user has in it now."""
    name: str = ""
    """That of its file."""
    main_chat: str = ""
    """The name of the chat that it branched off."""
    asked: bool = False
    """A request made the id that the chat keeps among its variables, where chats make their own."""
    said: list[Said] = field(default_factory=list)
    shown: list[Shown] = field(default_factory=list)
    earlier: list[list[Shown]] = field(default_factory=list)
    """What had been shown before memory began the chat anew, each time."""
    left: list[list[Shown]] = field(default_factory=list)
    """What had been shown before memory took the chat for another line, as of a branch, or left one behind, each
    time."""
    held: list[Message] = field(default_factory=list)
    """What memory had of it after its last request."""
    settled_in_doubt: set[int] = field(default_factory=set)
    """Messages that may keep a note for said: it stood still, and a quiet prompt was taken for a turn."""
    tree: str = ""
    """The tree that memory keeps the chat in."""
    session_id: str = ""
    """Its session there, as of its last request."""
    taken_in: bool = False
    """Its file was imported."""
    one_with: list[Chat] = field(default_factory=list)
    """Branches that requests cannot tell from this chat after an edit of its last messages."""

    @property
    def visible(self) -> list[Said]:
        return [said for said in self.said if said.visible]

    def branch(self, upto: Said, chat_id: str, name: str) -> Chat:
        """A new chat with everything up to and with a message, what comes later deleted, and what was shown of that."""
        last = self.said.index(upto)
        copies = {
            id(said): replace(
                said, swipes=list(said.swipes), dates=list(said.dates), gone=said.gone or n > last
            )
            for n, said in enumerate(self.said)
        }
        kept = {id(said) for said in self.said[: last + 1]}
        shown = [Shown(copies[id(s.said)], s.text) for s in self.shown if id(s.said) in kept]
        said = [copies[id(said)] for said in self.said]
        earlier, left = (
            [[Shown(copies[id(s.said)], s.text) for s in line if id(s.said) in kept] for line in lines]
            for lines in (self.earlier, self.left)
        )
        return Chat(
            list(self.characters),
            chat_id,
            self.user,
            name,
            main_chat=self.name,
            asked=self.asked,
            said=said,
            shown=shown,
            earlier=earlier,
            left=left,
            held=self.held,
            tree=self.tree,
            one_with=list(self.one_with) if chat_id == self.chat_id else [],
        )

    def show(self, window: Sequence[Said], moved: Sequence[Said] = ()) -> list[Shown]:
        """What memory knows of the chat once a request showed this window.

        What stands before the window stays as it was shown; inside it only what is shown counts, and what
        the request moved into a system message.
        """
        order = {id(said): n for n, said in enumerate(self.said)}
        start = order[id(window[0])]
        known = {id(s.said): s for s in self.shown}
        inside = [Shown(said, said.text) for said in window]
        inside += [known[id(said)] for said in moved if id(said) in known]
        inside.sort(key=lambda s: order[id(s.said)])
        return [s for s in self.shown if order[id(s.said)] < start] + inside
