"""Token codes are kept in the tree's own file, of one codec, and leave it without a trace."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path as FilePath

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.files import tree_path
from memory.stored import TreeKey
from memory.token_codes import Stored
from memory.token_codes_sqlite import SqliteTokenCodes
from models.token_codes import CODE_BYTES

KEY = TreeKey("local", "tree-1")
OTHER = TreeKey("Müller & Söhne", "tree-1")


def stored(seed: int, *starts: int) -> Stored:
    codes = np.random.default_rng(seed).integers(0, 256, (len(starts), CODE_BYTES)).astype(np.uint8)
    return Stored.at(codes, np.array(starts, np.int32))


@pytest.fixture
def root(tmp_path: FilePath) -> FilePath:
    for key in (KEY, OTHER):
        file = tree_path(tmp_path, key)
        file.parent.mkdir(parents=True, exist_ok=True)
        database = sqlite3.connect(file)
        database.execute("PRAGMA journal_mode=WAL")
        database.close()
    return tmp_path


@pytest.fixture
def codes(root: FilePath) -> SqliteTokenCodes:
    return SqliteTokenCodes(root, "codec")


async def test_codes_come_back_with_where_their_tokens_stand(codes: SqliteTokenCodes) -> None:
    said = {1: stored(1, 0, 4, 9), 2: stored(2, 3, 300, 301, 70_400), 3: stored(3)}
    await codes.upsert(KEY, said)
    found = await codes.fetch(KEY, [3, 1, 2, 77])
    assert found == said
    assert await codes.fetch(KEY, []) == {} and await codes.count() == 3


async def test_storing_again_replaces(codes: SqliteTokenCodes) -> None:
    await codes.upsert(KEY, {1: stored(1, 0, 4)})
    await codes.upsert(KEY, {1: stored(2, 0)})
    assert (await codes.fetch(KEY, [1]))[1] == stored(2, 0)


async def test_trees_and_owners_are_apart(codes: SqliteTokenCodes) -> None:
    await codes.upsert(KEY, {1: stored(1, 0)})
    await codes.upsert(OTHER, {1: stored(2, 0)})
    assert (await codes.fetch(OTHER, [1]))[1] == stored(2, 0)
    await codes.delete(OTHER)
    assert await codes.fetch(OTHER, [1]) == {} and (await codes.fetch(KEY, [1])).keys() == {1}


async def test_codes_of_another_codec_are_never_read(root: FilePath, codes: SqliteTokenCodes) -> None:
    other = SqliteTokenCodes(root, "another codec")
    await other.upsert(KEY, {1: stored(1, 0), 2: stored(2, 0)})
    assert await codes.fetch(KEY, [1, 2]) == {} and await codes.count() == 0
    await codes.upsert(KEY, {2: stored(3, 0)})
    assert (await codes.fetch(KEY, [1, 2])).keys() == {2}
    assert (await other.fetch(KEY, [1, 2])).keys() == {1}


async def test_deleted_codes_leave_no_trace_though_the_file_is_open(
    root: FilePath, codes: SqliteTokenCodes
) -> None:
    held = sqlite3.connect(tree_path(root, KEY))
    held.execute("CREATE TABLE held(one)")
    said = {1: stored(1, 0, 4), 2: stored(2, 0)}
    await codes.upsert(KEY, said)
    await codes.delete(KEY, [1, 99])
    assert (await codes.fetch(KEY, [1, 2])).keys() == {2}
    left = b"".join(file.read_bytes() for file in tree_path(root, KEY).parent.iterdir())
    assert said[2].packed in left and said[1].packed not in left
    held.close()


async def test_clearing_leaves_nothing(codes: SqliteTokenCodes) -> None:
    for key in (KEY, OTHER):
        await codes.upsert(key, {1: stored(1, 0)})
    await codes.clear()
    assert await codes.count() == 0 and await codes.fetch(KEY, [1]) == {}


async def test_a_chat_that_is_gone_is_never_brought_back(tmp_path: FilePath) -> None:
    codes, nowhere = SqliteTokenCodes(tmp_path, "codec"), TreeKey("local", "gone")
    await codes.upsert(nowhere, {1: stored(1, 0)})
    await codes.delete(nowhere, [1])
    assert await codes.fetch(nowhere, [1]) == {}
    assert not tree_path(tmp_path, nowhere).parent.exists()


@given(st.lists(st.integers(0, 70_000), max_size=30).map(sorted))
def test_any_places_of_tokens_survive_packing(starts: list[int]) -> None:
    one = stored(1, *starts)
    assert one.starts.tolist() == starts and len(one) == len(starts) == len(one.codes)
    longest = max(np.diff(starts, prepend=0).tolist(), default=0)
    assert len(one.steps) == len(starts) * (1 if longest < 256 else 2 if longest < 65_536 else 4)


async def test_what_was_read_is_kept_no_longer_than_it_is_stored(
    codes: SqliteTokenCodes, root: FilePath
) -> None:
    said = {ref: stored(ref, 0, 4) for ref in range(1, 6)}
    await codes.upsert(KEY, said)
    await codes.upsert(OTHER, said)
    for key in (KEY, OTHER):
        assert (await codes.fetch(key, [*said])).keys() == said.keys()
    await codes.upsert(KEY, {1: stored(9, 0)})
    await codes.delete(KEY, [2])
    found = await codes.fetch(KEY, [1, 2, 3])
    assert found.keys() == {1, 3} and found[1] == stored(9, 0)
    await codes.delete(KEY)
    assert await codes.fetch(KEY, [*said]) == {}
    assert (await codes.fetch(OTHER, [*said])).keys() == said.keys()
    await codes.clear()
    assert await codes.fetch(OTHER, [*said]) == {}


async def test_what_is_read_while_it_is_deleted_is_not_kept(codes: SqliteTokenCodes) -> None:
    await codes.upsert(KEY, {1: stored(1, 0)})
    reading = asyncio.create_task(codes.fetch(KEY, [1]))
    await asyncio.sleep(0)
    await codes.delete(KEY, [1])
    await reading
    assert await codes.fetch(KEY, [1]) == {}


async def test_so_many_bytes_are_kept_and_no_more(
    codes: SqliteTokenCodes, root: FilePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memory.token_codes_sqlite.KEPT_BYTES", 3_000)  # that is three
    said = {ref: stored(ref, *range(10)) for ref in range(1, 10)}
    await codes.upsert(KEY, said)
    for ref in said:
        assert await codes.fetch(KEY, [ref]) == {ref: said[ref]}
    tree_path(root, KEY).unlink()
    assert (await codes.fetch(KEY, [*said])).keys() == {7, 8, 9}, "the others are read from the file"
