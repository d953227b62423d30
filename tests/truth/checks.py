"""What must hold after each request, besides that the path is what was shown."""

from __future__ import annotations

from collections import Counter

from tests.truth.held import Kept
from tests.truth.lines import Line, is_led, is_of_nobody, lines_of, merged, near, plain, said_in
from tests.truth.memory_under_test import Memory, as_delivered
from tests.truth.world import World


async def holds_nothing_twice(world: World) -> None:
    """The tree of the last request's session holds nothing twice."""
    kept = world.kept
    for said in world.chat.said:
        for n, text in enumerate(said.swipes):
            world.origins[said.role, plain(text)].add((said.origin, n))
    for shown in world.chat.shown:
        if shown.text not in shown.said.swipes:
            world.origins[shown.said.role, plain(shown.text)].add((shown.said.origin, -1))
    tree = await world.memory.stored(kept.session.key)
    seen: Counter[tuple[Line, str]] = Counter()
    for message in (m for m in tree if not m.unsettled and said_in(m)):
        written = message.text if is_of_nobody(message) else ""
        seen[(message.role, plain(message.text)), written] += 1
    for (line, _), times in seen.items():
        assert times <= max(1, len(world.origins.get(line, ()))), f"memory has {line} {times} times"


async def is_as_fresh(world: World, fresh: Memory) -> None:
    """The path that requests have shown, in one request to a memory that knows nothing else.

    It holds the same messages in the same order, and the same list is retrieved for each query. Lists
    are compared where both hold the same single messages: not while post-processing has merged some, or
    glued text to one that is not settled, nor where a name that nobody was known by is part of a text.
    """
    lines = [(s.said.role, s.text) for s in world.chat.shown]
    kept = await fresh.replay(lines)
    read = ((world.kept, world.said_of), (kept, said_in))
    held = [[(m.role, said) for m in k.path if (said := says(m))] for k, says in read]
    assert held[0] == held[1] or (world.merging and merged(held[0]) == merged(held[1])), held
    single = not any(m.unsettled or is_led(m) or world.is_in_doubt(m) for m in world.kept.path)
    settled = len(world.kept.path) == len(kept.path) and single
    if held[0] == held[1] and settled:
        for query in ("lantern secret", held[0][0][1], world.rng.choice(held[0])[1]):
            found = [await _found(world.memory, world.kept, query), await _found(fresh, kept, query)]
            assert len(found[0]) == len(lines) and near(*found), found
    world.replays += 1


async def is_as_replayed(world: World, fresh: Memory) -> None:
    """The last chat's path again, turn by turn, in a memory that knows nothing else."""
    lines = lines_of(world.kept_shown)
    first = next((n for n, (role, _) in enumerate(lines) if role == "user"), None)
    if world.merging or first is None or any(map(is_led, world.kept.path)):
        return
    kept = None
    for n in range(first, len(lines)):
        answered = n + 1 < len(lines) and lines[n + 1][0] == "assistant"
        if answered or n + 1 == len(lines):
            messages = as_delivered(lines[: n + 1])
            replies = [lines[n + 1][1]] if answered else []
            if answered or lines[n][0] == "user":
                kept = await fresh.turn(messages, replies, chat_id="replay")
    assert kept is not None
    assert [(m.role, plain(m.text)) for m in kept.path] == lines
    for query in ("lantern secret", lines[0][1], lines[-1][1]):
        found = [await _found(fresh, kept, query), await _found(world.memory, world.kept, query)]
        assert near(*found), found


async def _found(memory: Memory, kept: Kept, query: str) -> list[tuple[float, str]]:
    texts = {m.id: plain(m.text) for m in kept.path}
    hits = await memory.found(kept.session, query)
    return sorted((-round(cosine, 3), texts[ref]) for cosine, ref in hits)
