"""The sessions of one tree as its file has them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from memory.path import Path
from memory.stored import Committed, Session, TreeKey

_COLUMNS = (
    "session_id, chat_id, character, user_name, version, forked_from, created_at, updated_at, history_from, "
    "window_from, window_tokens, left_behind, is_group, person, avatar, path, number, last_turn_id, last_turn"
)
_NAMES = _COLUMNS.split(", ")


@dataclass(frozen=True, slots=True)
class Line:
    """A session as its file has it, with what makes its last turn repeatable."""

    session: Session
    number: int
    last_turn_id: str
    last_new: list[int]
    last_replies: list[int]

    @property
    def committed(self) -> Committed:
        return Committed(self.session.version, self.session.path, self.last_new, self.last_replies)


def load_sessions(connection: sqlite3.Connection, key: TreeKey) -> Iterator[Line]:
    """Every session of the tree, in the order of their first turns."""
    for row in connection.execute(f"SELECT {_COLUMNS} FROM sessions ORDER BY number"):
        columns = dict(zip(_NAMES, row, strict=True))
        last = json.loads(columns.pop("last_turn"))
        number, turn_id = columns.pop("number"), columns.pop("last_turn_id")
        columns |= {name: bool(columns[name]) for name in ("left_behind", "is_group")}
        columns["path"] = Path(json.loads(columns["path"]))
        session = Session(key=key, was_live=bool(turn_id), **columns)
        yield Line(session, number, turn_id, last["new"], last["replies"])


def save_session(
    connection: sqlite3.Connection,
    session: Session,
    turn_id: str,
    new_ids: Sequence[int],
    reply_ids: Sequence[int],
) -> Line:
    """Insert or update a session's row."""
    last_turn = {"new": list(new_ids), "replies": list(reply_ids)}
    row = connection.execute(
        """INSERT INTO sessions(session_id, chat_id, character, user_name, version, forked_from, left_behind,
            is_group, person, avatar, path, history_from, window_from, window_tokens, last_turn_id, last_turn,
            created_at, updated_at)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT(session_id) DO UPDATE SET chat_id = excluded.chat_id, character = excluded.character,
            user_name = excluded.user_name, version = excluded.version, left_behind = excluded.left_behind,
            is_group = excluded.is_group, person = excluded.person, avatar = excluded.avatar,
            path = excluded.path, history_from = excluded.history_from, window_from = excluded.window_from,
            window_tokens = excluded.window_tokens,
            last_turn_id = excluded.last_turn_id, last_turn = excluded.last_turn,
            updated_at = excluded.updated_at
        RETURNING number""",
        (
            session.session_id,
            session.chat_id,
            session.character,
            session.user_name,
            session.version,
            session.forked_from,
            session.left_behind,
            session.is_group,
            session.person,
            session.avatar,
            json.dumps(session.path.ranges, separators=(",", ":")),
            session.history_from,
            session.window_from,
            session.window_tokens,
            turn_id,
            json.dumps(last_turn, separators=(",", ":")),
            session.created_at,
            session.updated_at,
        ),
    ).fetchone()
    return Line(session, row[0], turn_id, list(new_ids), list(reply_ids))


def leave_behind(connection: sqlite3.Connection, line: Line) -> Line:
    """Mark a line that a fork leaves."""
    connection.execute("UPDATE sessions SET left_behind = 1 WHERE number = ?", (line.number,))
    return replace(line, session=replace(line.session, left_behind=True))
