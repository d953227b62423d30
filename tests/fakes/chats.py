"""Chat models opened for a test, and the reading of their answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from graph.settings import load_settings
from models.chat import ChatModel, Delta, open_chat

HELLO = [{"role": "user", "content": "Hello"}]


@asynccontextmanager
async def opened(**settings: Any) -> AsyncIterator[ChatModel]:
    """The chat model that these settings ask for, retrying without delay."""
    chat = await open_chat(load_settings(**settings), base_delay=0.001)
    try:
        yield chat
    finally:
        await chat.close()


async def read(chat: ChatModel, messages: Sequence[dict[str, Any]] = HELLO, **call: Any) -> list[Delta]:
    """All deltas of one answer."""
    return [delta async for delta in chat.stream(messages, **call)]


def text(deltas: Sequence[Delta]) -> str:
    return "".join(delta.text for delta in deltas)
