"""What ranking knows of a tree's messages, in RAM: who spoke, when, what a message holds, and its words."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from sys import intern
from typing import Any

import numpy as np
import numpy.typing as npt

from memory.calls import Calls
from memory.glue import said_in
from memory.path import Path
from memory.ranking.reading import Holds, holds, names_in
from memory.ranking.words import Floats, Postings, WordIndex
from memory.rows import Ids, stored_ids

Array = npt.NDArray[Any]
"""Any: of whatever kind a column is."""
POSTINGS = ("offsets", "refs", "counts", "lengths")

NOBODY = -1
"""The speaker of a message that is not there."""


@dataclass(frozen=True, slots=True)
class Told:
    """A message as it is added; `text` is what it certainly says."""

    id: int
    role: str
    speaker: str
    text: str
    created_at: float
    emotion: str
    importance: float
    unsettled: bool = False


def told(
    message_id: int,
    role: str,
    speaker: str,
    text: str,
    unsettled: bool,
    created_at: float,
    emotion: str,
    importance: float,
) -> Told:
    """A message as it is stored, as it is added."""
    said = said_in(text, speaker, is_certain=not unsettled)
    return Told(message_id, role, speaker, said, created_at, emotion, importance, bool(unsettled))


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """What is known of messages besides their words, one entry each."""

    speaker: npt.NDArray[np.int32]
    """A number of each speaker; -1 where there is no such message (any more)."""
    holds: npt.NDArray[np.uint8]
    """`ranking.reading.Holds` of each."""
    length: npt.NDArray[np.int32]
    """Words of each."""
    created_at: npt.NDArray[np.float64]
    """Unix seconds."""
    user: npt.NDArray[np.bool_]
    """Whether its role is `user`."""
    emotion: npt.NDArray[np.int16]
    """Index into `TreeLines.emotions`."""
    importance: npt.NDArray[np.float32]

    @staticmethod
    def blank(n: int) -> Columns:
        """Of no messages."""
        return Columns(
            speaker=np.full(n, NOBODY, np.int32),
            holds=np.zeros(n, np.uint8),
            length=np.zeros(n, np.int32),
            created_at=np.zeros(n, np.float64),
            user=np.zeros(n, np.bool_),
            emotion=np.zeros(n, np.int16),
            importance=np.zeros(n, np.float32),
        )

    def at(self, which: slice | Ids) -> Columns:
        """Those entries, copied."""
        return Columns(**{name: column[which].copy() for name, column in self.named.items()})

    def and_more(self, n: int) -> Columns:
        """These and n blank entries."""
        more = Columns.blank(n).named
        return Columns(**{name: np.concatenate([column, more[name]]) for name, column in self.named.items()})

    @property
    def named(self) -> dict[str, Array]:
        """The columns by name."""
        return {column.name: getattr(self, column.name) for column in fields(Columns)}


@dataclass(frozen=True, slots=True, eq=False)
class PathLines(Columns):
    """The stored messages of a path, N of them, in its order; `speaker` are indices into `names`."""

    ids: Ids
    names: Sequence[str]
    """Of those who speak on the path, in order of their first message there; empty for a role without names."""


class TreeLines:
    """Grows with every commit; any thread may look. About 30 bytes a message and 6 a word."""

    def __init__(self, told: Sequence[Told] = ()) -> None:
        """From all messages there are."""
        self._lock = threading.Lock()
        self._speakers: dict[tuple[str, str], int] = {}
        """Numbered by name, and by role where they have none."""
        self.emotions: list[str] = ["neutral"]
        self._open: dict[int, str] = {}
        """The indexed text of unsettled messages, which were not there when the index was built."""
        self._columns = Columns.blank(max((one.id for one in told), default=0) + 1)
        self._words = WordIndex(Postings.of((one.id, one.text) for one in told if not one.unsettled))
        for one in told:
            self._speaker(one)
        self._calls = Calls(self._names)
        for one in told:
            self._note(one)

    @classmethod
    def again(cls, kept: Mapping[str, Array]) -> TreeLines:
        """What `kept` gave; the messages that were unsettled then are missing and to be added."""
        lines = cls()
        named = json.loads(kept["named"].tobytes())
        lines.emotions = named["emotions"]
        lines._speakers = {(name, role): number for number, (name, role) in enumerate(named["speakers"])}
        lines._calls = Calls.again(lines._names, kept["calls"])
        lines._columns = Columns(**{column.name: kept[column.name] for column in fields(Columns)})
        terms = {intern(term): number for number, term in enumerate(named["terms"])}
        lines._words = WordIndex(Postings(terms, *(kept[name] for name in POSTINGS)))
        return lines

    def kept(self) -> dict[str, Array]:
        """Everything that it was made with, for `again`; what was added since is left out."""
        built = self._words.built
        named = {
            "emotions": self.emotions,
            "speakers": list(self._speakers),
            "terms": list(built.terms),
        }
        postings = {name: getattr(built, name) for name in POSTINGS}
        return {
            "named": np.frombuffer(json.dumps(named).encode(), np.uint8),
            **self._columns.named,
            **postings,
            "calls": self._calls.kept(but=self._open),
        }

    @property
    def unsettled(self) -> list[int]:
        """The messages of which only a part certainly was said."""
        return list(self._open)

    def names(self, path: Path) -> list[str]:
        """Of those who speak on a path, as in `PathLines`."""
        with self._lock:
            return self._named(self._speaking(path))

    def of(self, path: Path, whole: Path | None = None) -> PathLines:
        """The stored messages of a path; who speaks is told of the `whole` path where it is part of one.

        The names of those who speak on it are no news in a message, the names of all others are.
        """
        ids = stored_ids(path)
        with self._lock:
            rows = self._rows(path, ids)
            columns = self._columns.at(rows)
            speaking = self._speaking(whole or path)
            names = self._named(speaking)
            columns.holds[self._calls.of_others(names, len(self._columns.speaker))[rows]] |= int(Holds.NAME)
            place = np.full(len(self._speakers) + 1, NOBODY, np.int32)
        place[speaking] = np.arange(len(speaking))
        columns.speaker[:] = place[columns.speaker]
        return PathLines(ids=ids, names=names, **columns.named)

    def _rows(self, path: Path, ids: Ids) -> slice | Ids:
        """Where the stored messages of a path stand in the columns."""
        known = len(self._columns.speaker)
        in_one_run = len(path.ranges) == 1 and len(ids) > 0 and ids[-1] < known
        return slice(ids[0], ids[-1] + 1) if in_one_run else np.where(ids < known, ids, 0)

    def _speaking(self, path: Path) -> npt.NDArray[np.intp]:
        """The numbers of those who speak on a path, in order of their first message there."""
        speaker = self._columns.speaker[self._rows(path, stored_ids(path))]
        first = np.full(len(self._speakers) + 1, len(speaker), np.int32)
        first[speaker[::-1]] = np.arange(len(speaker), dtype=np.int32)[::-1]
        first[NOBODY] = len(speaker)
        order = np.argsort(first, kind="stable")
        return order[first[order] < len(speaker)]

    @property
    def _names(self) -> list[str]:
        return [name for name, _ in self._speakers]

    def _named(self, numbers: npt.NDArray[np.intp]) -> list[str]:
        names = self._names
        return [names[number] for number in numbers.tolist()]

    def impacts(self, terms: Sequence[str], path: Path) -> tuple[Floats, Floats]:
        """Shapes (terms, N) and (terms,), see `WordIndex.impacts`."""
        ids = stored_ids(path)
        with self._lock:
            return self._words.impacts(terms, ids)

    def takes(self, added: Iterable[Told], settled: Iterable[int] = ()) -> bool:
        """Whether these can be added and settled; otherwise everything has to be read anew.

        With a new speaker its name is no news in any message, and only what is unsettled is settled.
        """
        spoken = all(_who(one) in self._speakers for one in added)
        return spoken and all(i in self._open for i in settled)

    def add(self, told: Told) -> None:
        """Add a message, once."""
        with self._lock:
            if told.id >= len(self._columns.speaker):
                self._columns = self._columns.and_more(max(len(self._columns.speaker), told.id))
            if not told.unsettled:
                self._words.add(told.id, told.text)
            self._note(told)

    def settle(self, message_id: int, text: str) -> None:
        """An unsettled message's text is known now."""
        with self._lock:
            said = said_in(text, self._names[self._columns.speaker[message_id]], is_certain=True)
            self._words.remove(message_id, self._open.pop(message_id))
            self._words.add(message_id, said)
            self._calls.remove(message_id)
            self._read(message_id, said)

    def feel(self, message_id: int, emotion: str, importance: float) -> None:
        """A message's emotion is known now."""
        with self._lock:
            self._columns.emotion[message_id] = self._emotion(emotion)
            self._columns.importance[message_id] = importance

    def _note(self, told: Told) -> None:
        if told.unsettled:
            self._open[told.id] = told.text
            self._words.add(told.id, told.text)
        columns, i = self._columns, told.id
        columns.speaker[i] = self._speaker(told)
        columns.created_at[i] = told.created_at
        columns.user[i] = told.role == "user"
        columns.emotion[i], columns.importance[i] = self._emotion(told.emotion), told.importance
        self._read(i, told.text)

    def _read(self, message_id: int, text: str) -> None:
        self._columns.holds[message_id] = int(holds(text, self._calls.add(message_id, names_in(text))))
        self._columns.length[message_id] = len(text.split())

    def _speaker(self, told: Told) -> int:
        return self._speakers.setdefault(_who(told), len(self._speakers))

    def _emotion(self, label: str) -> int:
        if label not in self.emotions:
            self.emotions.append(label)
        return self.emotions.index(label)


def _who(told: Told) -> tuple[str, str]:
    return told.speaker, "" if told.speaker else told.role
