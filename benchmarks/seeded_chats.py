"""Chats made of random words, and stored without being embedded."""

from __future__ import annotations

import random

import numpy as np

from graph.resources import Resources
from memory.align import fingerprint
from memory.stored import NewMessage, TreeKey, TurnWrite
from memory.vectors import Item
from server.dependencies import OWNER

WORDS = (
    "lamp harbour storm kettle letter winter bridge garden silver quiet promise stranger window "
    "morning river candle thunder island captain sister brother clock jam apple secret market forest "
    "mountain violin painter remember forgive wander whisper gather follow answer listen carry open "
    "borrow mend hide laugh cry wait old young blue green narrow heavy gentle bitter sudden early "
    "late always never somewhere nobody "
).split()
SYSTEM = (
    "You are Mira, keeper of a lighthouse who met Alex during a storm. Dry, loyal, forgetful about dates. "
)


def text(rng: random.Random, words: int) -> str:
    """A message of so many words."""
    return " ".join(rng.choice(WORDS) for _ in range(words)).capitalize() + "."


def chat_of(rng: random.Random, length: int, words: int = 30) -> list[dict[str, str]]:
    """A chat: user and assistant in turn, the character first."""
    roles = ("assistant", "user")
    return [{"role": roles[i % 2], "content": text(rng, words)} for i in range(length)]


async def seed_chat(resources: Resources, session_id: str, chat: list[dict[str, str]], seed: int) -> None:
    """Store a chat through the transcript and give each message a random unit vector."""
    key = TreeKey(OWNER, session_id)
    new = [NewMessage(m["role"], "", m["content"], fingerprint(m["role"], m["content"])) for m in chat]
    write = TurnWrite(key, session_id, f"seed-{session_id}", [[-i - 1] * 2 for i in range(len(new))], new, [])
    committed = await resources.transcript.commit(write)
    vectors = np.random.default_rng(seed).normal(size=(len(new), 1, resources.embedder.dimension))
    vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
    items = [
        Item("message", i, v.astype(np.float32)) for i, v in zip(committed.new_ids, vectors, strict=True)
    ]
    await resources.vectors.upsert(key, items)
    jobs = await resources.transcript.jobs(key, limit=10 * len(new), now=float("inf"))
    await resources.transcript.finish_jobs(key, [job.id for job in jobs])
