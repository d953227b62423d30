"""Runs turns: each is a task of its own, so that a client that leaves never cancels what must be stored."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from graph.build import build_foresight, build_graph
from graph.checkpoints import forget_after, forget_recalled, latest, prune, thread
from graph.context import TurnContext
from graph.errors import EmotionalRagError
from graph.resources import Resources
from graph.state import STORED_KINDS, Turn, TurnInput
from graph.stops import Stops
from memory.assignment import Assignment, Request
from memory.stored import TreeKey
from server.chat.streaming import Channel, Failed, Kept

log = logging.getLogger(__name__)

STREAM_MODES: list[Literal["custom", "updates"]] = ["custom", "updates"]
ACTIVE_FOR = 900.0
"""Seconds after its last turn during which a session counts as active."""

SOMEBODY = "User"
"""The name of a user who has none."""


@dataclass(eq=False)
class Run:
    """One turn under way; the session and the change of its turn are known from its first event on."""

    turn: Turn
    context: TurnContext
    streamed: bool
    stops: Stops
    events: Channel = field(default_factory=Channel)
    change: str = ""
    reasons: dict[int, str] = field(default_factory=dict)
    usage: dict[str, int] = field(default_factory=dict)
    stored: bool = False
    explain: bool = False
    memories: list[dict[str, Any]] = field(default_factory=list)
    """What `rerank` found, then those of it that are in the prompt (Any: as in the state)."""
    sources: set[tuple[str, str]] = field(default_factory=set)
    """Tree and session of the other chats that something was found in."""

    def stop(self) -> None:
        """End the provider's stream; what was said so far is the answer, and is stored."""
        self.stops.stop(self.turn.turn_id, keep=True)

    def client_left(self) -> None:
        """Stop, and go on through `store` without anybody reading; only text that was streamed is kept."""
        self.stops.stop(self.turn.turn_id, keep=self.streamed)
        self.events.abandon()

    def assign(self, assignment: Assignment, request: Request) -> None:
        """Tell the turn which session it belongs to.

        A session that the OpenAI field `user` selects is named after that user; once a request of it brings
        history it is not, so that the client's next chat does not begin in it.
        """
        if request.user and not request.chat_id and len(request.window) > 1:
            before = assignment.session.user_name if assignment.session else ""
            if request.user == (self.turn.user_name or before):
                self.turn.user_name = SOMEBODY
        self.turn.session_id = assignment.session_id
        self.turn.tree_id = assignment.key.tree_id
        self.turn.forked_from = assignment.forked_from
        self.turn.again = self.turn.again or assignment.asks_again
        self.change = assignment.alignment.change

    def kept(self) -> Kept:
        """The end of the answer."""
        return Kept(self.reasons, self.usage, self.memories if self.explain else None)

    async def take(self, mode: str, chunk: Any) -> None:
        """One item of the graph's stream (Any: JSON, of the shape that its mode has)."""
        if mode == "updates":
            self.stored = self.stored or "store" in chunk
            self.usage = (chunk.get("generate") or {}).get("usage") or self.usage
            self.memories = (chunk.get("rerank") or {}).get("memories") or self.memories
            self.sources |= {(m["tree_id"], m["session_id"]) for m in self.memories if m.get("session_id")}
            if "budget" in chunk:
                self.memories = [self.memories[n] for n in chunk["budget"]["recalled"]]
        elif chunk["type"] == "delta":
            await self.events.put(chunk)
        elif chunk["type"] == "end":
            self.reasons[int(chunk["index"])] = str(chunk["finish_reason"])


class Turns:
    """Starts turns, and waits for them when the server ends."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._graph = build_graph(resources, checkpointer=resources.checkpointer)
        self._fleeting = build_graph(resources)
        self._foresight = build_foresight(resources)
        self._foreseen: set[asyncio.Task[None]] = set()
        self._running: dict[asyncio.Task[None], Run] = {}
        self._last_turn: dict[str, float] = {}

    @property
    def running(self) -> list[Run]:
        return list(self._running.values())

    def active_sessions(self) -> int:
        """How many sessions had a turn in the last minutes."""
        since = time.monotonic() - ACTIVE_FOR
        self._last_turn = {name: at for name, at in self._last_turn.items() if at > since}
        return len(self._last_turn)

    def start(
        self, turn: Turn, request: Request, context: TurnContext, *, streamed: bool, explain: bool = False
    ) -> tuple[Run, asyncio.Task[None]]:
        """Begin a turn; what happens arrives in `Run.events`, errors included."""
        run = Run(turn, context, streamed, self._resources.stops, explain=explain)
        task = asyncio.create_task(self._run(run, request), name=f"turn {turn.turn_id}")
        self._running[task] = run
        task.add_done_callback(self._running.pop)
        return run, task

    async def finish(self, grace: float) -> None:
        """Let the turns under way end; after `grace` seconds stop them, then stop waiting for readers."""
        for end in (Run.stop, Run.client_left):
            await self._wait(grace)
            for run in self.running:
                end(run)
        await self._wait(grace)
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _wait(self, seconds: float) -> None:
        if self._running:
            await asyncio.wait(self._running, timeout=seconds)

    async def _run(self, run: Run, request: Request) -> None:
        began = time.monotonic()
        try:
            with self._resources.stops.turn(run.turn.turn_id), self._resources.worker.busy_with_user():
                await self._turn(run, request)
        except EmotionalRagError as error:
            log.warning("turn %s: %s: %s", run.turn.turn_id, type(error).__name__, error)
            await run.events.put(Failed(error))
        except Exception as error:
            log.exception("turn %s failed", run.turn.turn_id)
            await run.events.put(Failed(error))
        if run.stored:
            self._last_turn[run.turn.session_id] = time.monotonic()
        took = time.monotonic() - began
        log.info("turn %s: %s %s in %.2f s", run.turn.turn_id, run.turn.kind, run.change, took)

    async def _turn(self, run: Run, request: Request) -> None:
        sessions = self._resources.sessions
        if run.turn.kind in STORED_KINDS:
            async with sessions.turn(request) as assignment:
                is_turn = not assignment.is_beside(request)
                if is_turn:
                    run.assign(assignment, request)
                    with self._resources.assigned.turn(run.turn.turn_id, request, assignment):
                        self._foresee(run)
                        await self._stored_turn(run)
            if is_turn:
                return
            run.turn.kind = "raw"
        if run.turn.kind not in ("quiet", "impersonate"):
            await self._fleeting_turn(run)
            return
        assignment = await sessions.find(request)
        run.assign(assignment, request)
        with self._resources.assigned.turn(run.turn.turn_id, request, assignment):
            self._foresee(run)
            await self._fleeting_turn(run)

    def _foresee(self, run: Run) -> None:
        """Begin what needs no run; should it fail, the run meets the same error and tells it."""
        task = asyncio.create_task(self._foresight(run.turn, run.context))
        self._foreseen.add(task)
        task.add_done_callback(self._foreseen.discard)
        task.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def _fleeting_turn(self, run: Run) -> None:
        """Run without storing anything."""
        stream = self._fleeting.astream(_input(run.turn), context=run.context, stream_mode=STREAM_MODES)
        async for mode, chunk in stream:
            await run.take(mode, chunk)
        await run.events.put(run.kept())

    async def _stored_turn(self, run: Run) -> None:
        """Run until `store` committed, acknowledge, then do what is not part of the turn."""
        saver, thread_id = self._resources.checkpointer, f"{run.context.owner}:{run.turn.session_id}"
        before = await latest(saver, thread_id)
        try:
            await self._until_stored(run)
        except BaseException:
            await forget_after(saver, thread_id, before)
            raise
        await run.events.put(run.kept())
        try:
            await self._afterwards(run)
        except Exception:
            log.exception("turn %s is stored; what follows it failed", run.turn.turn_id)
        await self._forget_what_was_deleted(run, thread_id)

    async def _forget_what_was_deleted(self, run: Run, thread_id: str) -> None:
        """A chat that was deleted while this turn recalled it is in no checkpoint of the turn's either."""
        for tree_id, session_id in run.sources:
            if await self._resources.transcript.session(run.context.owner, session_id) is None:
                await forget_recalled(self._resources.checkpointer, thread_id, tree_id)

    async def _until_stored(self, run: Run) -> None:
        stream = self._graph.astream(
            _input(run.turn),
            thread(run.context.owner, run.turn.session_id),
            context=run.context,
            stream_mode=STREAM_MODES,
            durability="exit",
            interrupt_after=["store"],
        )
        async for mode, chunk in stream:
            await run.take(mode, chunk)
        if not run.stored:
            raise RuntimeError("the run ended before it stored the turn")

    async def _afterwards(self, run: Run) -> None:
        config = thread(run.context.owner, run.turn.session_id)
        await self._graph.ainvoke(None, config, context=run.context, durability="exit")
        await prune(
            self._resources.checkpointer,
            config["configurable"]["thread_id"],
            self._resources.settings.checkpoint_turns,
        )
        self._resources.worker.wake(TreeKey(run.context.owner, run.turn.tree_id))


def _input(turn: Turn) -> TurnInput:
    """LangGraph takes an input as a dict too; a dataclass would stand in the checkpoint as one."""
    return cast(TurnInput, turn.as_input())
