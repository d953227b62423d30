"""Removing a session from a tree, with every message that no other session needs."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from memory import tree_outbox, tree_summaries
from memory.path import Path
from memory.tree_sessions import Line


def remove_session(connection: sqlite3.Connection, line: Line, others: Sequence[Line]) -> list[int]:
    """Remove the session's row and messages; the ids of the messages removed.

    Needed is what stands on another session's path, and what another session that still is there stored (its
    swiped and hidden messages). The caller holds the transaction.
    """
    paths = [other.session.path for other in others]
    living = {other.number for other in others}
    removed = [
        message_id
        for message_id, stored_by in connection.execute("SELECT id, session FROM messages ORDER BY id")
        if stored_by not in living and not any(message_id in path for path in paths)
    ]
    connection.executemany("DELETE FROM messages WHERE id = ?", [(i,) for i in removed])
    connection.execute("DELETE FROM sessions WHERE number = ?", (line.number,))
    tree_outbox.forget_messages(connection, removed)
    gone = set(removed)
    tree_summaries.remove(
        connection,
        [s.id for s in tree_summaries.load(connection) if not gone.isdisjoint(Path(s.over))],
    )
    return removed
