"""The worker: all that follows from a turn gets done, in the right order, whatever fails meanwhile."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path as FilePath

import numpy as np
import numpy.typing as npt
import pytest

import memory.worker
from graph.settings import load_settings
from memory.align import fingerprint
from memory.catalog import Catalog
from memory.derive import Derive
from memory.path import Path
from memory.stored import Card, Job, Message, NewMessage, TreeKey, TurnWrite
from memory.token_codes import Stored
from memory.token_codes_sqlite import SqliteTokenCodes
from memory.transcript_sqlite import SqliteTranscript
from memory.vectors import Hit, Item, ItemKind, Vector
from memory.vectors_exact import ExactVectors
from memory.worker import Worker
from models.embedding import Embedder, open_embedder
from models.emotion import Emotion
from models.emotion_keywords import KeywordEmotions
from models.encoding import Encoding
from models.token_codes import TokenCodec

KEY = TreeKey("local", "tree")
OTHER = TreeKey("local", "other-tree")
Summarise = Callable[[TreeKey, Job], Awaitable[None]]


@pytest.fixture(scope="module")
def embedder() -> Iterator[Embedder]:
    opened = asyncio.run(open_embedder(load_settings()))
    yield opened
    asyncio.run(opened.close())


class Watched(ExactVectors):
    """The index, which says when something was written."""

    def __init__(self, root: FilePath, weights_hash: str, dimension: int) -> None:
        super().__init__(root, weights_hash, dimension)
        self.written = asyncio.Event()

    async def upsert(self, key: TreeKey, items: Sequence[Item]) -> None:
        await super().upsert(key, items)
        self.written.set()


@dataclass
class World:
    """A data folder, the parts a worker needs, and the workers started on it."""

    transcript: SqliteTranscript
    vectors: Watched
    codes: SqliteTokenCodes
    embedder: Embedder
    codec: TokenCodec
    now: float = 4_000_000_000.0
    started: list[Worker] = field(default_factory=list)
    summarised: list[Job] = field(default_factory=list)

    async def summarise(self, key: TreeKey, job: Job) -> None:
        self.summarised.append(job)
        await self.transcript.add_summary(key, job.payload["over"], "They met.", "extractive", job.id)

    def worker(self, **other: object) -> Worker:
        """A worker that is not started yet; `other` parts may take the place of the usual ones."""
        parts: dict[str, object] = {
            "transcript": self.transcript,
            "vectors": self.vectors,
            "codes": self.codes,
            "embedder": self.embedder,
            "codec": self.codec,
            "emotion": KeywordEmotions(),
        }
        timing = {"summarise": self.summarise, "clock": lambda: self.now}
        timing = {name: other.pop(name, usual) for name, usual in timing.items()}
        derive = Derive(**{**parts, **other})  # type: ignore[arg-type]
        worker = Worker(self.transcript, derive, **timing)  # type: ignore[arg-type]
        self.started.append(worker)
        return worker

    async def work(self, **other: object) -> Worker:
        """Start a worker and wait until nothing is due."""
        worker = self.worker(**other)
        worker.start()
        await worker.idle()
        return worker

    async def say(
        self, *texts: str, key: TreeKey = KEY, session: str = "session", card: str = ""
    ) -> list[int]:
        """Store a session's only turn; the ids of its messages."""
        new = [NewMessage("user", "", text, fingerprint("user", text)) for text in texts]
        write = TurnWrite(
            key=key,
            session_id=session,
            turn_id=f"turn of {session}",
            path=[[-i - 1, -i - 1] for i in range(len(new))],
            new=new,
            replies=[],
            card=Card("Mira", card, "", "00") if card else None,
        )
        return (await self.transcript.commit(write)).new_ids

    async def jobs(self, key: TreeKey = KEY) -> list[Job]:
        return await self.transcript.jobs(key, limit=1000, now=float("inf"))

    async def message(self, message_id: int) -> Message:
        return (await self.transcript.messages(KEY, [message_id]))[0]

    async def search(self, text: str, kind: ItemKind = "message", key: TreeKey = KEY) -> list[int]:
        query = (await self.embedder.embed(text))[0]
        return [hit.ref for hit in await self.vectors.search(key, kind, query, None, 50)]


@pytest.fixture
async def world(tmp_path: FilePath, embedder: Embedder) -> AsyncIterator[World]:
    catalog = Catalog.open(tmp_path)
    transcript = await SqliteTranscript.open(tmp_path, catalog)
    vectors = Watched(tmp_path, embedder.weights_hash, embedder.dimension)
    codec = TokenCodec.open(embedder.weights_hash, embedder.token_dimension)
    world = World(transcript, vectors, SqliteTokenCodes(tmp_path, codec.key), embedder, codec)
    yield world
    for worker in world.started:
        await worker.close()
    await vectors.close()
    await transcript.close()
    catalog.close()


async def test_what_was_said_is_found_and_felt_afterwards(world: World) -> None:
    cat, fear = await world.say("My cat is called Miso.", "I was terrified in the dark cave!")
    await world.work()
    assert (await world.search("What is the pet's name?"))[0] == cat
    message = await world.message(fear)
    assert message.emotion == "fear" and message.confidence > 0.5 and message.importance > 0.7
    assert await world.jobs() == []


async def test_a_card_is_found_by_its_parts(world: World) -> None:
    card = " ".join(f"Mira once sailed to island number {n}." for n in range(30)) + " She fears spiders."
    await world.say("hello", card=card)
    await world.work()
    found = await world.search("What is she afraid of?", "card")
    chunks = await world.transcript.card_chunks(KEY, found)
    assert len(chunks) > 5 and "spiders" in chunks[0].text


async def test_token_codes_are_stored_beside_the_vectors(world: World) -> None:
    said = await world.say("My cat is called Miso.", "She sleeps.", card="A card has vectors only.")
    await world.work()
    found = await world.codes.fetch(KEY, said)
    assert list(found) == said and await world.codes.count() == 2
    encoding = await world.embedder.encode("My cat is called Miso.")
    assert np.array_equal(found[said[0]].codes, world.codec.codes(encoding.tokens))
    assert found[said[0]].starts.tolist() == encoding.starts.tolist()


@dataclass
class Together:
    """The embedder, which answers only when five texts wait for it at once."""

    inner: Embedder
    waiting: int = 0
    met: asyncio.Event = field(default_factory=asyncio.Event)

    async def encode(self, text: str, *, urgent: bool = False) -> Encoding:
        self.waiting += 1
        if self.waiting == 5:
            self.met.set()
        async with asyncio.timeout(60):
            await self.met.wait()
        return await self.inner.encode(text, urgent=urgent)


async def test_the_texts_of_a_batch_wait_for_the_model_together(world: World) -> None:
    await world.say(*(f"message number {n}" for n in range(5)))
    worker = await world.work(embedder=Together(world.embedder))
    assert not worker.failing and await world.vectors.count() == 5


async def test_codes_that_cannot_be_written_are_tried_again(world: World) -> None:
    class Unwritable(SqliteTokenCodes):
        async def upsert(self, key: TreeKey, items: Mapping[int, Stored]) -> None:
            raise OSError("disk full")

    [said] = await world.say("The well is dry.")
    worker = await world.work(codes=Unwritable(FilePath("nowhere"), ""))
    assert [job.kind for job in await world.jobs()] == ["embed_message"]
    assert "disk full" in worker.failing["embed_message"]
    await worker.close()
    world.now += 30
    await world.work()
    assert (await world.codes.fetch(KEY, [said])).keys() == {said}


async def test_codes_of_what_is_deleted_while_it_is_embedded_do_not_stay(world: World) -> None:
    [kept] = await world.say("stays")
    [gone] = await world.say("goes", session="other")
    gated = Gated(world.embedder)
    worker = world.worker(embedder=gated)
    worker.start()
    await gated.reached.wait()
    assert await world.transcript.delete("local", "other") == [gone]
    gated.gate.set()
    await worker.idle()
    assert (await world.codes.fetch(KEY, [kept, gone])).keys() == {kept}
    assert (await world.vectors.vectors(KEY, "message", [kept, gone])).keys() == {kept}


async def test_work_left_by_an_earlier_process_is_done_at_the_start(world: World) -> None:
    await world.say("one", "two")
    await world.say("three", key=OTHER, session="other")
    await world.work()
    assert await world.vectors.count() == 3
    assert await world.jobs() == await world.jobs(OTHER) == []


async def test_a_woken_worker_takes_up_a_new_turn(world: World) -> None:
    worker = await world.work()
    [said] = await world.say("The lamp is lit.")
    worker.wake(KEY)
    await worker.idle()
    assert await world.search("lamp") == [said]


async def test_closing_loses_nothing(world: World) -> None:
    await world.say(*(f"message number {n}" for n in range(40)))
    worker = world.worker()
    worker.start()
    await world.vectors.written.wait()
    await worker.close()
    left = {job.ref for job in await world.jobs() if job.kind == "embed_message"}
    assert left.isdisjoint(await world.search("message")) and 0 < len(left) < 40
    await world.work()
    assert await world.vectors.count() == 40 and await world.jobs() == []


async def test_closing_waits_for_no_text_that_is_not_embedded_yet(world: World) -> None:
    await world.say("one", "two")
    never = Gated(world.embedder)
    worker = world.worker(embedder=never)
    worker.start()
    await never.reached.wait()
    async with asyncio.timeout(60):
        await worker.close()
    assert {job.ref for job in await world.jobs() if job.kind == "embed_message"} == {1, 2}
    assert not worker.failing
    await world.work()
    assert await world.vectors.count() == 2


async def test_a_failing_job_is_tried_again_after_30_seconds_doubling_up_to_an_hour(world: World) -> None:
    await world.say("hello")
    worker = await world.work()
    job = await world.transcript.enqueue_summary(KEY, "session", [[1, 1]])
    tries: list[float] = []

    async def fail(key: TreeKey, job: Job) -> None:
        tries.append(world.now)
        raise ConnectionError("no model")

    await worker.close()
    worker = await world.work(summarise=fail)
    for _ in range(9):
        [waiting] = await world.jobs()
        assert waiting.id == job
        world.now = waiting.due_at - 0.001
        worker.wake(KEY)
        await worker.idle()
        world.now = waiting.due_at
        worker.wake(KEY)
        await worker.idle()
    delays = [later - earlier for earlier, later in pairwise(tries)]
    assert delays == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]


async def test_failures_are_logged_once_a_reason_and_the_recovery_too(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    await world.say("hello")
    errors: list[Exception | None] = [OSError("a"), OSError("b"), ValueError("c"), None]

    async def fail(key: TreeKey, job: Job) -> None:
        if error := errors.pop(0):
            raise error
        await world.summarise(key, job)

    caplog.set_level(logging.INFO, "memory.worker")
    worker = await world.work(summarise=fail)
    await world.transcript.enqueue_summary(KEY, "session", [[1, 1]])
    while errors:
        worker.wake(KEY)
        await worker.idle()
        world.now += 3600
        if len(errors) == 1:
            assert dict(worker.failing) == {"summarise": "ValueError: c"}
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING", "INFO"]
    assert all("summarise" in record.getMessage() for record in caplog.records)
    assert not worker.failing and len(world.summarised) == 1


async def test_a_job_that_fails_holds_up_no_other(world: World) -> None:
    class Squeamish:
        name = "squeamish"

        async def read(self, text: str) -> Emotion:
            if "blood" in text:
                raise ValueError(text)
            return Emotion("joy", 1.0)

    first, _, last = await world.say("hello", "blood", "goodbye")
    worker = await world.work(emotion=Squeamish())
    assert [(await world.message(i)).emotion for i in (first, last)] == ["joy", "joy"]
    assert [job.kind for job in await world.jobs()] == ["read_emotion"]
    assert list(worker.failing) == ["read_emotion"]
    assert len(await world.search("hello")) == 3


async def test_an_index_out_of_reach_is_filled_when_it_is_back(world: World) -> None:
    class Unreachable(ExactVectors):
        async def upsert(self, key: TreeKey, items: Sequence[Item]) -> None:
            raise ConnectionError("no index")

    [said] = await world.say("The well is dry.")
    worker = await world.work(vectors=Unreachable(FilePath("nowhere"), "", 1))
    assert [job.kind for job in await world.jobs()] == ["embed_message"]
    assert (await world.message(said)).importance == 0.5
    await worker.close()
    world.now += 30
    await world.work()
    assert await world.search("well") == [said]


async def test_jobs_of_messages_that_were_deleted_are_dropped(world: World) -> None:
    [kept] = await world.say("stays")
    await world.say("goes", key=OTHER, session="other")
    await world.transcript.delete("local", "other")
    await world.work()
    assert await world.search("goes") == [kept]
    assert await world.search("goes", key=OTHER) == []


@dataclass
class Gated:
    """The embedder, which waits at a gate."""

    inner: Embedder
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def embed(self, text: str, *, urgent: bool = False) -> npt.NDArray[np.float32]:
        return (await self.encode(text, urgent=urgent)).pieces

    async def encode(self, text: str, *, urgent: bool = False) -> Encoding:
        self.reached.set()
        await self.gate.wait()
        return await self.inner.encode(text, urgent=urgent)


class Stubborn(ExactVectors):
    """An index that, like Chroma, does not live in the tree's file and so does not go with it."""

    def __init__(self) -> None:
        super().__init__(FilePath("nowhere"), "", 1)
        self.held: set[tuple[ItemKind, int]] = set()

    async def upsert(self, key: TreeKey, items: Sequence[Item]) -> None:
        self.held |= {(item.kind, item.ref) for item in items}

    async def delete(self, key: TreeKey, refs: Sequence[int] | None = None) -> None:
        self.held = {i for i in self.held if refs is not None and (i[0] == "card" or i[1] not in refs)}

    async def search(
        self, key: TreeKey, kind: ItemKind, query: Vector, allowed: Path | None, k: int
    ) -> list[Hit]:
        return []


async def test_what_is_deleted_while_it_is_embedded_does_not_stay_in_the_index(world: World) -> None:
    await world.say("secret", "another secret", card="A secret card.")
    gated, vectors = Gated(world.embedder), Stubborn()
    worker = world.worker(embedder=gated, vectors=vectors)
    worker.start()
    await gated.reached.wait()
    removed = await world.transcript.delete("local", "session")
    await vectors.delete(KEY, removed)
    gated.gate.set()
    await worker.idle()
    assert vectors.held == set()


async def test_summaries_wait_for_users_and_begin_when_the_last_is_served(world: World) -> None:
    await world.say("one", "two")
    worker = await world.work()
    with worker.busy_with_user():
        with worker.busy_with_user():
            await world.transcript.enqueue_summary(KEY, "session", [[1, 2]])
            await world.say("three", key=OTHER, session="other")
            world.vectors.written.clear()
            worker.wake(KEY)
            worker.wake(OTHER)
            await world.vectors.written.wait()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(worker.idle(), 0.3)
        assert world.summarised == []
    await worker.idle()
    assert len(world.summarised) == 1 and await world.jobs() == []


async def test_embeddings_and_emotions_come_before_summaries(world: World) -> None:
    await world.say(*(f"message number {n}" for n in range(20)))
    await world.transcript.enqueue_summary(KEY, "session", [[1, 20]])
    await world.say("of another chat", key=OTHER, session="other")
    left: list[int] = []

    async def summarise(key: TreeKey, job: Job) -> None:
        left.append(len(await world.jobs()) - 1 + len(await world.jobs(OTHER)))
        await world.summarise(key, job)

    await world.work(summarise=summarise)
    assert left == [0]


async def test_messages_are_embedded_while_a_summary_is_written(world: World) -> None:
    begun, gate = asyncio.Event(), asyncio.Event()

    async def slow(key: TreeKey, job: Job) -> None:
        begun.set()
        await gate.wait()
        await world.summarise(key, job)

    await world.say("one")
    await world.transcript.enqueue_summary(KEY, "session", [[1, 1]])
    worker = world.worker(summarise=slow)
    worker.start()
    await begun.wait()
    await world.say("two", key=OTHER, session="other")
    world.vectors.written.clear()
    worker.wake(OTHER)
    await world.vectors.written.wait()
    gate.set()
    await worker.idle()
    assert await world.jobs() == []


async def test_several_summaries_of_a_chat_are_written_one_after_the_other(world: World) -> None:
    await world.say("one", "two", "three")
    for message_id in (1, 2, 3):
        await world.transcript.enqueue_summary(KEY, "session", [[message_id, message_id]])
    await world.work()
    assert [job.ref for job in world.summarised] == [1, 2, 3]
    assert len(await world.transcript.summaries(KEY, Path([[1, 3]]))) == 3


async def test_closing_leaves_an_endless_summary_for_the_next_start(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory.worker, "PATIENCE", 0.01)
    begun = asyncio.Event()

    async def endless(key: TreeKey, job: Job) -> None:
        begun.set()
        await asyncio.Event().wait()

    await world.say("one")
    await world.transcript.enqueue_summary(KEY, "session", [[1, 1]])
    worker = world.worker(summarise=endless)
    worker.start()
    await begun.wait()
    await worker.close()
    assert [job.kind for job in await world.jobs()] == ["summarise"]
    await world.work()
    assert len(world.summarised) == 1


async def test_a_postponed_job_is_done_when_its_time_comes_without_a_wake(world: World) -> None:
    await world.say("one")
    [first, *_] = await world.jobs()
    loop = asyncio.get_running_loop()
    start = loop.time()
    await world.transcript.postpone_job(KEY, first.id, 0.05, "later")
    worker = world.worker(clock=lambda: loop.time() - start)
    worker.start()
    await world.vectors.written.wait()
    assert await world.search("one") == [first.ref]


async def test_everything_can_be_derived_again(world: World) -> None:
    await world.say("one", "two", card="A card of some length.")
    worker = await world.work()
    before = await world.search("one")
    await world.vectors.clear()
    await world.transcript.reindex_jobs()
    worker.wake(KEY)
    await worker.idle()
    assert await world.search("one") == before and await world.search("card", "card") == [1]
