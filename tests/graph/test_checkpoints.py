"""Checkpoints that are forgotten leave nothing in the files."""

from __future__ import annotations

from pathlib import Path

from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from graph.checkpoints import forget, forget_after, latest, open_checkpointer, thread

KEPT, SECRET = "what-is-kept", "what-nobody-may-read"


async def write(saver: AsyncSqliteSaver, text: str) -> None:
    """A checkpoint of the thread with a pending write, both holding the text."""
    config = thread("local", "chat")
    config["configurable"]["checkpoint_ns"] = ""
    checkpoint = empty_checkpoint() | {"channel_values": {"messages": text}}
    stored = await saver.aput(config, checkpoint, {}, {})
    await saver.aput_writes(stored, [("messages", text)], task_id="task")


def holds(folder: Path, text: str) -> bool:
    """Whether any file of the folder holds the text."""
    return any(text.encode() in file.read_bytes() for file in folder.iterdir())


async def test_the_text_of_a_failed_turn_is_in_no_file(tmp_path: Path) -> None:
    async with open_checkpointer(tmp_path / "checkpoints.sqlite") as saver:
        await write(saver, KEPT)
        before = await latest(saver, "local:chat")
        await write(saver, SECRET)
        assert holds(tmp_path, SECRET)
        await forget_after(saver, "local:chat", before)
        assert not holds(tmp_path, SECRET)
        assert holds(tmp_path, KEPT) and await latest(saver, "local:chat") == before


async def test_the_text_of_a_first_turn_that_failed_is_in_no_file(tmp_path: Path) -> None:
    async with open_checkpointer(tmp_path / "checkpoints.sqlite") as saver:
        await write(saver, SECRET)
        await forget_after(saver, "local:chat", None)
        assert not holds(tmp_path, SECRET) and await latest(saver, "local:chat") is None


async def test_the_text_of_a_forgotten_thread_is_in_no_file(tmp_path: Path) -> None:
    async with open_checkpointer(tmp_path / "checkpoints.sqlite") as saver:
        await write(saver, SECRET)
        await forget(saver, "local:chat")
        assert not holds(tmp_path, SECRET)
