"""Live memory as a server has it, without HTTP or model: transcript, sessions, reconcile, store, vectors."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path as FilePath
from typing import Any

import numpy as np
import numpy.typing as npt
from langgraph.runtime import Runtime

from graph.context import TurnContext
from graph.state import Kind, Turn, TurnState
from memory.align import Aligner, align, incoming
from memory.assignment import Request
from memory.catalog import Catalog
from memory.derive import Derive
from memory.path import Path
from memory.ranking.words import terms
from memory.sessions import Sessions
from memory.stored import Message, Session, TreeKey
from memory.token_codes_sqlite import SqliteTokenCodes
from memory.transcript_sqlite import SqliteTranscript
from memory.vectors_exact import ExactVectors
from memory.working import RamWorkingMemory
from models.emotion import Emotion
from models.encoding import Encoding, unit
from models.token_codes import TokenCodec
from nodes.reconcile import Reconcile
from nodes.store import Store
from server.sillytavern.markers import Markers
from server.sillytavern.spoken import spoken

NAMES = ("Alex", "Mira", "Tobias")
DIMENSION = 48


class HashEmbedder:
    """An `Embedder` that is cheap and the same everywhere: each word adds a direction drawn from its hash."""

    name = "hash"
    dimension = DIMENSION
    token_dimension = DIMENSION
    weights_hash = "hash"

    def __init__(self) -> None:
        self.forward_passes = 0
        self.texts: Counter[str] = Counter()

    async def embed(self, text: str, *, urgent: bool = False) -> npt.NDArray[np.float32]:
        """One row; names say nothing, so that "Mira: hello" is "hello"."""
        return (await self.encode(text, urgent=urgent)).pieces

    async def encode(self, text: str, *, urgent: bool = False) -> Encoding:
        """One piece; a token for every word."""
        if not urgent:
            self.forward_passes += 1
            self.texts[text] += 1
        words = list(re.finditer(r"\w+", text))
        tokens = np.array([_direction(word.group()) for word in words], np.float32).reshape(-1, DIMENSION)
        starts = np.array([word.start() for word in words], np.int32)
        return Encoding(
            embedding(text)[None, :], ((0, len(text)),), unit(tokens), np.zeros(len(words), np.int32), starts
        )

    async def close(self) -> None:
        """Nothing is held."""


@lru_cache(maxsize=4096)
def embedding(text: str) -> npt.NDArray[np.float32]:
    """The unit vector of a text, shape (dimension,)."""
    words = [w for w in re.findall(r"\w+", text) if w not in NAMES] or ["nothing"]
    total = np.zeros(DIMENSION, np.float32)
    for word in words:
        total += _direction(word)
    return total / np.float32(np.linalg.norm(total))


_DIRECTIONS: dict[str, npt.NDArray[np.float32]] = {}


def _direction(word: str) -> npt.NDArray[np.float32]:
    if word not in _DIRECTIONS:
        bits = np.frombuffer(blake2b(word.encode(), digest_size=DIMENSION).digest(), np.uint8)
        _DIRECTIONS[word] = bits.astype(np.float32) - 127.5
    return _DIRECTIONS[word]


class Calm:
    """An `EmotionDetector` that finds nothing."""

    name = "calm"

    async def read(self, text: str) -> Emotion:
        return Emotion("neutral", 1.0)


def as_delivered(said: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """The `messages` of a request that shows these, role and text, without post-processing."""
    before = [("system", "A keeper of lights."), ("system", "[Start a new Chat]")]
    return [{"role": role, "content": text} for role, text in [*before, *said]]


def spoken_in(messages: list[dict[str, Any]]) -> list[list[Any]]:
    """What the server takes out of a request's texts: here the placeholder of strict post-processing."""
    return spoken(messages, (), NAMES, Markers())


@dataclass(frozen=True)
class Kept:
    """What a turn left: the session it was given and its whole path."""

    session: Session
    path: list[Message]


class Memory:
    """One data folder and everything that a turn goes through on its way there."""

    def __init__(
        self, root: FilePath, catalog: Catalog, transcript: SqliteTranscript, aligner: Aligner
    ) -> None:
        self.catalog = catalog
        self.transcript = transcript
        self.sessions = Sessions(transcript, catalog, aligner)
        self.embedder = HashEmbedder()
        self.vectors = ExactVectors(root, self.embedder.weights_hash, DIMENSION)
        codec = TokenCodec.open(self.embedder.weights_hash, DIMENSION)
        self.codes = SqliteTokenCodes(root, codec.key)
        self._derive = Derive(transcript, self.vectors, self.codes, self.embedder, codec, Calm())
        self._reconcile = Reconcile(transcript, aligner)
        self._store = Store(transcript, RamWorkingMemory(20))
        self._turns = 0

    @classmethod
    async def open(cls, root: FilePath, aligner: Aligner = align) -> Memory:
        catalog = Catalog.open(root)
        return cls(root, catalog, await SqliteTranscript.open(root, catalog), aligner)

    async def close(self) -> None:
        await self.vectors.close()
        await self.transcript.close()
        self.catalog.close()

    async def turn(
        self,
        messages: list[dict[str, Any]],
        replies: Sequence[str] = (),
        *,
        kind: Kind = "normal",
        chat_id: str = "",
        character: str = "Mira",
        owner: str = "local",
    ) -> Kept:
        """A turn that is stored, and what follows from its outbox."""
        request = self._request(messages, kind, chat_id, character, owner)
        async with self.sessions.turn(request) as assignment:
            turn = Turn(
                messages,
                kind=kind,
                session_id=assignment.session_id,
                tree_id=assignment.key.tree_id,
                forked_from=assignment.forked_from,
                turn_id=self._turn_id(),
                chat_id=chat_id,
                character=character,
                user_name="Alex",
                names=list(NAMES),
                spoken=spoken_in(messages),
            )
            runtime = Runtime(context=TurnContext(owner=owner))
            state = await self._reconciled(turn, runtime)
            answered = [{"text": text, "remembered": True} for text in replies]
            state = replace(state, replies=answered)
            await self._store(state, runtime)
        await self.settle(assignment.key)
        session = await self.transcript.session(owner, assignment.session_id)
        assert session is not None
        return Kept(session, await self.transcript.messages(session.key, list(session.path)))

    async def replay(self, said: Sequence[tuple[str, str]]) -> Kept:
        """These messages, role and text, as the one request of a chat beside which nothing is known."""
        last = [text for role, text in said[-1:] if role == "assistant" and len(said) > 1]
        messages = as_delivered(said[: len(said) - len(last)])
        return await self.turn(messages, last, chat_id="replay", owner=f"owner-{self._turns}")

    async def look(self, messages: list[dict[str, Any]], *, kind: Kind, chat_id: str = "") -> None:
        """A request that writes nothing, or one that failed at the provider."""
        request = self._request(messages, kind, chat_id, "Mira", "local")
        found = await self.sessions.find(request)
        turn = Turn(
            messages,
            kind=kind,
            session_id=found.session_id,
            tree_id=found.key.tree_id,
            forked_from=found.forked_from,
            turn_id=self._turn_id(),
            user_name="Alex",
            names=list(NAMES),
            spoken=spoken_in(messages),
        )
        await self._reconciled(turn, Runtime(context=TurnContext()))

    async def _reconciled(self, turn: Turn, runtime: Runtime[TurnContext]) -> TurnState:
        given = turn.as_input()
        state = TurnState(messages=given["messages"], request=given["request"])
        update = await self._reconcile(state, runtime)
        return replace(state, **update)

    @staticmethod
    def _request(
        messages: list[dict[str, Any]], kind: Kind, chat_id: str, character: str, owner: str
    ) -> Request:
        window = incoming(Turn(messages, spoken=spoken_in(messages)).as_spoken(), NAMES, "Alex")
        return Request(owner, window, chat_id=chat_id, character=character, continues=kind == "continue")

    def _turn_id(self) -> str:
        self._turns += 1
        return f"turn-{self._turns}"

    async def settle(self, key: TreeKey) -> None:
        """Work off the outbox of a tree."""
        jobs = await self.transcript.jobs(key, limit=10_000, now=math.inf)
        outcome = await self._derive(key, jobs)
        assert not outcome.failed
        await self.transcript.finish_jobs(key, [job.id for job in outcome.done])

    async def found(self, session: Session, query: str) -> list[tuple[float, int]]:
        """Everything on a session's path by what retrieval ranks it: cosine and BM25 added, and message id."""
        path = Path(session.path.ranges)
        cosines = await self.vectors.similarities(session.key, "message", embedding(query), path)
        lines = await self.transcript.tree_lines(session.key)
        impacts, _ = lines.impacts(terms(query), path)
        return list(zip((cosines + impacts.sum(axis=0)).tolist(), path, strict=True))

    async def stored(self, key: TreeKey) -> list[Message]:
        """Every message of a tree, on a path or not."""
        tree = await self.transcript.tree(key)
        ids = []
        while len(ids) + 1 in tree:  # type: ignore[operator]
            ids.append(len(ids) + 1)
        return await self.transcript.messages(key, ids)
