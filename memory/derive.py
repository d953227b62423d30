"""Embedding and emotion jobs: from stored text to vectors and labels, which can be made again at any time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from graph.errors import NotFound
from memory.glue import certain_text
from memory.stored import Job, Message, TreeKey
from memory.token_codes import Stored, TokenCodes
from memory.transcript import Transcript
from memory.vectors import Item, VectorIndex
from models.embedding import Embedder
from models.emotion import EmotionDetector, importance
from models.token_codes import TokenCodec


@dataclass(slots=True)
class Outcome:
    """Jobs done (those of messages that exist no longer too), and jobs failed with their errors."""

    done: list[Job] = field(default_factory=list)
    failed: list[tuple[Job, Exception]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Made:
    """What follows from one job."""

    items: Sequence[Item] = ()
    codes: Mapping[int, Stored] = field(default_factory=dict)


class Derive:
    """Works through a batch of one tree's jobs; what follows from all of it is written together at its end."""

    def __init__(
        self,
        transcript: Transcript,
        vectors: VectorIndex,
        codes: TokenCodes,
        embedder: Embedder,
        codec: TokenCodec,
        emotion: EmotionDetector,
    ) -> None:
        self._transcript = transcript
        self._vectors = vectors
        self._codes = codes
        self._embedder = embedder
        self._codec = codec
        self._emotion = emotion
        self._begun: list[asyncio.Task[Made]] = []
        self._stopped = False

    def stop(self) -> None:
        """Let the batch in hand end with the jobs that are finished; the others stay in the outbox."""
        self._stopped = True
        for task in self._begun:
            task.cancel()

    async def __call__(self, key: TreeKey, jobs: Sequence[Job]) -> Outcome:
        outcome = Outcome()
        messages = await self._messages(key, [job.ref for job in jobs if job.kind != "embed_card"])
        if self._stopped:
            return outcome
        self._begun = [asyncio.create_task(self._made(key, job, messages.get(job.ref))) for job in jobs]
        found = await asyncio.gather(*self._begun, return_exceptions=True)
        made: list[tuple[Job, Made]] = []
        for job, one in zip(jobs, found, strict=True):
            if isinstance(one, Made):
                made.append((job, one))
            elif isinstance(one, Exception):  # one job's failure holds up no other
                outcome.failed.append((job, one))
        await self._write(key, made, outcome)
        return outcome

    async def _made(self, key: TreeKey, job: Job, message: Message | None) -> Made:
        if job.kind == "read_emotion":
            await self._read_emotion(key, message)
            return Made()
        if job.kind == "embed_card":
            return await self._card(key, job)
        return await self._message(message)

    async def _read_emotion(self, key: TreeKey, message: Message | None) -> None:
        if message is not None:
            emotion = await self._emotion.read(message.text)
            weight = importance(message.text, emotion)
            await self._transcript.set_emotion(key, message.id, emotion.label, emotion.confidence, weight)

    async def _message(self, message: Message | None) -> Made:
        text = "" if message is None else certain_text(message)
        if message is None or not text:
            return Made()
        encoding = await self._embedder.encode(text)
        stored = Stored.at(self._codec.codes(encoding.tokens), encoding.starts)
        return Made([Item("message", message.id, encoding.pieces)], {message.id: stored})

    async def _card(self, key: TreeKey, job: Job) -> Made:
        chunks = await self._transcript.card_chunks(key, job.payload["chunks"])
        pieces = await asyncio.gather(*(self._embedder.embed(chunk.text) for chunk in chunks))
        return Made([Item("card", chunk.id, found) for chunk, found in zip(chunks, pieces, strict=True)])

    async def _write(self, key: TreeKey, made: Sequence[tuple[Job, Made]], outcome: Outcome) -> None:
        outcome.done += [job for job, one in made if not one.items]
        waiting = [job for job, one in made if one.items]
        items = [item for _, one in made for item in one.items]
        codes = {ref: stored for _, one in made for ref, stored in one.codes.items()}
        try:
            if items:
                await self._vectors.upsert(key, items)
                await self._codes.upsert(key, codes)
                await self._forget_deleted(key, items)
        except Exception as error:  # the index may be out of reach for a while
            outcome.failed += [(job, error) for job in waiting]
        else:
            outcome.done += waiting

    async def _forget_deleted(self, key: TreeKey, items: Sequence[Item]) -> None:
        """What was deleted from the transcript while it was embedded must not stay in the index."""
        messages = [item.ref for item in items if item.kind == "message"]
        cards = [item.ref for item in items if item.kind == "card"]
        known = await self._messages(key, messages)
        if gone := [ref for ref in messages if ref not in known]:
            await self._vectors.delete(key, gone)
            await self._codes.delete(key, gone)
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
