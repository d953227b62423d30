"""Reading what ranking knows of a tree from its file; what takes long to read is kept there for the next time."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from functools import cache
from hashlib import blake2b
from io import BytesIO
from pathlib import Path

import numpy as np

from memory import calls, glue
from memory import lines as in_memory
from memory.bulk import BulkMessage
from memory.files import transaction
from memory.lines import Told, TreeLines, told
from memory.ranking import reading, words
from memory.stored import NewMessage, Settled

KEPT_FROM = 1_000
"""Messages that must have been read for it to be worth keeping."""
KEPT_SHARE = 0.1
"""When more than this share of what is kept has come since, all is read and kept anew."""


def load_lines(connection: sqlite3.Connection) -> TreeLines:
    """What ranking knows of a tree's messages."""
    found = _kept(connection)
    if found is not None:
        lines, newest, unsettled = found
        since = _told(connection, newest, unsettled)
        if lines.takes(since) and len(since) < max(KEPT_FROM, KEPT_SHARE * newest):
            for one in since:
                lines.add(one)
            return lines
    everything = _told(connection)
    lines = TreeLines(everything)
    if len(everything) >= KEPT_FROM and not _emotions_are_due(connection):
        _keep(connection, lines, everything[-1].id)
    return lines


def told_of(message_id: int, new: NewMessage | BulkMessage, created_at: float) -> Told:
    """A message that was just stored, as it is added."""
    return told(
        message_id, new.role, new.speaker, new.text, new.unsettled, created_at, new.emotion, new.importance
    )


def with_more(
    lines: TreeLines | None, added: Sequence[Told], settled: Sequence[Settled] = ()
) -> TreeLines | None:
    """The lines, brought up to date; None where they have to be read anew, or have not been asked for."""
    if lines is None or not lines.takes(added, [said.id for said in settled]):
        return None
    for one in added:
        lines.add(one)
    for said in settled:
        lines.settle(said.id, said.text)
    return lines


def forget(connection: sqlite3.Connection, changed: int = 0) -> None:
    """Drop what is kept if it covers this message (or any); the caller holds the transaction."""
    connection.execute("DELETE FROM kept_lines WHERE newest >= ?", (changed,))


def _told(connection: sqlite3.Connection, after: int = 0, also: list[int] | None = None) -> list[Told]:
    rows = connection.execute(
        "SELECT id, role, speaker, text, unsettled, created_at, emotion, importance FROM messages "
        "WHERE id > ? OR id IN (SELECT value FROM json_each(?)) ORDER BY id",
        (after, json.dumps(also or [])),
    )
    return [told(*row) for row in rows]


def _kept(connection: sqlite3.Connection) -> tuple[TreeLines, int, list[int]] | None:
    """What is kept, the newest message it covers, and those it does not because they were unsettled."""
    row = connection.execute(
        "SELECT newest, unsettled, arrays FROM kept_lines WHERE format = ?", (_format(),)
    ).fetchone()
    if row is None:
        return None
    with np.load(BytesIO(row[2])) as arrays:
        return TreeLines.again(dict(arrays)), row[0], json.loads(row[1])


def _keep(connection: sqlite3.Connection, lines: TreeLines, newest: int) -> None:
    arrays = BytesIO()
    np.savez(arrays, **lines.kept())  # type: ignore[arg-type]  # numpy's stub takes the names for flags
    row = (_format(), newest, json.dumps(lines.unsettled), arrays.getbuffer())
    with transaction(connection):
        forget(connection)
        connection.execute("INSERT INTO kept_lines VALUES (?, ?, ?, ?)", row)


def _emotions_are_due(connection: sqlite3.Connection) -> bool:
    row = connection.execute("SELECT 1 FROM outbox WHERE kind = 'read_emotion' LIMIT 1").fetchone()
    return row is not None


@cache
def _format() -> str:
    """Names the code that read the messages: what other code read is not taken for its own."""
    code = blake2b(digest_size=16)
    for module in (calls, glue, in_memory, reading, words):
        code.update(Path(module.__file__ or "").read_bytes())
    return code.hexdigest()
