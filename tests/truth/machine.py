"""The machine that hypothesis drives: random sequences of what a user does, in several chats at once."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar
from zlib import crc32

from hypothesis import HealthCheck, Phase, Verbosity, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from memory.align import Aligner, align
from tests.truth.checks import holds_nothing_twice, is_as_fresh, is_as_replayed
from tests.truth.files import Files
from tests.truth.front_end import SUMMARIZE, Style
from tests.truth.memory_under_test import Memory
from tests.truth.user import TEST

STEPS = 30
NUMBER = st.integers(0, 999)
WINDOWS = st.sampled_from([5, 8, 12, 30])
WHO = st.sampled_from([["Mira"], ["Tobias"], ["Mira", "Tobias"]])
PLAIN_STYLES = st.builds(
    Style,
    whitespace=st.sampled_from(["kept", "trimmed", "collapsed"]),
    names=st.sampled_from(["none", "content", "field"]),
    note_depth=st.sampled_from([None, 1, 4]),
    lore=st.booleans(),
    narrator=st.booleans(),
    post_history=st.booleans(),
    prefill=st.booleans(),
    streams=st.booleans(),
)
MODES = ("merge", "semi", "strict", "single")


def styles_of(modes: Sequence[str]) -> st.SearchStrategy[Style]:
    """Styles with post-processing; it merges and glues more where there are names, notes and instructions."""
    return st.builds(
        Style,
        mode=st.sampled_from(modes),
        whitespace=st.sampled_from(["kept", "trimmed"]),
        names=st.sampled_from(["none", "content"]),
        note_depth=st.sampled_from([None, 2]),
        narrator=st.booleans(),
        lore=st.booleans(),
        post_history=st.booleans(),
        prefill=st.sampled_from([False, False, True]),
    ).map(lambda style: replace(style, prefill=style.prefill and style.mode != "single"))


RAM = Path("/dev/shm")
"""A commit waits for the disk: a folder in RAM, where there is one, makes ten thousand of them quick."""


class InlineLoop(asyncio.SelectorEventLoop):
    """An event loop that does at once what is meant for a thread: there is nothing to wait for meanwhile."""

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        """Any: as in the base class."""
        done = self.create_future()
        asyncio._set_running_loop(None)
        try:
            done.set_result(func(*args))
        except Exception as error:
            done.set_exception(error)
        finally:
            asyncio._set_running_loop(self)
        return done


class FrontEndMachine(RuleBasedStateMachine):
    """One sequence; `sequences`, `requests` and `replays` count over all that ran."""

    aligner: ClassVar[Aligner] = staticmethod(align)
    styles: ClassVar[st.SearchStrategy[Style]] = st.just(Style())
    sequences: ClassVar[int] = 0
    requests: ClassVar[int] = 0
    replays: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(dir=RAM if RAM.is_dir() else None))
        self.loop = InlineLoop()
        self.memory: Memory = self.run(Memory.open(self.folder, type(self).aligner))
        self.fresh: Memory = self.run(Memory.open(self.folder / "fresh"))

    @classmethod
    def counts(cls) -> tuple[int, int, int]:
        return cls.sequences, cls.requests, cls.replays

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:  # Any: whatever it returns
        return self.loop.run_until_complete(coroutine)

    def do(self, action: Coroutine[Any, Any, None]) -> None:
        """An action that may send a request, and what must hold after it."""
        before, self.world.agreed = self.world.requests, False
        self.run(action)
        if self.world.requests > before:
            self.run(holds_nothing_twice(self.world))
            self.run(is_as_fresh(self.world, self.fresh))
        self.world.agreed = True

    def teardown(self) -> None:
        type(self).sequences += 1
        try:
            if hasattr(self, "world"):
                type(self).requests += self.world.requests
                type(self).replays += self.world.replays
            if hasattr(self, "world") and self.world.requests and self.world.agreed and self.to_the_end:
                self.run(is_as_replayed(self.world, self.fresh))
                self.run(self._is_the_same_elsewhere())
        finally:
            self._close()

    async def _is_the_same_elsewhere(self) -> None:
        elsewhere = await Memory.open(self.folder / "elsewhere")
        try:
            await self.world.is_the_same_elsewhere(elsewhere)
        finally:
            await elsewhere.close()

    def _close(self) -> None:
        self.run(self.memory.close())
        self.run(self.fresh.close())
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()
        shutil.rmtree(self.folder)

    @initialize(
        data=st.data(), seed=NUMBER, window=WINDOWS, told=st.sampled_from(["nothing", "id", "everything"])
    )
    def begin(self, data: st.DataObject, seed: int, window: int, told: str) -> None:
        self.to_the_end = seed % 4 == 0
        style, extension = data.draw(self.styles), told == "everything"
        self.world = Files(self.memory, seed, style, window, extension=extension)
        self.world.start_chat(["Mira"], "" if told == "nothing" else "chat-1")

    @rule()
    def send(self) -> None:
        self.do(self.world.send())

    @rule()
    def send_again(self) -> None:
        self.do(self.world.send())

    @rule(n=st.integers(2, 3))
    def send_several(self, n: int) -> None:
        for _ in range(n):
            self.do(self.world.send())

    @rule()
    def regenerate(self) -> None:
        self.do(self.world.regenerate())

    @rule(replies=st.sampled_from([1, 1, 2]))
    def swipe(self, replies: int) -> None:
        self.do(self.world.swipe(replies))

    @rule(n=NUMBER)
    def swipe_back_and_send(self, n: int) -> None:
        self.do(self.world.swipe_back(n))
        self.do(self.world.send())

    @rule(n=NUMBER)
    def swipe_back(self, n: int) -> None:
        self.do(self.world.swipe_back(n))

    @rule(n=NUMBER, append=st.booleans())
    def edit(self, n: int, append: bool) -> None:
        self.do(self.world.edit(n, append=append))

    @rule(n=st.integers(1, 6))
    def delete_last(self, n: int) -> None:
        self.do(self.world.delete_last(n))

    @rule(n=NUMBER)
    def delete(self, n: int) -> None:
        self.do(self.world.delete(n))

    @rule(n=NUMBER)
    def hide(self, n: int) -> None:
        self.do(self.world.hide(n))

    @rule(n=NUMBER)
    def unhide(self, n: int) -> None:
        self.do(self.world.unhide(n))

    @rule(n=NUMBER, ids=st.sampled_from(["inherited", "none", "own"]))
    def branch(self, n: int, ids: str) -> None:
        own = f"chat-{len(self.world.chats) + 1}"
        inherited = own if self.world.tagged else self.world.chat.chat_id
        chat_id = {"inherited": inherited, "none": "", "own": own}[ids]
        self.do(self.world.branch(n, chat_id))

    @rule(who=WHO, with_id=st.booleans(), greeting=st.booleans())
    def new_chat(self, who: list[str], with_id: bool, greeting: bool) -> None:
        if len(self.world.chats) < 4:
            chat_id = f"chat-{len(self.world.chats) + 1}" if with_id else ""
            self.world.start_chat(who, chat_id, *([] if greeting else [""]))

    @rule(who=WHO)
    def new_chat_of_the_same_name(self, who: list[str]) -> None:
        chat_id = self.world.id_of_others(who)
        if chat_id and len(self.world.chats) < 4:
            self.world.start_chat(who, chat_id)
            self.do(self.world.send())

    @rule(n=NUMBER)
    def switch(self, n: int) -> None:
        self.do(self.world.switch(n))

    @rule(n=NUMBER)
    def switch_and_send(self, n: int) -> None:
        self.do(self.world.switch(n))
        self.do(self.world.send())

    @rule(n=st.integers(0, 1))
    def speak(self, n: int) -> None:
        self.do(self.world.speak(n))

    @rule()
    def continue_reply(self) -> None:
        self.do(self.world.continue_reply())

    @rule()
    def impersonate(self) -> None:
        self.do(self.world.impersonate())

    @rule(prompt=st.sampled_from([SUMMARIZE, "Where is the lantern?"]))
    def ask_quietly(self, prompt: str) -> None:
        self.do(self.world.ask_quietly(prompt))

    @rule(text=st.sampled_from([TEST, "Name a colour."]))
    def ask_raw(self, text: str) -> None:
        self.do(self.world.ask_raw(text))

    @rule()
    def fail(self) -> None:
        self.do(self.world.send_and_fail())

    @rule()
    def retry(self) -> None:
        self.do(self.world.retry())

    @rule(keep=st.sampled_from(["part", "trimmed", "nothing"]))
    def stop(self, keep: str) -> None:
        self.do(self.world.send_and_stop(keep))

    @rule(n=NUMBER)
    def send_with_moved(self, n: int) -> None:
        self.do(self.world.send_with_moved(n))

    @rule(times=st.sampled_from([1, 2]))
    def import_file(self, times: int) -> None:
        self.do(self.world.import_file(times))

    @rule(window=WINDOWS)
    def resize(self, window: int) -> None:
        self.world.window = window

    @rule(data=st.data())
    def set_up(self, data: st.DataObject) -> None:
        self.world.set_up(data.draw(self.styles))


def machine(styles: st.SearchStrategy[Style], aligner: Aligner = align) -> type[FrontEndMachine]:
    """A machine of its own, with its own counts."""
    return type("Machine", (FrontEndMachine,), {"styles": styles, "aligner": staticmethod(aligner)})


def drive(of: type[FrontEndMachine], sequences: int, seed: int, *, shrink: bool = True) -> None:
    """Run so many sequences of `STEPS` actions, the same ones for the same seed.

    Raises what the first failing one raised.
    """
    run_state_machine_as_test(
        seeded(seed)(of),
        settings=settings(
            max_examples=sequences,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            phases=(Phase.generate, Phase.shrink) if shrink else (Phase.generate,),
            verbosity=Verbosity.normal,
            suppress_health_check=list(HealthCheck),
            print_blob=False,
            report_multiple_bugs=False,
        ),
    )


def counted(sequences: int, requests: int, replays: int) -> str:
    return f"{sequences} sequences, {requests} requests compared, {replays} of them with a fresh replay"


def seed_of(name: str, number: int = 0) -> int:
    """The seed of a set-up's sequences: each set-up has others, the same everywhere."""
    return crc32(f"{name} {number}".encode())
