"""The embedder's queue, over a backend that shows what it is given and waits at a gate."""

import asyncio
import re
import threading
import weakref
from collections.abc import AsyncIterator, Sequence

import numpy as np
import pytest

from models.embedding_queue import BATCH_PIECES, BATCH_TOKENS, RECENT_BYTES, QueuedEmbedder
from models.encoding import Pass, unit


class WordBackend:
    """One token a word, its vector drawn from the word; each batch waits until it is let through."""

    dimension = 8
    token_dimension = 8
    weights_hash = "words"
    piece_tokens = 200

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.begun = threading.Semaphore(0)
        self.gate = threading.Event()

    def lengths(self, words: list[str]) -> Sequence[int]:
        return [1] * len(words)

    def forward(self, texts: Sequence[str]) -> list[Pass]:
        self.batches.append(list(texts))
        self.begun.release()
        assert self.gate.wait(60)
        if any("poison" in text for text in texts):
            raise ValueError("a text that the model cannot read")
        return [self._pass(text) for text in texts]

    def _pass(self, text: str) -> Pass:
        found = [(word.group().strip("w"), word.start()) for word in re.finditer(r"\S+", text)]
        ids = np.array([int(word) if word.isdigit() else 0 for word, _ in found], np.int32)
        tokens = unit(np.random.default_rng(1).standard_normal((10_000, 8)).astype(np.float32)[ids])
        return Pass(unit(tokens.sum(axis=0)), tokens, ids, np.array([at for _, at in found], np.int32))


@pytest.fixture
def backend() -> WordBackend:
    return WordBackend()


@pytest.fixture
async def embedder(backend: WordBackend) -> AsyncIterator[QueuedEmbedder]:
    opened = await QueuedEmbedder.open("words", lambda: backend)
    yield opened
    backend.gate.set()
    await opened.close()


async def begun(backend: WordBackend) -> None:
    """Wait until the next batch is in the model."""
    assert await asyncio.to_thread(backend.begun.acquire, timeout=60)


async def asked(embedder: QueuedEmbedder, *texts: str, urgent: bool = False) -> list[asyncio.Task[object]]:
    """Texts asked for, one after the other."""
    tasks = [asyncio.create_task(embedder.encode(text, urgent=urgent)) for text in texts]
    await asyncio.sleep(0)
    return tasks


async def test_waiting_texts_go_through_the_model_together(
    embedder: QueuedEmbedder, backend: WordBackend
) -> None:
    first = await asked(embedder, "w1")
    await begun(backend)
    others = await asked(embedder, *(f"w{n}" for n in range(2, 2 + BATCH_PIECES)))
    backend.gate.set()
    await asyncio.gather(*first, *others)
    assert [len(batch) for batch in backend.batches] == [1, BATCH_PIECES]
    assert embedder.forward_passes == 1 + BATCH_PIECES


async def test_a_batch_holds_pieces_of_like_length_and_no_more_than_its_tokens(
    embedder: QueuedEmbedder, backend: WordBackend
) -> None:
    first = await asked(embedder, "w0")
    await begun(backend)
    texts = [" ".join(f"w{i * 100 + n}" for n in range(100 if i % 2 else 3)) for i in range(1, 21)]
    others = await asked(embedder, *texts)
    backend.gate.set()
    await asyncio.gather(*first, *others)
    for batch in backend.batches:
        lengths = [len(text.split()) for text in batch]
        assert len(set(lengths)) == 1
        assert len(batch) * max(lengths) <= BATCH_TOKENS
    assert sorted(text for batch in backend.batches[1:] for text in batch) == sorted(texts)


async def test_an_urgent_text_waits_for_one_batch_and_goes_alone(
    embedder: QueuedEmbedder, backend: WordBackend
) -> None:
    first = await asked(embedder, "w1")
    await begun(backend)
    others = await asked(embedder, *(f"w{n}" for n in range(2, 60)))
    urgent = await asked(embedder, "w99", urgent=True)
    backend.gate.set()
    await asyncio.gather(*first, *others, *urgent)
    assert backend.batches[:2] == [["w1"], ["w99"]]


async def test_a_waiting_text_that_a_user_asks_for_goes_next_and_only_once(
    embedder: QueuedEmbedder, backend: WordBackend
) -> None:
    first = await asked(embedder, "w1")
    await begun(backend)
    others = await asked(embedder, *(f"w{n}" for n in range(2, 60)))
    urgent = await asked(embedder, "w40", urgent=True)
    backend.gate.set()
    await asyncio.gather(*first, *others, *urgent)
    assert backend.batches[1] == ["w40"]
    assert sum(batch.count("w40") for batch in backend.batches) == 1
    assert others[38].result() is urgent[0].result()


async def test_a_text_that_fails_takes_no_other_with_it(
    embedder: QueuedEmbedder, backend: WordBackend
) -> None:
    first = await asked(embedder, "w1")
    await begun(backend)
    others = await asked(embedder, "w2", "poison", "w3")
    backend.gate.set()
    await asyncio.gather(*first)
    results = await asyncio.gather(*others, return_exceptions=True)
    assert [isinstance(result, ValueError) for result in results] == [False, True, False]
    with pytest.raises(ValueError, match="cannot read"):
        await embedder.encode("poison")


async def test_a_token_that_two_pieces_share_is_told_once_and_in_order(
    embedder: QueuedEmbedder, backend: WordBackend
) -> None:
    backend.gate.set()
    text = "  " + "  ".join(f"w{n}" for n in range(1000))
    encoding = await embedder.encode(text)
    assert encoding.token_ids.tolist() == list(range(1000))
    assert len(encoding.tokens) == 1000
    assert [text[at:].split()[0] for at in encoding.starts] == text.split()
    assert len(encoding.pieces) == len(encoding.spans) == embedder.forward_passes
    for (start, end), (next_start, next_end) in zip(encoding.spans, encoding.spans[1:], strict=False):
        shared = text[next_start:end].split()
        assert start < next_start < end < next_end and len(shared) == 50
    assert [text[a:b] for a, b in encoding.spans] == [piece for batch in backend.batches for piece in batch]


async def test_what_is_kept_of_recent_texts_is_bounded(
    embedder: QueuedEmbedder, backend: WordBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.gate.set()
    one = (await embedder.encode("w1")).nbytes
    assert one * 4096 < RECENT_BYTES
    monkeypatch.setattr("models.embedding_queue.RECENT_BYTES", 2 * one)
    await embedder.encode("w2")
    await embedder.encode("w1")
    await embedder.encode("w3")
    passes = embedder.forward_passes
    await embedder.encode("w1")
    assert embedder.forward_passes == passes, "the one asked for last stays"
    await embedder.encode("w2")
    assert embedder.forward_passes == passes + 1, "the one not asked for goes"


async def test_closing_ends_after_the_pass_in_hand_and_tells_those_who_wait(backend: WordBackend) -> None:
    embedder = await QueuedEmbedder.open("words", lambda: backend)
    first = await asked(embedder, "w1")
    await begun(backend)
    waiting = await asked(embedder, "w2", "w3") + await asked(embedder, "w4", urgent=True)
    closing = asyncio.create_task(embedder.close())
    await asyncio.sleep(0)
    backend.gate.set()
    await closing
    assert (await first[0]) is not None
    for result in await asyncio.gather(*waiting, return_exceptions=True):
        assert isinstance(result, RuntimeError) and "closed" in str(result)
    assert backend.batches == [["w1"]]
    with pytest.raises(RuntimeError, match="closed"):
        await embedder.encode("too late")


async def test_a_closed_embedder_lets_the_weights_go() -> None:
    weights: list[weakref.ref[WordBackend]] = []

    def load() -> WordBackend:
        backend = WordBackend()
        backend.gate.set()
        weights.append(weakref.ref(backend))
        return backend

    embedder = await QueuedEmbedder.open("words", load)
    await embedder.encode("w1")
    assert weights[0]() is not None
    await embedder.close()
    assert weights[0]() is None, "whatever still refers to the embedder keeps no model alive"
    with pytest.raises(RuntimeError, match="closed"):
        await embedder.encode("w1")


async def test_a_backend_that_does_not_open_leaves_no_thread_behind() -> None:
    def refuse() -> WordBackend:
        raise OSError("no weights")

    with pytest.raises(OSError, match="no weights"):
        await QueuedEmbedder.open("words", refuse)
    for thread in threading.enumerate():
        if thread.name.startswith("embedding"):
            await asyncio.to_thread(thread.join, 60)
            assert not thread.is_alive()
