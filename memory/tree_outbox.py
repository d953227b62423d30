"""The outbox of one tree: what follows from a turn and is done after it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence

from memory.path import Ranges
from memory.stored import Job, JobKind

RANK: dict[JobKind, int] = {"embed_message": 0, "embed_card": 0, "read_emotion": 1, "summarise": 2}
_INSERT = "INSERT INTO outbox(rank, kind, ref, payload, due_at) VALUES (?, ?, ?, ?, ?)"


def enqueue(
    connection: sqlite3.Connection, kind: JobKind, refs: Iterable[int], now: float, payload: str = "{}"
) -> None:
    """Add a job for each ref, due at once."""
    connection.executemany(_INSERT, [(RANK[kind], kind, ref, payload, now) for ref in refs])


def enqueue_summary(connection: sqlite3.Connection, session_id: str, over: Ranges, now: float) -> int:
    """Add a `summarise` job unless an equal one waits; its id."""
    payload = json.dumps({"session_id": session_id, "over": over})
    waiting = connection.execute(
        "SELECT id FROM outbox WHERE ref = ? AND kind = 'summarise' AND payload = ?", (over[0][0], payload)
    ).fetchone()
    if waiting:
        return int(waiting[0])
    row = (RANK["summarise"], "summarise", over[0][0], payload, now)
    added = connection.execute(_INSERT + " RETURNING id", row).fetchone()
    return int(added[0])


def due(connection: sqlite3.Connection, limit: int, now: float) -> list[Job]:
    """The due jobs, embeddings first, oldest first."""
    rows = connection.execute(
        "SELECT id, kind, ref, payload, attempts, due_at FROM outbox WHERE due_at <= ? "
        "ORDER BY rank, id LIMIT ?",
        (now, limit),
    )
    return [Job(i, kind, ref, json.loads(payload), tries, at) for i, kind, ref, payload, tries, at in rows]


def finish(connection: sqlite3.Connection, job_ids: Sequence[int]) -> None:
    connection.executemany("DELETE FROM outbox WHERE id = ?", [(i,) for i in job_ids])


def postpone(connection: sqlite3.Connection, job_id: int, due_at: float, reason: str) -> None:
    connection.execute(
        "UPDATE outbox SET attempts = attempts + 1, due_at = ?, reason = ? WHERE id = ?",
        (due_at, reason, job_id),
    )


def is_empty(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM outbox LIMIT 1").fetchone() is None


def forget_messages(connection: sqlite3.Connection, message_ids: Iterable[int]) -> None:
    """Drop the jobs of messages that are removed; summaries are dropped by their path."""
    connection.executemany(
        "DELETE FROM outbox WHERE ref = ? AND kind IN ('embed_message', 'read_emotion')",
        [(i,) for i in message_ids],
    )


def enqueue_all(connection: sqlite3.Connection, now: float) -> int:
    """Add embeddings of every message and card that has none waiting; how many."""
    before = connection.total_changes
    missing = "NOT EXISTS (SELECT 1 FROM outbox WHERE kind = ? AND outbox.ref = {}.id)"
    connection.execute(
        "INSERT INTO outbox(rank, kind, ref, payload, due_at) "
        f"SELECT 0, 'embed_message', id, '{{}}', ? FROM messages WHERE {missing.format('messages')}",
        (now, "embed_message"),
    )
    connection.execute(
        "INSERT INTO outbox(rank, kind, ref, payload, due_at) SELECT 0, 'embed_card', id, "
        "(SELECT json_object('chunks', json_group_array(id)) FROM card_chunks WHERE card = cards.id), ? "
        f"FROM cards WHERE {missing.format('cards')}",
        (now, "embed_card"),
    )
    return connection.total_changes - before
