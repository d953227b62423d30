"""What ranking knows of a tree's messages, in RAM: who spoke, when, what a message holds, and its words."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from memory.glue import paragraphs
from memory.path import Path
from memory.ranking.reading import holds
from memory.ranking.words import Floats, WordIndex
from memory.rows import Ids, stored_ids

NOBODY = -1
"""The speaker of a message that is not there."""

_RECORD = np.dtype(
    [
        ("created_at", "f8"),
        ("speaker", "i4"),
        ("length", "i4"),
        ("importance", "f4"),
        ("emotion", "i2"),
        ("holds", "u1"),
        ("user", "?"),
    ]
)


@dataclass(frozen=True, slots=True)
class PathLines:
    """The stored messages of a path, N of them, one entry each in its order; the arrays are copies."""

    ids: Ids
    speaker: npt.NDArray[np.int32]
    """Index into `TreeLines.names`; -1 where the message was removed meanwhile."""
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


class TreeLines:
    """Grows with every commit; any thread may look. About 100 bytes a message and 10 a word."""

    def __init__(self, speakers: Sequence[tuple[str, str]] = ()) -> None:
        """`speakers`: role and name of all who spoke so far; names among them are no news in a message."""
        self._lock = threading.Lock()
        self._words = WordIndex()
        self._records = _blank(64)
        self._speakers: dict[str, int] = {}
        self.names: list[str] = []
        """Of the speakers; empty for a role whose messages carry no name."""
        self.emotions: list[str] = ["neutral"]
        self._open: dict[int, str] = {}
        """The indexed text of unsettled messages."""
        for role, name in speakers:
            self._speaker(role, name)

    def of(self, path: Path) -> PathLines:
        """The stored messages of a path."""
        ids = stored_ids(path)
        with self._lock:
            told = self._records[np.where(ids < len(self._records), ids, 0)]
        names = ("speaker", "holds", "length", "created_at", "user", "emotion", "importance")
        return PathLines(ids, *(np.ascontiguousarray(told[name]) for name in names))

    def impacts(self, terms: Sequence[str], path: Path) -> tuple[Floats, Floats]:
        """Shapes (terms, N) and (terms,), see `WordIndex.impacts`; repeated terms count once."""
        ids = stored_ids(path)
        with self._lock:
            return self._words.impacts(terms, ids)

    def takes(self, added: Iterable[Told], settled: Iterable[int] = ()) -> bool:
        """Whether these can be added and settled; otherwise everything has to be read anew.

        With a new speaker its name is no news in any message, and only what is unsettled is settled.
        """
        spoken = all((told.speaker or told.role) in self._speakers for told in added)
        return spoken and all(i in self._open for i in settled)

    def add(self, told: Told) -> None:
        """Add a message, once."""
        with self._lock:
            self._make_room(told.id)
            if told.unsettled:
                self._open[told.id] = told.text
            self._words.add(told.id, told.text)
            self._records[told.id] = (
                told.created_at,
                self._speaker(told.role, told.speaker),
                len(told.text.split()),
                told.importance,
                self._emotion(told.emotion),
                int(holds(told.text, self.names)),
                told.role == "user",
            )

    def settle(self, message_id: int, text: str) -> None:
        """An unsettled message's text is known now."""
        with self._lock:
            self._words.remove(message_id, self._open.pop(message_id))
            self._words.add(message_id, text)
            record = self._records[message_id : message_id + 1]
            record["length"], record["holds"] = len(text.split()), int(holds(text, self.names))

    def feel(self, message_id: int, emotion: str, importance: float) -> None:
        """A message's emotion is known now."""
        with self._lock:
            record = self._records[message_id : message_id + 1]
            record["emotion"], record["importance"] = self._emotion(emotion), importance

    def _speaker(self, role: str, name: str) -> int:
        if (name or role) not in self._speakers:
            self.names.append(name)
        return self._speakers.setdefault(name or role, len(self._speakers))

    def _emotion(self, label: str) -> int:
        if label not in self.emotions:
            self.emotions.append(label)
        return self.emotions.index(label)

    def _make_room(self, message_id: int) -> None:
        if message_id >= len(self._records):
            self._records = np.concatenate([self._records, _blank(max(len(self._records), message_id + 1))])


def _blank(n: int) -> npt.NDArray[np.void]:
    blank = np.zeros(n, _RECORD)
    blank["speaker"] = NOBODY
    return blank


def load_lines(connection: sqlite3.Connection) -> TreeLines:
    """Read what ranking knows of a tree from its file."""
    lines = TreeLines(connection.execute("SELECT DISTINCT role, speaker FROM messages").fetchall())
    rows = connection.execute(
        "SELECT id, role, speaker, text, created_at, emotion, importance, unsettled FROM messages ORDER BY id"
    )
    for i, role, speaker, text, at, emotion, weight, unsettled in rows:
        said = paragraphs(text)[0] if unsettled else text
        lines.add(Told(i, role, speaker, said, at, emotion, weight, bool(unsettled)))
    return lines
