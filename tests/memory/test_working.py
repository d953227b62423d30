"""Working memory holds the newest messages of a session for exactly one version of it."""

from __future__ import annotations

from memory.stored import Message
from memory.working import RamWorkingMemory


def message(number: int) -> Message:
    return Message(number, None, "user", "", str(number), number, False, "neutral", 0.0, 0.5, "", 0.0)


async def test_the_newest_messages_come_back_oldest_first():
    memory = RamWorkingMemory(3)
    await memory.put("local", "s", 1, [message(n) for n in range(5)])
    assert [m.id for m in await memory.recent("local", "s", 1)] == [2, 3, 4]


async def test_another_version_or_owner_is_not_held():
    memory = RamWorkingMemory(3)
    await memory.put("local", "s", 1, [message(1)])
    assert await memory.recent("local", "s", 2) is None
    assert await memory.recent("other", "s", 1) is None


async def test_the_sessions_longest_unused_fall_out():
    memory = RamWorkingMemory(3, sessions=2)
    for session in ("a", "b"):
        await memory.put("local", session, 1, [message(1)])
    await memory.recent("local", "a", 1)
    await memory.put("local", "c", 1, [message(1)])
    held = [await memory.recent("local", session, 1) is not None for session in "abc"]
    assert held == [True, False, True] and len(memory) == 2


async def test_what_is_dropped_is_gone():
    memory = RamWorkingMemory(3)
    await memory.put("local", "s", 1, [message(1)])
    await memory.drop("local", "s")
    await memory.drop("local", "never held")
    assert await memory.recent("local", "s", 1) is None
