"""Laying out a turn is work that grows with the turn."""

from __future__ import annotations

import time

from memory.incoming import fingerprint
from memory.path import Path
from memory.stored import NewMessage, TreeKey, TurnWrite
from memory.tree_shape import TreeShape
from memory.tree_turn import lay


def laid_in(length: int) -> float:
    """Seconds of the processor for a chat that comes at once."""
    new = [NewMessage("user", "", f"{n}", fingerprint("user", f"{n}")) for n in range(length)]
    path = [[-n - 1] * 2 for n in range(length)]
    write = TurnWrite(TreeKey("local", "t"), "s", "t", path=path, new=new, replies=())
    started = time.process_time()
    lay(write, TreeShape(), 1, Path([]))
    return time.process_time() - started


def test_a_chat_eight_times_as_long_takes_no_sixty_times_as_long() -> None:
    short, long = (min(laid_in(length) for _ in range(3)) for length in (1000, 8000))
    assert long < 24 * short
