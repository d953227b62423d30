"""The embedder's queue: one thread, texts that a user waits for first, the others in batches."""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from models.encoding import Backend, Encoding, Floats, Pass
from models.pieces import Piece, pieces

OVERLAP_TOKENS = 50
BATCH_TOKENS = 320
"""Of a batch, padding counted: eight texts of 40 tokens, or one long piece. Larger ones are hardly faster."""
BATCH_PIECES = 16
LOOK_AHEAD = 32
"""Among so many waiting texts a batch looks for pieces of like length."""
RECENT_BYTES = 32 * 1024 * 1024


@dataclass(eq=False, slots=True)
class _Flight:
    """A text on its way through the model, piece by piece."""

    text: str
    urgent: bool
    result: Future[Encoding] = field(default_factory=Future)
    cut: list[Piece] = field(default_factory=list)
    passes: list[Pass] = field(default_factory=list)

    @property
    def next_piece(self) -> Piece:
        return self.cut[len(self.passes)]


class QueuedEmbedder:
    """`Embedder` over a backend. A step is one forward pass, so an urgent text waits for at most one."""

    def __init__(self, backend: Backend, name: str, thread: ThreadPoolExecutor) -> None:
        self.name = name
        self.dimension = backend.dimension
        self.token_dimension = backend.token_dimension
        self.weights_hash = backend.weights_hash
        self.forward_passes = 0
        self._backend = backend
        self._thread = thread
        self._lock = threading.Lock()
        self._scheduled = False
        self._closed = False
        self._urgent: OrderedDict[str, _Flight] = OrderedDict()
        self._waiting: OrderedDict[str, _Flight] = OrderedDict()
        self._recent: OrderedDict[str, Encoding] = OrderedDict()
        self._recent_bytes = 0

    @classmethod
    async def open(cls, name: str, load: Callable[[], Backend]) -> QueuedEmbedder:
        """Load the backend on the thread that will run it; raises what `load` raises."""
        thread = ThreadPoolExecutor(1, thread_name_prefix="embedding")
        try:
            backend = await asyncio.get_running_loop().run_in_executor(thread, load)
        except BaseException:
            thread.shutdown(wait=False)
            raise
        return cls(backend, name, thread)

    async def embed(self, text: str, *, urgent: bool = False) -> Floats:
        """`encode(...).pieces`: shape (pieces, dimension), rows of length 1, read-only."""
        return (await self.encode(text, urgent=urgent)).pieces

    async def encode(self, text: str, *, urgent: bool = False) -> Encoding:
        """The vectors of the text's pieces and tokens; `urgent` texts overtake all others."""
        with self._lock:
            if (known := self._recent.get(text)) is not None:
                self._recent.move_to_end(text)
                return known
            flight = self._flight(text, urgent)
        return await asyncio.shield(asyncio.wrap_future(flight.result))

    def _flight(self, text: str, urgent: bool) -> _Flight:
        """The text's flight, begun unless it is under way; one that became urgent changes its queue."""
        flight = self._urgent.get(text) or self._waiting.get(text)
        if flight is None:
            self._schedule()
            flight = _Flight(text, urgent)
            (self._urgent if urgent else self._waiting)[text] = flight
        elif urgent and not flight.urgent:
            flight.urgent = True
            self._urgent[text] = self._waiting.pop(text)
        return flight

    def _schedule(self) -> None:
        if self._closed:
            raise RuntimeError("the embedder is closed")
        if not self._scheduled:
            self._thread.submit(self._step)
            self._scheduled = True

    def _step(self) -> None:
        """One forward pass; the next one is put in line while there is work."""
        with self._lock:
            urgent = next(iter(self._urgent.values()), None)
            ahead = [urgent] if urgent else list(islice(self._waiting.values(), LOOK_AHEAD))
        ready = [flight for flight in ahead if self._is_cut(flight)]
        self._advance(batch(ready))
        with self._lock:
            self._scheduled = False
            if (self._urgent or self._waiting) and not self._closed:
                self._schedule()

    def _is_cut(self, flight: _Flight) -> bool:
        if not flight.cut:
            text = flight.text.encode("utf-8", "replace").decode()  # tokenizers refuse lone surrogates
            try:
                flight.cut = pieces(text, self._backend.lengths, self._backend.piece_tokens, OVERLAP_TOKENS)
            except Exception as error:  # handed to whoever waits for this text
                self._land(flight, error)
        return bool(flight.cut)

    def _advance(self, flights: Sequence[_Flight]) -> None:
        """The next piece of each through the model; when a batch fails, each alone."""
        if not flights:
            return
        try:
            passes = self._backend.forward([flight.next_piece.text for flight in flights])
        except Exception as error:  # handed to whoever waits for this text
            if len(flights) == 1:
                self._land(flights[0], error)
            else:
                for flight in flights:
                    self._advance([flight])
            return
        self.forward_passes += len(flights)
        for flight, made in zip(flights, passes, strict=True):
            flight.passes.append(made)
            if len(flight.passes) == len(flight.cut):
                self._land(flight, joined(flight.cut, flight.passes))

    def _land(self, flight: _Flight, result: Encoding | Exception) -> None:
        with self._lock:
            self._urgent.pop(flight.text, None)
            self._waiting.pop(flight.text, None)
            if isinstance(result, Encoding):
                self._remember(flight.text, result)
        if isinstance(result, Encoding):
            flight.result.set_result(result)
        else:
            flight.result.set_exception(result)

    def _remember(self, text: str, encoding: Encoding) -> None:
        self._recent[text] = encoding
        self._recent_bytes += encoding.nbytes
        while self._recent_bytes > RECENT_BYTES:
            self._recent_bytes -= self._recent.popitem(last=False)[1].nbytes

    async def close(self) -> None:
        """End after the pass in hand and let the weights go; whoever still waits gets a RuntimeError."""
        with self._lock:
            self._closed = True
        await asyncio.to_thread(self._thread.shutdown)
        for flight in (*self._urgent.values(), *self._waiting.values()):
            flight.result.set_exception(RuntimeError("the embedder was closed"))
        self._urgent.clear()
        self._waiting.clear()
        self._recent.clear()
        del self._backend


def batch(flights: Sequence[_Flight]) -> list[_Flight]:
    """The first, with those whose next pieces are nearest to its in length, as far as a batch reaches."""
    if not flights:
        return []
    longest = first = flights[0].next_piece.tokens
    chosen = [flights[0]]
    for flight in sorted(flights[1:], key=lambda f: abs(f.next_piece.tokens - first))[: BATCH_PIECES - 1]:
        longest = max(longest, flight.next_piece.tokens)
        if longest * (len(chosen) + 1) > BATCH_TOKENS:
            break
        chosen.append(flight)
    return chosen


def joined(cut: Sequence[Piece], passes: Sequence[Pass]) -> Encoding:
    """A text's encoding from the passes of its pieces; tokens that two pieces share are taken once."""
    own = [_own_tokens(piece, made) for piece, made in zip(cut, passes, strict=True)]
    encoding = Encoding(
        pieces=np.vstack([made.vector for made in passes]),
        spans=tuple(piece.span for piece in cut),
        tokens=np.vstack([made.tokens[span] for made, span in zip(passes, own, strict=True)]),
        token_ids=np.concatenate([made.token_ids[span] for made, span in zip(passes, own, strict=True)]),
        starts=np.concatenate(
            [made.starts[span] + piece.start for piece, made, span in zip(cut, passes, own, strict=True)]
        ),
    )
    for array in (encoding.pieces, encoding.tokens, encoding.token_ids, encoding.starts):
        array.flags.writeable = False
    return encoding


def _own_tokens(piece: Piece, made: Pass) -> slice:
    """All but the shared tokens that the neighbours tell; all where the model did not cut words as counted."""
    if len(made.tokens) != piece.tokens:
        return slice(None)
    return slice(piece.head, piece.tokens - piece.tail)
