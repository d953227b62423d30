"""One open tree: its SQLite file, and its shape and sessions in RAM. Everything here blocks."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path as FilePath
from typing import Any

from graph.errors import NotFound
from memory import tree_bulk, tree_cards, tree_outbox, tree_summaries
from memory.bulk import BulkDone, BulkMessage, BulkWrite, TreeOutline
from memory.files import open_database, transaction
from memory.lines import Told, TreeLines, told
from memory.path import Path, Ranges
from memory.schema import TREE_MIGRATIONS, TREE_SCHEMA, TREE_VERSION
from memory.transcript import (
    Card,
    CardChunk,
    Job,
    Message,
    NewMessage,
    Session,
    Settled,
    Summary,
    TreeKey,
    TurnWrite,
)
from memory.tree_lines import forget, load_lines
from memory.tree_removal import remove_session
from memory.tree_shape import TreeShape, load_shape
from memory.tree_turn import Line, lay, next_session, settle, write_turn

_MESSAGE = (
    "id, parent, role, speaker, text, fingerprint, emotion, confidence, importance, turn_id, created_at, "
    "unsettled"
)
_SESSION = (
    "session_id, chat_id, character, user_name, version, forked_from, created_at, updated_at, history_from, "
    "left_behind, is_group, path, number, last_turn_id, last_turn"
)


@dataclass(frozen=True, slots=True)
class Applied:
    """What a commit changed."""

    line: Line
    sessions: list[Session]
    added: list[int]
    """Ids of the messages stored anew."""


class TreeFile:
    """Used by one thread at a time (`memory.open_trees`); what is in RAM changes only after a commit."""

    def __init__(self, path: FilePath, key: TreeKey, clock: Callable[[], float] = time.time) -> None:
        self.path = path
        self.key = key
        self.closed = False
        self._clock = clock
        self.shape: TreeShape | None = None
        """None: not loaded yet."""
        self.tree_lines: TreeLines | None = None
        """None: not asked for yet."""
        self.lines: dict[str, Line] = {}
        self._summaries: list[Summary] | None = None
        self._connection = open_database(path, TREE_SCHEMA, TREE_VERSION, TREE_MIGRATIONS)
        self._read_meta()

    def _read_meta(self) -> None:
        with transaction(self._connection):
            self._connection.executemany(
                "INSERT OR IGNORE INTO meta VALUES (?, ?)",
                [("owner", self.key.owner), ("tree_id", self.key.tree_id), ("revision", "0")],
            )
        self.revision = int(
            self._connection.execute("SELECT value FROM meta WHERE name = 'revision'").fetchone()[0]
        )
        self.lines = {line.session.session_id: line for line in _lines(self._connection, self.key)}

    def loaded_shape(self) -> TreeShape:
        if self.shape is None:
            self.shape = load_shape(self._connection)
        return self.shape

    def loaded_tree_lines(self) -> TreeLines:
        if self.tree_lines is None:
            self.tree_lines = load_lines(self._connection)
        return self.tree_lines

    def messages(self, ids: Sequence[int]) -> list[Message]:
        """In the order asked; raises NotFound for an unknown id."""
        rows = self._connection.execute(
            f"SELECT {_MESSAGE} FROM messages WHERE id IN (SELECT value FROM json_each(?))",
            (json.dumps(list(ids)),),
        )
        found = {row[0]: _message(row) for row in rows}
        for i in ids:
            if i not in found:
                raise NotFound(f"There is no message {i} in this chat.")
        return [found[i] for i in ids]

    def commit(self, write: TurnWrite) -> Applied:
        """Apply a turn; again it changes nothing, unless it had another outcome (a run that was rewound)."""
        old = self.lines.get(write.session_id)
        shape = self.loaded_shape()
        turn = lay(write, shape, self._next_id())
        again = old is not None and bool(write.turn_id) and old.last_turn_id == write.turn_id
        if old is not None and again and not turn.added and turn.laid.ranges == old.session.path.ranges:
            return Applied(old, [], [])
        session = next_session(write, turn, old.session if old else None, self._clock())
        with self._change():
            line = write_turn(self._connection, write, turn, session)
            settle(self._connection, write, session.updated_at)
            behind = self._leave_behind(write) if old is None else None
        for added in turn.added.values():
            shape.add(added.id, added.parent, added.message.role, added.message.fingerprint)
            if added.message.unsettled:
                shape.add_unsettled(added.id, added.message.text)
        for said in write.settled:
            shape.settle(said.id, said.fingerprint)
        shape.add_glue(write.glue)
        self._tell((_told(a.id, a.message, session.updated_at) for a in turn.added.values()), write.settled)
        changed = [line] if behind is None else [behind, line]
        self.lines |= {c.session.session_id: c for c in changed}
        return Applied(line, [c.session for c in changed], [added.id for added in turn.added.values()])

    def absorb(self, write: BulkWrite) -> tuple[BulkDone, Applied | None]:
        """Apply a bulk write; None as well when nothing of it was new."""
        shape = self.loaded_shape()
        laid = tree_bulk.lay_bulk(write, shape, self._next_id())
        sessions = []
        for given in write.sessions:
            old = self.lines.get(given.session_id)
            session = tree_bulk.next_line(self.key, given, laid, old.session if old else None)
            sessions += [] if session is None else [(given, session)]
        beside = write.cards or write.summaries or write.glue or write.settled
        if not sessions and not laid.added and not beside:
            return BulkDone(laid.ids), None
        numbers = {line.session.session_id: line.number for line in self.lines.values()}
        with self._change():
            lines = tree_bulk.write_bulk(self._connection, write, laid, sessions, numbers, self._clock())
            settle(self._connection, write, self._clock())
        for placed in laid.added:
            shape.add(placed.id, placed.parent, placed.message.role, placed.message.fingerprint)
            if placed.message.unsettled:
                shape.add_unsettled(placed.id, placed.message.text)
        for said in write.settled:
            shape.settle(said.id, said.fingerprint)
        shape.add_glue(write.glue)
        self._tell((_told(p.id, p.message, p.message.created_at) for p in laid.added), write.settled)
        self.lines |= {line.session.session_id: line for line in lines}
        self._summaries = None
        changed = [line.session for line in lines]
        applied = Applied(self.lines[write.sessions[0].session_id], changed, [p.id for p in laid.added])
        return BulkDone(laid.ids, {p.id for p in laid.added}, changed, len(write.settled)), applied

    def _tell(self, added: Iterable[Told], settled: Sequence[Settled] = ()) -> None:
        """Bring what ranking knows up to date, if it has been asked for."""
        new = list(added)
        if self.tree_lines is None or not self.tree_lines.takes(new, [said.id for said in settled]):
            self.tree_lines = None
            return
        for one in new:
            self.tree_lines.add(one)
        for said in settled:
            self.tree_lines.settle(said.id, said.text)

    def dump(self, after: int, limit: int) -> list[BulkMessage]:
        return tree_bulk.read_messages(self._connection, after, limit)

    def outline(self) -> TreeOutline:
        return tree_bulk.outline(self._connection, self.lines.values())

    def _leave_behind(self, write: TurnWrite) -> Line | None:
        """Mark the line that a fork without an id leaves; one that has an id is found by it."""
        line = self.lines.get(write.forked_from)
        if line is None or write.chat_id or line.session.chat_id:
            return None
        self._connection.execute("UPDATE sessions SET left_behind = 1 WHERE number = ?", (line.number,))
        return replace(line, session=replace(line.session, left_behind=True))

    def _next_id(self) -> int:
        """Ids are never used twice, also after a removal."""
        row = self._connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'messages'").fetchone()
        return int(row[0]) + 1 if row else 1

    @contextmanager
    def _change(self) -> Iterator[None]:
        """A transaction that makes the tree newer than what the catalog knows of it."""
        with transaction(self._connection):
            yield
            self._connection.execute(
                "UPDATE meta SET value = ? WHERE name = 'revision'", (str(self.revision + 1),)
            )
        self.revision += 1

    def remove(self, session_id: str) -> list[int]:
        """Remove a session that is not the last, and the messages only it needs; their ids."""
        line = self.lines[session_id]
        others = [other for other in self.lines.values() if other is not line]
        self._connection.execute("PRAGMA secure_delete=ON")
        with self._change():
            removed = remove_session(self._connection, line, others)
            forget(self._connection)
        self.empty_journal()
        self._connection.execute("PRAGMA secure_delete=OFF")
        del self.lines[session_id]
        self.shape, self.tree_lines, self._summaries = None, None, None
        return removed

    def card(self, name: str) -> Card | None:
        return tree_cards.latest(self._connection, name)

    def card_chunks(self, ids: Sequence[int]) -> list[CardChunk]:
        return tree_cards.chunks(self._connection, ids)

    def summaries(self, path: Path) -> list[Summary]:
        if self._summaries is None:
            self._summaries = tree_summaries.load(self._connection)
        return tree_summaries.standing(self._summaries, path)

    def add_summary(self, over: Ranges, text: str, source: str, job_id: int) -> None:
        with transaction(self._connection):
            added = tree_summaries.add(self._connection, over, text, source, self._clock())
            tree_outbox.finish(self._connection, [job_id])
        if self._summaries is not None:
            self._summaries.append(added)

    def set_emotion(self, message_id: int, emotion: str, confidence: float, importance: float) -> None:
        with transaction(self._connection):
            changed = self._connection.execute(
                "UPDATE messages SET emotion = ?, confidence = ?, importance = ?, emotion_known = 1 "
                "WHERE id = ?",
                (emotion, confidence, importance, message_id),
            ).rowcount
            forget(self._connection, message_id)
        if changed and self.tree_lines is not None:
            self.tree_lines.feel(message_id, emotion, importance)

    def enqueue_summary(self, session_id: str, over: Ranges) -> int:
        with transaction(self._connection):
            return tree_outbox.enqueue_summary(self._connection, session_id, over, self._clock())

    def jobs(self, limit: int, now: float) -> list[Job]:
        return tree_outbox.due(self._connection, limit, now)

    def finish_jobs(self, job_ids: Sequence[int]) -> None:
        with transaction(self._connection):
            tree_outbox.finish(self._connection, job_ids)

    def postpone_job(self, job_id: int, due_at: float, reason: str) -> None:
        tree_outbox.postpone(self._connection, job_id, due_at, reason)

    def enqueue_all(self) -> int:
        with transaction(self._connection):
            return tree_outbox.enqueue_all(self._connection, self._clock())

    def outbox_is_empty(self) -> bool:
        return tree_outbox.is_empty(self._connection)

    def empty_journal(self) -> None:
        """Move everything into the file itself; a hundred open chats would hold a journal each."""
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def stored_at(self, ids: Sequence[int] | None = None) -> list[tuple[int, float]]:
        """Id and time of storing of these messages, or of all, in order of id."""
        which = "" if ids is None else "WHERE id IN (SELECT value FROM json_each(?))"
        given = () if ids is None else (json.dumps(list(ids)),)
        return self._connection.execute(
            f"SELECT id, created_at FROM messages {which} ORDER BY id", given
        ).fetchall()

    def close(self) -> None:
        self.closed = True
        self._connection.close()


def _lines(connection: sqlite3.Connection, key: TreeKey) -> Iterator[Line]:
    """Every session of the tree."""
    for row in connection.execute(f"SELECT {_SESSION} FROM sessions ORDER BY number"):
        columns = dict(zip(_names(_SESSION), row, strict=True))
        last = json.loads(columns.pop("last_turn"))
        number, turn_id = columns.pop("number"), columns.pop("last_turn_id")
        columns |= {name: bool(columns[name]) for name in ("left_behind", "is_group")}
        columns["path"] = Path(json.loads(columns["path"]))
        yield Line(
            Session(key=key, was_live=bool(turn_id), **columns), number, turn_id, last["new"], last["replies"]
        )


def _told(message_id: int, m: NewMessage | BulkMessage, created_at: float) -> Told:
    return told(message_id, m.role, m.speaker, m.text, m.unsettled, created_at, m.emotion, m.importance)


def _message(row: Sequence[object]) -> Message:
    columns: dict[str, Any] = dict(zip(_names(_MESSAGE), row, strict=True))  # Any: the columns' types
    columns["unsettled"] = bool(columns["unsettled"])
    return Message(**columns)


@cache
def _names(columns: str) -> list[str]:
    return columns.split(", ")
