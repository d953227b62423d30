"""Embedding and emotion jobs: from stored text to vectors and labels, which can be made again at any time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from graph.errors import NotFound
from memory.glue import certain_text
from memory.transcript import Job, Message, Transcript, TreeKey
from memory.vectors import Item, VectorIndex
from models.embedding import Embedder
from models.emotion import EmotionDetector, importance


@dataclass(slots=True)
class Outcome:
    """Jobs done (those of messages that exist no longer too), and jobs failed with their errors."""

    done: list[Job] = field(default_factory=list)
    failed: list[tuple[Job, Exception]] = field(default_factory=list)


class Derive:
    """Works through a batch of one tree's jobs; vectors are written together at its end."""

    def __init__(
        self, transcript: Transcript, vectors: VectorIndex, embedder: Embedder, emotion: EmotionDetector
    ) -> None:
        self._transcript = transcript
        self._vectors = vectors
        self._embedder = embedder
        self._emotion = emotion
        self._stopped = False

    def stop(self) -> None:
        """Let the batch in hand end after the job in hand."""
        self._stopped = True

    async def __call__(self, key: TreeKey, jobs: Sequence[Job]) -> Outcome:
        outcome = Outcome()
        embedded: dict[int, list[Item]] = {}
        messages = await self._messages(key, [job.ref for job in jobs if job.kind != "embed_card"])
        for job in jobs:
            if self._stopped:
                break
            try:
                if job.kind == "read_emotion":
                    await self._read_emotion(key, messages.get(job.ref))
                    outcome.done.append(job)
                elif job.kind == "embed_card":
                    embedded[job.id] = await self._card_items(key, job)
                else:
                    embedded[job.id] = await self._message_items(messages.get(job.ref))
            except Exception as error:  # one job's failure holds up no other
                outcome.failed.append((job, error))
        await self._index(key, [job for job in jobs if job.id in embedded], embedded, outcome)
        return outcome

    async def _read_emotion(self, key: TreeKey, message: Message | None) -> None:
        if message is not None:
            emotion = await self._emotion.read(message.text)
            weight = importance(message.text, emotion)
            await self._transcript.set_emotion(key, message.id, emotion.label, emotion.confidence, weight)

    async def _message_items(self, message: Message | None) -> list[Item]:
        text = "" if message is None else certain_text(message)
        return [Item("message", message.id, await self._embedder.embed(text))] if message and text else []

    async def _card_items(self, key: TreeKey, job: Job) -> list[Item]:
        chunks = await self._transcript.card_chunks(key, job.payload["chunks"])
        return [Item("card", chunk.id, await self._embedder.embed(chunk.text)) for chunk in chunks]

    async def _index(
        self, key: TreeKey, jobs: Sequence[Job], embedded: dict[int, list[Item]], outcome: Outcome
    ) -> None:
        items = [item for job in jobs for item in embedded[job.id]]
        try:
            if items:
                await self._vectors.upsert(key, items)
                await self._forget_deleted(key, items)
        except Exception as error:  # the index may be out of reach for a while
            outcome.failed += [(job, error) for job in jobs]
        else:
            outcome.done += jobs

    async def _forget_deleted(self, key: TreeKey, items: Sequence[Item]) -> None:
        """What was deleted from the transcript while it was embedded must not stay in the index."""
        messages = [item.ref for item in items if item.kind == "message"]
        cards = [item.ref for item in items if item.kind == "card"]
        known = await self._messages(key, messages)
        if gone := [ref for ref in messages if ref not in known]:
            await self._vectors.delete(key, gone)
        if len(await self._transcript.card_chunks(key, cards)) < len(cards):
            await self._vectors.delete(key)  # cards go with their tree only

    async def _messages(self, key: TreeKey, ids: Iterable[int]) -> dict[int, Message]:
        """Those of the messages that exist."""
        wanted = list(dict.fromkeys(ids))
        try:
            return {message.id: message for message in await self._transcript.messages(key, wanted)}
        except NotFound:
            if len(wanted) == 1:
                return {}
            found = [await self._messages(key, [one]) for one in wanted]
            return {message_id: message for one in found for message_id, message in one.items()}
