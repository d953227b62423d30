"""Live memory as a server has it, without HTTP or model: transcript, sessions, reconcile, store, vectors."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import blake2b
from io import BytesIO
from pathlib import Path as FilePath
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from langgraph.runtime import Runtime

from graph.build import after_generate
from graph.context import TurnContext
from graph.resources import Resources
from graph.state import STORED_KINDS, Kind, Turn, TurnState
from memory.align import Aligner, align
from memory.assignment import Assignment, Request
from memory.catalog import Catalog
from memory.derive import Derive
from memory.library import Library
from memory.path import Path
from memory.ranking.words import terms
from memory.sessions import Sessions
from memory.stored import Message, Session, TreeKey
from memory.token_codes_sqlite import SqliteTokenCodes
from memory.transcript_sqlite import SqliteTranscript
from memory.vectors_exact import ExactVectors
from memory.whose import ANYBODY
from memory.working import RamWorkingMemory
from models.emotion import Emotion
from models.encoding import Encoding, unit
from models.token_codes import TokenCodec
from nodes.reconcile import Reconcile
from nodes.store import Store
from server.chat.protocol import parse
from server.chat.router import session_request, turn_of
from server.sessions import events
from server.sessions.lookup import to_export
from server.sessions.protocol import ChatEvent
from server.sillytavern import Markers, interpret, told_whose
from server.sillytavern.spoken import spoken
from server.transfer.chat_file import About
from server.transfer.export import write_export
from server.transfer.progress import Progress
from server.transfer.receive import import_file
from server.transfer.report import Report
from tests.truth.chat import clock

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


def _assign(turn: Turn, assignment: Assignment) -> None:
    turn.session_id, turn.tree_id = assignment.session_id, assignment.key.tree_id
    turn.forked_from = assignment.forked_from


class Awake:
    """What has work in its outbox."""

    def __init__(self) -> None:
        self.awake: set[TreeKey] = set()

    def wake(self, key: TreeKey) -> None:
        self.awake.add(key)


class ProviderFailed(Exception):
    """What a turn ends with that nobody answers."""


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
        self.library = Library(root, catalog.whose_chats)
        self.transcript = transcript
        self.sessions = Sessions(transcript, catalog, aligner)
        self.embedder = HashEmbedder()
        self.vectors = ExactVectors(root, self.embedder.weights_hash, DIMENSION)
        codec = TokenCodec.open(self.embedder.weights_hash, DIMENSION)
        self.codes = SqliteTokenCodes(root, codec.key)
        self._derive = Derive(transcript, self.vectors, self.codes, self.embedder, codec, Calm())
        self._reconcile = Reconcile(transcript, aligner)
        self.working = RamWorkingMemory(20)
        self.worker = Awake()
        self._store = Store(transcript, self.working)
        self._turns = 0

    @classmethod
    async def open(cls, root: FilePath, aligner: Aligner = align) -> Memory:
        catalog = Catalog.open(root)
        return cls(root, catalog, await SqliteTranscript.open(root, catalog, clock=clock), aligner)

    async def close(self) -> None:
        await self.vectors.close()
        await self.transcript.close()
        self.library.close()
        self.catalog.close()

    async def ask(
        self,
        body: dict[str, Any],  # Any: OpenAI's JSON
        headers: Mapping[str, str],
        replies: Sequence[str] | None,
        markers: Markers,
    ) -> Kept | None:
        """A request as the server takes it; None where nothing is stored: of its kind, or as the provider
        fails (`replies` None)."""
        asked = parse(json.dumps(body).encode())
        meant = interpret(asked.body, headers, "", markers)
        turn = turn_of(asked, meant)
        request = session_request(turn, told_whose(asked.body, headers))
        try:
            if turn.kind in STORED_KINDS:
                return await self._stored(turn, request, replies)
            if turn.kind in ("quiet", "impersonate"):
                _assign(turn, await self.sessions.find(request))
            await self._run(turn, replies, "local")
        except ProviderFailed:
            pass
        return None

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
        """A turn of which everything is known that a request may tell, and what follows from its outbox."""
        turn = Turn(
            messages,
            kind=kind,
            turn_id=self._turn_id(),
            chat_id=chat_id,
            character=character,
            user_name="Alex",
            names=list(NAMES),
            spoken=spoken_in(messages),
        )
        request = session_request(turn, ANYBODY)
        return await self._stored(turn, replace(request, owner=owner), replies)

    async def replay(self, said: Sequence[tuple[str, str]]) -> Kept:
        """These messages, role and text, as the one request of a chat beside which nothing is known."""
        last = [text for role, text in said[-1:] if role == "assistant" and len(said) > 1]
        messages = as_delivered(said[: len(said) - len(last)])
        return await self.turn(messages, last, chat_id="replay", owner=f"owner-{self._turns}")

    async def _stored(self, turn: Turn, request: Request, replies: Sequence[str] | None) -> Kept:
        async with self.sessions.turn(request) as assignment:
            _assign(turn, assignment)
            await self._run(turn, replies, request.owner)
        await self.settle(assignment.key)
        return await self.kept(request.owner, turn.session_id)

    async def _run(self, turn: Turn, replies: Sequence[str] | None, owner: str) -> None:
        """The steps of a turn that tell what is stored."""
        runtime = Runtime(context=TurnContext(owner=owner))
        given = turn.as_input()
        state = TurnState(messages=given["messages"], request=given["request"])
        state = replace(state, **await self._reconcile(state, runtime))
        if replies is None:
            raise ProviderFailed
        state = replace(state, replies=[{"text": text, "remembered": True} for text in replies])
        if after_generate(state) == "store":
            await self._store(state, runtime)

    async def tell(self, chat_id: str, event: ChatEvent) -> Kept | None:
        """What a front-end reports between requests; None for a chat that is not stored."""
        taken = await events.take(cast(Resources, self), chat_id, event)
        await self._wake()
        return await self.kept("local", taken.id) if taken.id else None

    async def take_file(self, content: bytes, name: str, *, is_group: bool = False) -> Report:
        """Import a file, whatever it is."""
        about = About(name, group=is_group)
        report = await import_file(cast(Resources, self), BytesIO(content), about, Progress())
        await self._wake()
        return report

    async def export(self) -> bytes:
        """Everything that is stored."""
        file = BytesIO()
        await write_export(self.transcript, await to_export(self, None), file)
        return file.getvalue()

    async def _wake(self) -> None:
        for key in self.worker.awake:
            await self.settle(key)
        self.worker.awake.clear()

    async def kept(self, owner: str, session_id: str) -> Kept:
        """A session as it is now."""
        session = await self.transcript.session(owner, session_id)
        assert session is not None
        return Kept(session, await self.transcript.messages(session.key, list(session.path)))

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
        ids: list[int] = []
        while len(ids) + 1 in tree:  # type: ignore[operator]
            ids.append(len(ids) + 1)
        return await self.transcript.messages(key, ids)
