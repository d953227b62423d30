"""One sequence of actions: its folder, its memories, and what must hold after each action."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine

from memory.align import Aligner, align
from tests.truth.checks import holds_nothing_twice, is_as_fresh, is_as_replayed
from tests.truth.files import Files
from tests.truth.front_end import Style
from tests.truth.inline_loop import InlineLoop
from tests.truth.memory_under_test import Memory

RAM = Path("/dev/shm")
"""A commit waits for the disk: a folder in RAM, where there is one, makes ten thousand of them quick."""


class Sequence(RuleBasedStateMachine):
    """One sequence; `sequences`, `requests` and `replays` count over all that ran."""

    world: Files
    to_the_end: bool
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
