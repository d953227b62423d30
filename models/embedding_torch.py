"""The embedder: a sentence-transformers model on a thread of its own, texts that a user waits for first."""

from __future__ import annotations

import asyncio
import heapq
import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from models.pieces import pieces
from models.weights import load_embedding_model, prepare_torch

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

PIECE_TOKENS = 200
OVERLAP_TOKENS = 50
RECENT_TEXTS = 4096

Vector = npt.NDArray[np.float32]


@dataclass(slots=True)
class _Flight:
    """A text on its way through the model, piece by piece."""

    text: str
    urgent: bool
    result: Future[Vector] = field(default_factory=Future)
    pieces: list[str] | None = None
    rows: list[Vector] = field(default_factory=list)


class TorchEmbedder:
    """`Embedder` over PyTorch. A step of the queue is one forward pass: urgent texts wait for at most one."""

    def __init__(
        self, model: SentenceTransformer, name: str, weights_hash: str, thread: ThreadPoolExecutor
    ) -> None:
        dimension = model.get_embedding_dimension()
        if dimension is None:
            raise ValueError("the model does not say the dimension of its embeddings")
        self.name = name
        self.dimension: int = dimension
        self.weights_hash = weights_hash
        self.forward_passes = 0
        self._model = model
        self._piece_tokens = min(PIECE_TOKENS, (model.max_seq_length or PIECE_TOKENS + 2) - 2)
        self._thread = thread
        self._lock = threading.Lock()
        self._order = count()
        self._queue: list[tuple[bool, int, _Flight]] = []
        self._flying: dict[str, _Flight] = {}
        self._recent: OrderedDict[str, Vector] = OrderedDict()

    @classmethod
    async def open(cls, name: str, threads: int) -> TorchEmbedder:
        """Load and verify the model on the thread that will run it; raises SettingsError."""
        thread = ThreadPoolExecutor(1, thread_name_prefix="embedding")
        try:
            return await asyncio.get_running_loop().run_in_executor(thread, cls._load, name, threads, thread)
        except BaseException:
            thread.shutdown(wait=False)
            raise

    @classmethod
    def _load(cls, name: str, threads: int, thread: ThreadPoolExecutor) -> TorchEmbedder:
        prepare_torch(threads)
        model, weights_hash = load_embedding_model(name)
        return cls(model, name, weights_hash, thread)

    async def embed(self, text: str, *, urgent: bool = False) -> Vector:
        """Shape (pieces, dimension), rows of length 1, read-only; urgent texts overtake all others."""
        with self._lock:
            if (known := self._recent.get(text)) is not None:
                self._recent.move_to_end(text)
                return known
            flight = self._flying.get(text)
            if flight is None:
                flight = _Flight(text, urgent)
                self._enqueue(flight)
                self._flying[text] = flight
            elif urgent and not flight.urgent:
                flight.urgent = True
                self._enqueue(flight)
        return await asyncio.shield(asyncio.wrap_future(flight.result))

    def _enqueue(self, flight: _Flight) -> None:
        self._thread.submit(self._step)
        heapq.heappush(self._queue, (not flight.urgent, next(self._order), flight))

    def _step(self) -> None:
        """One forward pass for the first in the queue; one that became urgent stands in it twice."""
        with self._lock:
            flight = heapq.heappop(self._queue)[2]
        if flight.result.done():
            return
        try:
            self._advance(flight)
        except Exception as error:  # handed to whoever waits for this text
            with self._lock:
                del self._flying[flight.text]
            flight.result.set_exception(error)

    def _advance(self, flight: _Flight) -> None:
        if flight.pieces is None:
            text = flight.text.encode("utf-8", "replace").decode()  # tokenizers refuse lone surrogates
            flight.pieces = pieces(text, self._count_tokens, self._piece_tokens, OVERLAP_TOKENS)
        flight.rows.append(self._forward(flight.pieces[len(flight.rows)]))
        with self._lock:
            if len(flight.rows) < len(flight.pieces):
                self._enqueue(flight)
                return
            vectors = np.vstack(flight.rows)
            vectors.flags.writeable = False
            self._remember(flight.text, vectors)
            del self._flying[flight.text]
        flight.result.set_result(vectors)

    def _remember(self, text: str, vectors: Vector) -> None:
        self._recent[text] = vectors
        if len(self._recent) > RECENT_TEXTS:
            self._recent.popitem(last=False)

    def _forward(self, text: str) -> Vector:
        vector = self._model.encode(text, normalize_embeddings=True, show_progress_bar=False)
        self.forward_passes += 1
        return np.asarray(vector, dtype=np.float32)

    def _count_tokens(self, words: list[str]) -> Sequence[int]:
        encoded = self._model.tokenizer(words, add_special_tokens=False)["input_ids"]
        return [len(ids) for ids in encoded]

    async def close(self) -> None:
        """End after the pass in hand; whoever still waits gets a RuntimeError."""
        await asyncio.to_thread(self._thread.shutdown, cancel_futures=True)
        for flight in self._flying.values():
            flight.result.set_exception(RuntimeError("the embedder was closed"))
        self._flying.clear()
