"""The checkpointer: opened, pruned, and cleaned of what a failed run wrote.

Checkpoints are for looking and rewinding, never memory. Their ids are time-ordered (uuid6): later is greater.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiosqlite
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from graph.recalled import TABLE, NotingSaver

TABLES = ("checkpoints", "writes", "recalled")


@asynccontextmanager
async def open_checkpointer(path: Path) -> AsyncIterator[AsyncSqliteSaver]:
    """Open the SQLite checkpointer at `path`; its durability is that of WAL with synchronous=NORMAL."""
    async with aiosqlite.connect(path) as connection:
        await connection.execute("PRAGMA journal_mode=WAL")
        await connection.execute("PRAGMA synchronous=NORMAL")
        await connection.execute("PRAGMA secure_delete=ON")
        saver = NotingSaver(connection)
        await saver.setup()
        await connection.execute(TABLE)
        yield saver


async def latest(saver: AsyncSqliteSaver, thread_id: str) -> str | None:
    """The id of a thread's newest checkpoint, or None for an unknown thread."""
    async with (
        saver.lock,
        saver.conn.execute(
            "SELECT max(checkpoint_id) FROM checkpoints WHERE thread_id = ?", (thread_id,)
        ) as rows,
    ):
        row = await rows.fetchone()
    return row[0] if row else None


async def forget_after(saver: AsyncSqliteSaver, thread_id: str, checkpoint_id: str | None) -> None:
    """Delete a thread's checkpoints newer than `checkpoint_id` (None: all), in the WAL too."""
    after = checkpoint_id or ""
    async with saver.lock:
        for table, comparison in (("checkpoints", ">"), ("writes", ">="), ("recalled", ">")):
            await saver.conn.execute(
                f"DELETE FROM {table} WHERE thread_id = ? AND checkpoint_id {comparison} ?",
                (thread_id, after),
            )
        await saver.conn.commit()
        await _empty_log(saver)


async def prune(saver: AsyncSqliteSaver, thread_id: str, keep_turns: int) -> None:
    """Keep the checkpoints of a thread's newest turns.

    Every run starts with a checkpoint whose source is `input` or, when it took another road, `fork`/`update`;
    with durability `exit` a turn leaves two: one at the interrupt after `store`, one at its end.
    """
    async with saver.lock:
        async with saver.conn.execute(
            "SELECT checkpoint_id FROM checkpoints WHERE thread_id = ? "
            "ORDER BY checkpoint_id DESC LIMIT 1 OFFSET ?",
            (thread_id, 2 * keep_turns),
        ) as rows:
            row = await rows.fetchone()
        if row is None:
            return
        for table in TABLES:
            await saver.conn.execute(
                f"DELETE FROM {table} WHERE thread_id = ? AND checkpoint_id <= ?", (thread_id, row[0])
            )
        await saver.conn.commit()


async def forget(saver: AsyncSqliteSaver, thread_id: str) -> None:
    """Delete a thread so that none of its text is left in the files."""
    await saver.adelete_thread(thread_id)
    async with saver.lock:
        await saver.conn.execute("DELETE FROM recalled WHERE thread_id = ?", (thread_id,))
        await saver.conn.commit()
        await _empty_log(saver)


async def threads_with(saver: AsyncSqliteSaver, owner: str, tree_id: str) -> list[str]:
    """The owner's threads that have checkpoints with memories of a tree's chats, and those of no owner."""
    async with (
        saver.lock,
        saver.conn.execute(
            "SELECT DISTINCT thread_id FROM recalled WHERE tree_id = ? ORDER BY thread_id", (tree_id,)
        ) as rows,
    ):
        found = [str(row[0]) for row in await rows.fetchall()]
    return [thread_id for thread_id in found if thread_id.partition(":")[0] in (owner, thread_id)]


async def forget_recalled(saver: AsyncSqliteSaver, thread_id: str, tree_id: str) -> None:
    """Delete a thread's checkpoints that hold memories of a tree's chats."""
    async with saver.lock:
        for table in TABLES:
            await saver.conn.execute(
                f"DELETE FROM {table} WHERE thread_id = ?1 AND checkpoint_id IN "
                "(SELECT checkpoint_id FROM recalled WHERE thread_id = ?1 AND tree_id = ?2)",
                (thread_id, tree_id),
            )
        await saver.conn.commit()
        await _empty_log(saver)


async def _empty_log(saver: AsyncSqliteSaver) -> None:
    """Write the WAL into the database, where `secure_delete` wiped what was deleted, and truncate it."""
    async with saver.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)"):
        pass


def thread(owner: str, session_id: str) -> RunnableConfig:
    """The config of a session's thread: its id is the owner's and the session's, joined by a colon."""
    return {"configurable": {"thread_id": f"{owner}:{session_id}"}}
