"""Stopping is a signal, not a cancellation: a turn that is stopped still runs on through `store`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Stop:
    """The signal of one turn. `keep`: the text sent so far stays in the chat."""

    event: asyncio.Event = field(default_factory=asyncio.Event)
    keep: bool = False


class Stops:
    """The signals of the turns under way, by turn id."""

    def __init__(self) -> None:
        self._turns: dict[str, Stop] = {}

    @contextmanager
    def turn(self, turn_id: str) -> Iterator[Stop]:
        """Hold a turn's signal while it runs."""
        stop = self._turns.setdefault(turn_id, Stop())
        try:
            yield stop
        finally:
            self._turns.pop(turn_id, None)

    def of(self, turn_id: str) -> Stop:
        """The signal of a turn; one that nobody can set where the turn is not held."""
        return self._turns.get(turn_id) or Stop()

    def stop(self, turn_id: str, *, keep: bool) -> bool:
        """Signal a turn to stop; False when it is not under way."""
        stop = self._turns.get(turn_id)
        if stop is None:
            return False
        stop.keep = keep
        stop.event.set()
        return True

    def __len__(self) -> int:
        return len(self._turns)
