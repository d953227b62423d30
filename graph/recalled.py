"""Which checkpoints hold what other chats said: a chat that is deleted is to be gone from them too.

A run that recalls something of another chat has it in its channel `memories`, and from there in its prompt. The
trees that it comes from are noted with each checkpoint, so that a deletion finds them without reading any.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import ChannelVersions, Checkpoint, CheckpointMetadata
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

TABLE = """CREATE TABLE IF NOT EXISTS recalled (
    tree_id TEXT NOT NULL, thread_id TEXT NOT NULL, checkpoint_id TEXT NOT NULL,
    PRIMARY KEY (tree_id, thread_id, checkpoint_id)
) WITHOUT ROWID"""
CHANNEL = "memories"


class NotingSaver(AsyncSqliteSaver):
    """Notes, before a checkpoint is there, of which trees it holds memories."""

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        await self._note(config, checkpoint["id"], checkpoint["channel_values"].get(CHANNEL))
        return await super().aput(config, checkpoint, metadata, new_versions)

    async def aput_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],  # Any: a channel's value
        task_id: str,
        task_path: str = "",
    ) -> None:
        for channel, value in writes:
            if channel == CHANNEL:
                await self._note(config, config["configurable"]["checkpoint_id"], value)
        await super().aput_writes(config, writes, task_id, task_path)

    async def _note(self, config: RunnableConfig, checkpoint_id: str, memories: Any) -> None:
        trees = {memory["tree_id"] for memory in memories or () if memory.get("tree_id")}
        if not trees:
            return
        thread_id = str(config["configurable"]["thread_id"])
        async with self.lock:
            await self.conn.executemany(
                "INSERT OR IGNORE INTO recalled VALUES (?, ?, ?)",
                [(tree_id, thread_id, checkpoint_id) for tree_id in sorted(trees)],
            )
            await self.conn.commit()
