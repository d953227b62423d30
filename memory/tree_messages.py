"""The messages of one tree as its file has them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Any

from graph.errors import NotFound
from memory.stored import Message

_COLUMNS = (
    "id, parent, role, speaker, text, fingerprint, emotion, confidence, importance, turn_id, created_at, "
    "unsettled"
)
_NAMES = _COLUMNS.split(", ")


def load_messages(connection: sqlite3.Connection, ids: Sequence[int]) -> list[Message]:
    """In the order asked; raises NotFound for an unknown id."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM messages WHERE id IN (SELECT value FROM json_each(?))",
        (json.dumps(list(ids)),),
    )
    found = {row[0]: _message(row) for row in rows}
    for i in ids:
        if i not in found:
            raise NotFound(f"There is no message {i} in this chat.")
    return [found[i] for i in ids]


def _message(row: Sequence[object]) -> Message:
    columns: dict[str, Any] = dict(zip(_NAMES, row, strict=True))  # Any: the columns' types
    columns["unsettled"] = bool(columns["unsettled"])
    return Message(**columns)


def stored_at(connection: sqlite3.Connection, ids: Sequence[int] | None) -> list[tuple[int, float]]:
    """Id and time of storing of these messages, or of all, in order of id."""
    which = "" if ids is None else "WHERE id IN (SELECT value FROM json_each(?))"
    given = () if ids is None else (json.dumps(list(ids)),)
    return connection.execute(f"SELECT id, created_at FROM messages {which} ORDER BY id", given).fetchall()


def next_id(connection: sqlite3.Connection) -> int:
    """Ids are never used twice, also after a removal."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'messages'").fetchone()
    return int(row[0]) + 1 if row else 1


def set_emotion(
    connection: sqlite3.Connection, message_id: int, emotion: str, confidence: float, importance: float
) -> bool:
    """Store what a message was found to feel; whether it is still there."""
    changed = connection.execute(
        "UPDATE messages SET emotion = ?, confidence = ?, importance = ?, emotion_known = 1 WHERE id = ?",
        (emotion, confidence, importance, message_id),
    )
    return changed.rowcount > 0
