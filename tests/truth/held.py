"""What a memory holds: its data folder, opened, and what is read of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Self

from memory.align import Aligner, align
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
from memory.working import RamWorkingMemory
from models.token_codes import TokenCodec
from nodes.reconcile import Reconcile
from nodes.store import Store
from tests.truth.chat import clock
from tests.truth.hash_embedder import DIMENSION, Calm, HashEmbedder, embedding


class Awake:
    """What has work in its outbox."""

    def __init__(self) -> None:
        self.awake: set[TreeKey] = set()

    def wake(self, key: TreeKey) -> None:
        self.awake.add(key)


@dataclass(frozen=True)
class Kept:
    """What a turn left: the session it was given and its whole path."""

    session: Session
    path: list[Message]
    lines_left: int
    """Lines of its tree that forks without id left behind."""


class Held:
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
    async def open(cls, root: FilePath, aligner: Aligner = align) -> Self:
        catalog = Catalog.open(root)
        return cls(root, catalog, await SqliteTranscript.open(root, catalog, clock=clock), aligner)

    async def close(self) -> None:
        await self.vectors.close()
        await self.transcript.close()
        self.library.close()
        self.catalog.close()

    async def kept(self, owner: str, session_id: str) -> Kept:
        """A session as it is now."""
        session = await self.transcript.session(owner, session_id)
        assert session is not None
        messages = await self.transcript.messages(session.key, list(session.path))
        lines = await self.transcript.lines(session.key)
        return Kept(session, messages, sum(line.left_behind for line in lines))

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
