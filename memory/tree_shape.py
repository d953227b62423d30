"""The shape of one tree in RAM: parents, roles, speakers and fingerprints, without text."""

from __future__ import annotations

import sqlite3
from array import array
from bisect import insort
from collections.abc import Iterable, Iterator, Sequence

from graph.errors import NotFound
from memory.glue import paragraphs, readings
from memory.incoming import fingerprint

GONE = 0
_ROLES = ("", "user", "assistant")


class TreeShape:
    """A `TreeView` that grows with every commit; about 250 bytes a message."""

    def __init__(self) -> None:
        self._parents = array("q", [0])
        self._roles = bytearray([GONE])
        self._fingerprints = array("q", [0])
        self._spoken_by = array("i", [0])
        self._names: list[str] = [""]
        self._speakers: dict[str, dict[str, int]] = {role: {"": 0} for role in _ROLES}
        """By role and name, the name's place among `_names`."""
        self._ids: dict[int, list[int]] = {}
        self._unsettled: dict[int, list[str]] = {}
        self._led: set[int] = set()
        self._within: dict[int, list[int]] = {}
        self._glued_to: dict[int, list[int]] = {}
        self._glue: set[int] = set()

    def add(
        self, message_id: int, parent: int | None, role: str, fingerprint: int, speaker: str = ""
    ) -> None:
        """Add a message; ids come in ascending order."""
        while len(self._roles) < message_id:
            self._append(0, GONE, 0, 0)
        self._append(parent or 0, _ROLES.index(role), fingerprint, self._place_of(role, speaker))
        self._ids.setdefault(fingerprint, []).append(message_id)

    def _append(self, parent: int, role: int, fingerprint: int, speaker: int) -> None:
        self._parents.append(parent)
        self._fingerprints.append(fingerprint)
        self._roles.append(role)
        self._spoken_by.append(speaker)

    def _place_of(self, role: str, speaker: str) -> int:
        places = self._speakers[role]
        if speaker not in places:
            places[speaker] = len(self._names)
            self._names.append(speaker)
        return places[speaker]

    def add_unsettled(self, message_id: int, text: str) -> None:
        """Note that some of a message's text may not have been said; its speaker's name may lead it."""
        known = self._fingerprints[message_id]
        named = fingerprint(self.role(message_id), text) != known
        parts = paragraphs(text.partition(":")[2] if named else text)
        self._unsettled[message_id] = parts
        if named:
            self._led.add(message_id)
        for ids in self._known_by(message_id):
            ids.append(message_id)

    def _known_by(self, message_id: int) -> Iterator[list[int]]:
        """Where an unsettled message is noted: under its shorter readings, and under each of its paragraphs."""
        parts = self._unsettled[message_id]
        for shorter, _ in readings(self.role(message_id), parts):
            yield self._within.setdefault(shorter, [])
        for part in parts if len(parts) > 1 else ():
            yield self._glued_to.setdefault(fingerprint("system", part), [])

    def settle(self, message_id: int, fingerprint: int) -> None:
        """A message's text is known now; it may be another than was stored."""
        if message_id in self._unsettled:
            for ids in self._known_by(message_id):
                ids.remove(message_id)
            del self._unsettled[message_id]
            self._led.discard(message_id)
        self._ids[self._fingerprints[message_id]].remove(message_id)
        self._fingerprints[message_id] = fingerprint
        insort(self._ids.setdefault(fingerprint, []), message_id)

    def rename(self, message_id: int, speaker: str) -> None:
        """A message's speaker is known by another name now."""
        self._spoken_by[message_id] = self._place_of(self.role(message_id), speaker)

    def add_glue(self, fingerprints: Iterable[int]) -> None:
        self._glue.update(fingerprints)

    def unsettled(self, message_id: int) -> bool:
        return message_id in self._unsettled

    def within(self, fingerprint: int) -> Sequence[int]:
        return self._within.get(fingerprint, ())

    def paragraphs(self, message_id: int) -> Sequence[str]:
        return self._unsettled.get(message_id, ())

    def is_led(self, message_id: int) -> bool:
        return message_id in self._led

    def glued_to(self, fingerprint: int) -> Sequence[int]:
        return self._glued_to.get(fingerprint, ())

    def is_glue(self, fingerprint: int) -> bool:
        return fingerprint in self._glue

    def fingerprints_of(self, message_id: int) -> list[int]:
        """The fingerprint that a message has, and those it may turn out to have."""
        parts = self._unsettled.get(message_id, ())
        return [self.fingerprint(message_id), *(fp for fp, _ in readings(self.role(message_id), parts))]

    def ids_of(self, fingerprint: int) -> Sequence[int]:
        return self._ids.get(fingerprint, ())

    def fingerprint(self, message_id: int) -> int:
        return self._fingerprints[self._known(message_id)]

    def role(self, message_id: int) -> str:
        return _ROLES[self._roles[self._known(message_id)]]

    def speaker(self, message_id: int) -> str:
        return self._names[self._spoken_by[self._known(message_id)]]

    def speakers(self, role: str) -> Sequence[str]:
        return [name for name in self._speakers[role] if name]

    def parent(self, message_id: int) -> int | None:
        """The message stored before it, None at a root and where that was removed."""
        parent = self._parents[self._known(message_id)]
        return parent if parent in self else None

    def __contains__(self, message_id: int) -> bool:
        return 0 < message_id < len(self._roles) and self._roles[message_id] != GONE

    def require(self, *ids: int) -> None:
        """Raise NotFound unless the tree holds every one."""
        for i in ids:
            self._known(i)

    def _known(self, message_id: int) -> int:
        if message_id in self:
            return message_id
        raise NotFound(f"There is no message {message_id} in this chat.")

    def pair_is_new(self, message_id: int) -> bool:
        """Whether no earlier message of the tree says the same after the same."""
        before = self.fingerprint_before(message_id)
        return not any(
            other < message_id and self.fingerprint_before(other) == before
            for other in self.ids_of(self._fingerprints[message_id])
        )

    def fingerprint_before(self, message_id: int) -> int | None:
        """The fingerprint of a message's parent, None at a root."""
        parent = self.parent(message_id)
        return None if parent is None else self._fingerprints[parent]


NO_TREE = TreeShape()
"""The shape of a tree that is not there."""


def load_shape(connection: sqlite3.Connection) -> TreeShape:
    """Read a tree's shape from its file."""
    shape = TreeShape()
    for row in connection.execute("SELECT id, parent, role, fingerprint, speaker FROM messages ORDER BY id"):
        shape.add(*row)
    for message_id, text in connection.execute("SELECT id, text FROM messages WHERE unsettled"):
        shape.add_unsettled(message_id, text)
    shape.add_glue(fingerprint for (fingerprint,) in connection.execute("SELECT fingerprint FROM glue"))
    return shape
