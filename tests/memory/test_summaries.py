"""What stands on a path is kept, and is what it would be if every summary were looked at again."""

from __future__ import annotations

from random import Random

import pytest

from memory.path import Path
from memory.stored import Summary, TreeKey, TurnWrite
from memory.tree_summaries import Summaries, standing

KEY = TreeKey("local", "tree")


@pytest.mark.parametrize("seed", range(20))
def test_what_is_kept_of_summaries_is_right_however_path_and_summaries_change(seed):
    random = Random(seed)
    every: list[Summary] = []
    kept = Summaries(every)
    ranges = [[1, 40]]
    answered = 0
    for n in range(120):
        match random.randrange(5):
            case 0:
                first = random.randrange(1, 36)
                every = [*every, Summary(n, [[first, first + random.randrange(5)]], f"{n}", "extractive", 0)]
                kept = kept.and_one(every[-1])
            case 1:
                cut = random.randrange(2, 39)
                ranges = random.choice([[[1, cut]], [[1, cut], [cut + 2, 40]], [[3, 40]], [[1, 40 + n]]])
        path = Path(Path(ranges).between(0))
        known = kept.known(path)
        answered += known is not None
        assert known is None or known == standing(every, path)
        assert kept.standing(path) == standing(every, path)
        assert kept.known(path) == standing(every, path)
    assert answered > 40


async def test_what_is_kept_goes_with_the_chat_that_is_removed(transcript, new):
    def write(session_id, path, line, **more):
        return TurnWrite(KEY, session_id, session_id, [*path, [-1, -1]], [new(line)], [], **more)

    await transcript.commit(write("s", [], "u:hi"))
    await transcript.commit(write("s", [[1, 1]], "a:hello"))
    await transcript.commit(write("t", [[1, 1]], "a:a secret", forked_from="s"))
    await transcript.add_summary(KEY, [[1, 1]], "They met.", "extractive", -1)
    await transcript.add_summary(KEY, [[3, 3]], "A secret was told.", "extractive", -1)
    every = Path([[1, 3]])
    assert len(await transcript.summaries(KEY, every)) == len(await transcript.summaries(KEY, every)) == 2
    await transcript.delete("local", "t")
    assert [s.text for s in await transcript.summaries(KEY, every)] == ["They met."]


async def test_a_summary_of_what_was_removed_while_it_was_written_is_not_stored(transcript, new):
    def write(session_id, path, line, **more):
        return TurnWrite(KEY, session_id, session_id, [*path, [-1, -1]], [new(line)], [], **more)

    await transcript.commit(write("s", [], "u:hi"))
    await transcript.commit(write("t", [[1, 1]], "a:a secret", forked_from="s"))
    await transcript.delete("local", "t")
    await transcript.add_summary(KEY, [[1, 2]], "A secret was told.", "extractive", -1)
    assert await transcript.summaries(KEY, Path([[1, 2]])) == []
    await transcript.commit(write("s", [[1, 1]], "a:hello"))
    assert await transcript.summaries(KEY, Path([[1, 3]])) == []
