"""What an import says afterwards."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

MOST_PROBLEMS = 50
"""Problems that are spelled out; all are counted."""


class Problem(BaseModel):
    """Something that was left out, and why."""

    message: str
    line: int | None = None
    """Line of the file, counted from 1."""
    file: str = ""


class ImportedSession(BaseModel):
    """A chat as it is stored now."""

    id: str
    chat_id: str
    messages: int
    added: int
    """Messages of the chat that this import stored."""


class Report(BaseModel):
    """Counts over everything that a file held."""

    object: Literal["import"] = "import"
    files: int = 0
    read: int = 0
    """Messages that the file shows."""
    added: int = 0
    """Messages stored anew that their chats show."""
    swipes: int = 0
    """Replies stored anew beside the chosen ones."""
    hidden: int = 0
    """Other messages stored anew that no chat shows: hidden ones, narrator lines, what an export holds of them."""
    characters: int = 0
    lore: int = 0
    """Cards and lorebook entries that were new or changed."""
    groups: int = 0
    """Groups that were new or changed."""
    bindings: int = 0
    """Lorebooks that the settings bind, or no longer bind, to something."""
    sessions: list[ImportedSession] = Field(default_factory=list)
    problems: list[Problem] = Field(default_factory=list)
    problem_count: int = 0

    @property
    def stored(self) -> int:
        """Everything stored anew."""
        return self.added + self.swipes + self.hidden

    def complain(self, message: str, line: int | None = None) -> None:
        self.problem_count += 1
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(Problem(message=message, line=line))

    def after(self, first: Report | None) -> Report:
        """What two looks at one file found, this the second."""
        if first is None:
            return self
        stored = {name: getattr(first, name) + getattr(self, name) for name in ("added", "swipes", "hidden")}
        return self.model_copy(update=stored)

    def add(self, other: Report, file: str) -> None:
        """Take in what one file of several held."""
        self.files += other.files
        self.read += other.read
        self.added += other.added
        self.swipes += other.swipes
        self.hidden += other.hidden
        self.characters += other.characters
        self.lore += other.lore
        self.groups += other.groups
        self.bindings += other.bindings
        self.sessions += other.sessions
        self.problem_count += other.problem_count
        named = [p.model_copy(update={"file": file}) for p in other.problems]
        self.problems += named[: max(0, MOST_PROBLEMS - len(self.problems))]
