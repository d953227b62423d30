"""How far an import is: counted by the threads at work, read by whoever shows it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class Progress:
    """Messages of everything that one import was given."""

    read: int = 0
    """Lines of chats and exports that were read."""
    stored: int = 0
    """Those of them that are stored, or were before; all that were read once their chat is through."""

    def counted(self, lines: Iterable[T]) -> Iterator[T]:
        """The same lines, counted as read."""
        for line in lines:
            self.read += 1
            yield line

    def wrote(self, messages: int) -> None:
        """So many more are stored; never more than were read, for swipes and hidden ones count as well."""
        self.stored = min(self.read, self.stored + messages)

    def through(self) -> None:
        """Everything that was read is stored."""
        self.stored = self.read
