"""The worker: does what follows from a turn, beside the turns, until the outbox of every tree is empty."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager

from memory.derive import Derive, Outcome
from memory.stored import Job, JobKind, TreeKey
from memory.transcript import Transcript

BATCH = 16
"""Jobs of one tree before the next tree has its turn."""
FIRST_DELAY = 30.0
LONGEST_DELAY = 3600.0
"""Seconds after which a failed job is tried again; doubled every time up to the longest."""
PATIENCE = 5.0
"""Seconds that closing waits for a summary; it is written at the next start otherwise."""

log = logging.getLogger(__name__)


class Worker:
    """Embeddings and emotions first, a batch of each tree in turn; then summaries, one at a time, and only
    while no user's turn is running. A job that fails is tried again later; nobody is shown that."""

    def __init__(
        self,
        transcript: Transcript,
        derive: Derive,
        summarise: Callable[[TreeKey, Job], Awaitable[None]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`summarise` stores a summary or drops its job. `clock` gives Unix seconds."""
        self._transcript = transcript
        self._derive = derive
        self._summarise = summarise
        self._clock = clock
        self._awake: dict[TreeKey, None] = {}
        self._unsummarised: dict[TreeKey, None] = {}
        self._later: dict[TreeKey, float] = {}
        self._failing: dict[str, str] = {}
        self._users = 0
        self._closing = False
        self._stir = asyncio.Event()
        self._idle = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._summary: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Take up every tree that has jobs, those left by an earlier process too."""
        self._task = asyncio.create_task(self._run(), name="worker")

    def wake(self, key: TreeKey) -> None:
        """There may be work in this tree's outbox."""
        self._awake[key] = None
        self._idle.clear()
        self._stir.set()

    async def idle(self) -> None:
        """Wait until nothing is due in any tree; jobs postponed after a failure are not due."""
        await self._idle.wait()

    @contextmanager
    def busy_with_user(self) -> Iterator[None]:
        """No summary is begun inside."""
        self._users += 1
        try:
            yield
        finally:
            self._users -= 1
            self._stir.set()

    @property
    def failing(self) -> Mapping[str, str]:
        """The kinds of job that failed when last tried, and why."""
        return self._failing

    async def close(self) -> None:
        """Finish the job in hand; what is left stays in the outbox."""
        self._closing = True
        self._derive.stop()
        self._stir.set()
        if self._task is not None:
            await self._task
        if self._summary is not None:
            await asyncio.wait({self._summary}, timeout=PATIENCE)
            self._summary.cancel()

    async def _run(self) -> None:
        while not self._closing and not await self._guarded("outbox", self._find_work()):
            await self._rest(self._clock() + FIRST_DELAY)
        while not self._closing:
            for key in [key for key, due in self._later.items() if due <= self._clock()]:
                del self._later[key]
                self._awake[key] = None
            if self._awake:
                await self._serve(next(iter(self._awake)))
            elif self._unsummarised and self._summary is None and not self._users:
                key = next(iter(self._unsummarised))
                self._summary = asyncio.create_task(self._summarise_next(key), name="summary")
            else:
                if not self._unsummarised and self._summary is None:
                    self._idle.set()
                await self._rest(min(self._later.values(), default=math.inf))

    async def _find_work(self) -> None:
        for key in await self._transcript.trees_with_jobs():
            self._awake[key] = None

    async def _rest(self, due: float) -> None:
        """Until something changed or it is `due`."""
        try:
            async with asyncio.timeout(None if due == math.inf else max(0.0, due - self._clock())):
                await self._stir.wait()
        except TimeoutError:
            self._idle.clear()
        self._stir.clear()

    async def _serve(self, key: TreeKey) -> None:
        """One batch of a tree; it goes to the end of the line if there may be more."""
        del self._awake[key]
        if not await self._guarded("outbox", self._serve_batch(key)):
            self._later[key] = self._clock() + FIRST_DELAY

    async def _serve_batch(self, key: TreeKey) -> None:
        jobs = await self._transcript.jobs(key, limit=BATCH, now=self._clock())
        derived = [job for job in jobs if job.kind != "summarise"]
        if derived:
            await self._settle(key, await self._derive(key, derived))
            self._awake[key] = None
        elif jobs:
            self._unsummarised[key] = None
        elif postponed := await self._transcript.jobs(key, limit=BATCH, now=math.inf):
            self._later[key] = min(job.due_at for job in postponed)

    async def _summarise_next(self, key: TreeKey) -> None:
        """The first due summary of a tree, if there is one still."""
        try:
            jobs = await self._transcript.jobs(key, limit=BATCH, now=self._clock())
            for job in [job for job in jobs if job.kind == "summarise"][:1]:
                try:
                    await self._summarise(key, job)
                    self._works(job.kind)
                except Exception as error:
                    await self._postpone(key, job, error)
        except Exception as error:
            self._fails("outbox", error)
            self._later[key] = self._clock() + FIRST_DELAY
        else:
            self._awake[key] = None
        finally:
            del self._unsummarised[key]
            self._summary = None
            self._stir.set()

    async def _settle(self, key: TreeKey, outcome: Outcome) -> None:
        for job, error in outcome.failed:
            await self._postpone(key, job, error)
        await self._transcript.finish_jobs(key, [job.id for job in outcome.done])
        for kind in {job.kind for job in outcome.done} - {job.kind for job, _ in outcome.failed}:
            self._works(kind)

    async def _postpone(self, key: TreeKey, job: Job, error: Exception) -> None:
        self._fails(job.kind, error)
        due = self._clock() + min(FIRST_DELAY * 2 ** min(job.attempts, 10), LONGEST_DELAY)
        await self._transcript.postpone_job(key, job.id, due, f"{type(error).__name__}: {error}")

    async def _guarded(self, kind: str, work: Awaitable[None]) -> bool:
        """Whether the work was done; the outbox itself may be out of reach for a while."""
        try:
            await work
        except Exception as error:
            self._fails(kind, error)
            return False
        self._works(kind)
        return True

    def _fails(self, kind: JobKind | str, error: Exception) -> None:
        reason = type(error).__name__
        if not self._failing.get(kind, "").startswith(f"{reason}:"):
            log.warning("%s fails and is tried again later", kind, exc_info=error)
        self._failing[kind] = f"{reason}: {error}"

    def _works(self, kind: JobKind | str) -> None:
        if self._failing.pop(kind, None) is not None:
            log.info("%s works again", kind)
