"""Fills a data folder with long chats through the transcript and the outbox, without embedding every text."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

import numpy as np

from benchmarks.provider import Answer, running
from benchmarks.recall.ours import OWNER, Clock
from benchmarks.recall.texts import texts
from graph.resources import Resources, open_resources
from graph.settings import Settings, load_settings
from memory.align import fingerprint
from memory.stored import NewMessage, TreeKey, TurnWrite
from models.embedding import Embedder, open_embedder
from models.encoding import Encoding, Floats

SITTING = 40
"""Messages that are said in one sitting; the next one is a day later."""
DAY = 86_400.0
BEGAN = 1_700_000_000.0
POOL = 64
EMOTIONS = ("neutral", "neutral", "neutral", "joy", "sadness", "anger", "fear", "surprise")


@dataclass(slots=True)
class RandomEmbedder:
    """In place of the embedder: a random unit vector for each text, and the token vectors of another text."""

    real: Embedder
    pool: list[Encoding]
    rng: np.random.Generator

    @classmethod
    async def over(cls, real: Embedder, seed: int) -> RandomEmbedder:
        """Takes names and shapes from the real one."""
        pool = [await real.encode(text) for text in islice(texts(seed), POOL)]
        return cls(real, pool, np.random.default_rng(seed))

    async def encode(self, text: str, *, urgent: bool = False) -> Encoding:
        """As the real one's, but for what it says."""
        vector = self.rng.normal(size=(1, self.real.dimension)).astype(np.float32)
        taken = self.pool[int(self.rng.integers(len(self.pool)))]
        return replace(taken, pieces=vector / np.linalg.norm(vector), spans=((0, len(text)),))

    async def embed(self, text: str, *, urgent: bool = False) -> Floats:
        """The random vector, shape (1, dimension)."""
        return (await self.encode(text, urgent=urgent)).pieces

    def __getattr__(self, name: str) -> Any:  # Any: whatever else the real one has
        return getattr(self.real, name)


@asynccontextmanager
async def quickly_opened(folder: Path, seed: int, **settings: Any) -> AsyncIterator[tuple[Resources, Clock]]:
    """The resources over a folder, with random vectors, and their clock (Any: values of settings)."""

    async def open_random(given: Settings) -> Embedder:
        return cast(Embedder, await RandomEmbedder.over(await open_embedder(given), seed))

    clock = Clock(BEGAN)
    with running(lambda _: Answer()) as provider, patch("graph.resources.open_embedder", open_random):
        loaded = load_settings(db_path=folder, openai_base_url=provider.base_url, **settings)
        async with open_resources(loaded, clock) as resources:
            yield resources, clock


async def seed_chat(
    resources: Resources, clock: Clock, name: str, messages: Sequence[dict[str, str]]
) -> None:
    """Store a chat sitting by sitting, with its dates and emotions, and wait until everything is derived."""
    key, stored = TreeKey(OWNER, name), 0
    for sitting in range(0, len(messages), SITTING):
        clock.now = BEGAN + sitting / SITTING * DAY
        said = messages[sitting : sitting + SITTING]
        path = [[1, stored]] if stored else []
        path += [[-i - 1] * 2 for i in range(len(said))]
        new = [new_message(m, sitting + n) for n, m in enumerate(said)]
        committed = await resources.transcript.commit(
            TurnWrite(key, name, f"{name}-{sitting}", path, new, [])
        )
        stored = committed.new_ids[-1]
    resources.worker.wake(key)
    await resources.worker.idle()


def new_message(message: dict[str, str], number: int) -> NewMessage:
    """A message with an emotion that is known."""
    said = fingerprint(message["role"], message["content"])
    speaker = "Mira" if message["role"] == "assistant" else "Alex"
    emotion = EMOTIONS[number % len(EMOTIONS)]
    return NewMessage(
        message["role"],
        speaker,
        message["content"],
        said,
        emotion=emotion,
        confidence=0.9,
        emotion_known=True,
    )
