"""One suite for every vector index: exact, Chroma embedded, Chroma as a server."""

import asyncio
import socket
import sqlite3
import subprocess
import sysconfig
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path as FilePath

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graph.errors import SettingsError
from graph.settings import Settings, load_settings
from memory.files import tree_path
from memory.path import Path, encode
from memory.rows import Rows, best_of_each, nearest, on_path, stored_ids
from memory.stored import TreeKey
from memory.vectors import Hit, Item, Vector, VectorIndex
from memory.vectors_open import open_vectors

DIMENSION = 16
WEIGHTS = "a" * 64
KEPT_TO = 5e-4
"""How right cosines are: exact vectors are kept in half precision."""
KEY = TreeKey("local", "tree-1")
OTHER_TREE = TreeKey("local", "tree-2")
OTHER_OWNER = TreeKey("Müller & Söhne", "tree-1")


def unit(*angles: float) -> Vector:
    """Rows in the plane of the first two axes, each at an angle in degrees from the first axis."""
    rows = np.zeros((len(angles), DIMENSION), dtype=np.float32)
    rows[:, 0], rows[:, 1] = np.cos(np.radians(angles)), np.sin(np.radians(angles))
    return rows


def message(ref: int, *angles: float) -> Item:
    return Item("message", ref, unit(*angles))


QUERY = unit(0)[0]

Open = Callable[..., Awaitable[VectorIndex]]


@pytest.fixture(scope="module")
def chroma_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("chroma-server")
    command = FilePath(sysconfig.get_path("scripts")) / "chroma"
    process = subprocess.Popen(
        [command, "run", "--host", "127.0.0.1", "--port", str(port), "--path", folder],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(f"http://127.0.0.1:{port}/api/v2/heartbeat", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.05)
    raise AssertionError("the Chroma server did not start")


@pytest.fixture(params=["exact", "embedded", "server"])
def configured(request: pytest.FixtureRequest, tmp_path: FilePath) -> Settings:
    if request.param == "exact":
        return load_settings(vector_store="exact")
    url = request.getfixturevalue("chroma_server") if request.param == "server" else None
    return load_settings(vector_store="chroma", chroma_url=url, chromadb_path=tmp_path / "chroma")


@pytest.fixture
async def open_index(configured: Settings, tmp_path: FilePath) -> AsyncIterator[Open]:
    """Opens the index again and again over the same data; the trees' files exist."""
    opened: list[VectorIndex] = []

    async def open_one(weights: str = WEIGHTS, *, restart: bool = False) -> VectorIndex:
        if restart:
            await opened.pop().close()
        opened.append(await open_vectors(configured, tmp_path, weights, DIMENSION))
        return opened[-1]

    for key in (KEY, OTHER_TREE, OTHER_OWNER):
        make_tree(tmp_path, key)
    yield open_one
    await opened[-1].clear()
    for index in opened:
        await index.close()


@pytest.fixture
async def index(open_index: Open) -> VectorIndex:
    return await open_index()


def make_tree(root: FilePath, key: TreeKey) -> FilePath:
    file = tree_path(root, key)
    file.parent.mkdir(parents=True, exist_ok=True)
    database = sqlite3.connect(file)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("CREATE TABLE messages(id INTEGER PRIMARY KEY)")
    database.close()
    return file


def refs(hits: list[Hit]) -> list[int]:
    return [hit.ref for hit in hits]


async def test_the_nearest_come_first_with_their_cosine(index: VectorIndex) -> None:
    await index.upsert(KEY, [message(1, 90), message(2, 10), message(3, 180), message(4, 45)])
    hits = await index.search(KEY, "message", QUERY, None, 3)
    assert refs(hits) == [2, 4, 1]
    assert [hit.similarity for hit in hits] == pytest.approx(
        [np.cos(np.radians(a)) for a in (10, 45, 90)], abs=KEPT_TO
    )


async def test_only_what_is_on_the_path_is_found(index: VectorIndex) -> None:
    await index.upsert(KEY, [message(ref, ref) for ref in range(1, 60)])
    assert refs(await index.search(KEY, "message", QUERY, Path([[40, 41], [50, 70]]), 3)) == [40, 41, 50]
    assert refs(await index.search(KEY, "message", QUERY, Path([[-1, -1], [58, 59], [7, 7]]), 5)) == [
        7,
        58,
        59,
    ]
    assert await index.search(KEY, "message", QUERY, Path([]), 5) == []
    assert await index.search(KEY, "message", QUERY, Path([[600, 700]]), 5) == []


async def test_an_item_in_pieces_counts_once_by_its_best(index: VectorIndex) -> None:
    await index.upsert(KEY, [message(1, 80, 5, 6, 7, 90), message(2, 20), message(3, 30, 35)])
    hits = await index.search(KEY, "message", QUERY, None, 3)
    assert refs(hits) == [1, 2, 3]
    assert hits[0].similarity == pytest.approx(np.cos(np.radians(5)), abs=KEPT_TO)


async def test_equal_vectors_are_ordered_by_their_ref(index: VectorIndex) -> None:
    await index.upsert(KEY, [message(ref, 30) for ref in (5, 3, 9, 1, 7)])
    assert refs(await index.search(KEY, "message", QUERY, None, 5)) == [1, 3, 5, 7, 9]


async def test_indexing_again_replaces(index: VectorIndex) -> None:
    await index.search(KEY, "message", QUERY, None, 1)
    await index.upsert(KEY, [message(1, 1, 2, 3), message(2, 40)])
    await index.upsert(KEY, [message(1, 80)])
    assert refs(await index.search(KEY, "message", QUERY, None, 5)) == [2, 1]
    await index.upsert(KEY, [message(2, 85, 88)])
    assert refs(await index.search(KEY, "message", QUERY, None, 5)) == [1, 2]
    assert await index.count() == 2


async def test_kinds_are_apart(index: VectorIndex) -> None:
    await index.upsert(KEY, [message(1, 1), Item("card", 1, unit(50)), Item("card", 2, unit(20))])
    assert refs(await index.search(KEY, "message", QUERY, None, 5)) == [1]
    assert refs(await index.search(KEY, "card", QUERY, None, 5)) == [2, 1]
    assert await index.count() == 3


async def test_trees_and_owners_are_apart(index: VectorIndex) -> None:
    for angle, key in enumerate((KEY, OTHER_TREE, OTHER_OWNER)):
        await index.upsert(key, [message(angle + 1, angle)])
    for angle, key in enumerate((KEY, OTHER_TREE, OTHER_OWNER)):
        assert refs(await index.search(key, "message", QUERY, None, 5)) == [angle + 1]
    assert await index.count() == 3


async def test_deleted_messages_are_gone_and_cards_stay(index: VectorIndex) -> None:
    items = [message(1, 1), message(2, 2, 3), message(3, 4), Item("card", 1, unit(1))]
    await index.upsert(KEY, items)
    await index.search(KEY, "message", QUERY, None, 1)
    await index.delete(KEY, [1, 2, 77])
    assert refs(await index.search(KEY, "message", QUERY, None, 5)) == [3]
    assert refs(await index.search(KEY, "card", QUERY, None, 5)) == [1]


async def test_a_deleted_tree_is_gone_and_its_neighbours_stay(index: VectorIndex) -> None:
    for key in (KEY, OTHER_TREE):
        await index.upsert(key, [message(1, 1), Item("card", 1, unit(1))])
    await index.delete(KEY)
    assert await index.search(KEY, "message", QUERY, None, 5) == []
    assert await index.search(KEY, "card", QUERY, None, 5) == []
    assert refs(await index.search(OTHER_TREE, "message", QUERY, None, 5)) == [1]


async def test_clearing_leaves_nothing_and_can_be_filled_again(index: VectorIndex) -> None:
    await index.upsert(KEY, [message(1, 1)])
    await index.upsert(OTHER_OWNER, [message(1, 1)])
    await index.clear()
    assert await index.count() == 0
    assert await index.search(KEY, "message", QUERY, None, 5) == []
    await index.upsert(KEY, [message(2, 2)])
    assert refs(await index.search(KEY, "message", QUERY, None, 5)) == [2]


async def test_every_message_of_a_path_has_the_cosine_of_its_best_piece(index: VectorIndex) -> None:
    await index.upsert(KEY, [message(1, 90, 10), message(2, 60), message(4, 180), Item("card", 3, unit(0))])
    path = Path([[4, 4], [-1, -1], [1, 3], [900, 900]])
    found = await index.similarities(KEY, "message", QUERY, path)
    assert found.dtype == np.float32
    expected = [-1, np.cos(np.radians(10)), 0.5, np.nan, np.nan]
    assert found == pytest.approx(np.array(expected), abs=KEPT_TO, nan_ok=True)
    assert len(await index.similarities(KEY, "message", QUERY, Path([]))) == 0
    nowhere = await index.similarities(TreeKey("local", "never-seen"), "message", QUERY, Path([[1, 2]]))
    assert np.isnan(nowhere).tolist() == [True, True]


async def test_the_nearest_of_many_have_their_cosine(index: VectorIndex) -> None:
    await index.upsert(KEY, [message(ref, ref / 100) for ref in range(1, 1201)])
    found = await index.similarities(KEY, "message", QUERY, Path([[1, 1200]]))
    assert found[:300] == pytest.approx(np.cos(np.radians(np.arange(1, 301) / 100)), abs=KEPT_TO)
    assert np.isfinite(found[np.flatnonzero(np.isfinite(found)).max() :: -1]).all(), "the rest is farther"


async def test_stored_vectors_come_back_in_pieces(index: VectorIndex) -> None:
    await index.upsert(KEY, [message(1, 10, 20, 30), message(2, 40), Item("card", 7, unit(50))])
    found = await index.vectors(KEY, "message", [2, 1, 7])
    assert found.keys() == {1, 2}
    assert found[1] == pytest.approx(unit(10, 20, 30), abs=KEPT_TO)
    assert found[2] == pytest.approx(unit(40), abs=KEPT_TO)
    assert (await index.vectors(KEY, "card", [7])).keys() == {7}
    assert await index.vectors(KEY, "message", []) == {}


async def test_vectors_are_the_same_before_and_after_a_restart(open_index: Open) -> None:
    rows = np.random.default_rng(3).normal(size=(5, DIMENSION)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    first = await open_index()
    await first.similarities(KEY, "message", QUERY, Path([[1, 1]]))
    await first.upsert(KEY, [Item("message", 1, rows)])
    before = await first.vectors(KEY, "message", [1])
    after = await (await open_index(restart=True)).vectors(KEY, "message", [1])
    assert np.array_equal(before[1], after[1])


async def test_vectors_survive_a_restart(open_index: Open) -> None:
    first = await open_index()
    await first.upsert(KEY, [message(1, 30, 5), message(2, 10)])
    again = await open_index(restart=True)
    assert refs(await again.search(KEY, "message", QUERY, None, 5)) == [1, 2]


async def test_vectors_of_other_weights_are_never_compared(open_index: Open) -> None:
    old = await open_index("b" * 64)
    await old.upsert(KEY, [message(1, 0), message(2, 0)])
    new = await open_index()
    assert await new.search(KEY, "message", QUERY, None, 5) == []
    assert await new.count() == 0
    await new.upsert(KEY, [message(2, 60)])
    assert refs(await new.search(KEY, "message", QUERY, None, 5)) == [2]


async def test_an_unknown_tree_is_empty_and_deleting_it_is_no_error(index: VectorIndex) -> None:
    nowhere = TreeKey("local", "never-seen")
    assert await index.search(nowhere, "message", QUERY, None, 5) == []
    await index.delete(nowhere)
    await index.delete(nowhere, [1, 2])


async def test_many_items_at_once_and_all_of_them_asked_for(index: VectorIndex) -> None:
    await index.upsert(KEY, [message(ref, ref / 100) for ref in range(1, 1201)])
    hits = await index.search(KEY, "message", QUERY, Path([[1, 1000]]), 20)
    assert refs(hits) == list(range(1, 21))
    await index.delete(KEY, list(range(1, 1001)))
    assert refs(await index.search(KEY, "message", QUERY, None, 3)) == [1001, 1002, 1003]


async def test_searching_and_indexing_at_once(index: VectorIndex) -> None:
    async def fill(first: int) -> None:
        for ref in range(first, first + 10):
            await index.upsert(KEY, [message(ref, ref)])

    async def ask() -> None:
        for _ in range(10):
            hits = await index.search(KEY, "message", QUERY, None, 5)
            assert refs(hits) == sorted(refs(hits))

    await asyncio.gather(fill(1), fill(21), ask(), ask())
    assert refs(await index.search(KEY, "message", QUERY, None, 3)) == [1, 2, 3]
    assert await index.count() == 20


async def test_exact_vectors_never_bring_a_deleted_chat_back(tmp_path: FilePath) -> None:
    file = make_tree(tmp_path, KEY)
    index = await open_vectors(load_settings(vector_store="exact"), tmp_path, WEIGHTS, DIMENSION)
    await index.upsert(KEY, [message(1, 1)])
    assert refs(await index.search(KEY, "message", QUERY, None, 5)) == [1]
    file.unlink()
    await index.upsert(KEY, [message(2, 2)])
    assert await index.search(KEY, "message", QUERY, None, 5) == []
    await index.delete(KEY)
    assert list(file.parent.iterdir()) == []


async def test_deleted_exact_vectors_leave_no_trace_in_the_file(tmp_path: FilePath) -> None:
    file = make_tree(tmp_path, KEY)
    index = await open_vectors(load_settings(vector_store="exact"), tmp_path, WEIGHTS, DIMENSION)
    secret = np.random.default_rng(1).normal(size=(1, DIMENSION)).astype(np.float32)
    await index.upsert(KEY, [Item("message", 1, secret), message(2, 2)])
    kept = secret.astype("<f2").tobytes()
    assert kept in file.read_bytes()
    await index.delete(KEY, [1])
    assert kept not in file.read_bytes()


async def test_a_chroma_server_that_does_not_answer_stops_the_start(tmp_path: FilePath) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://user:hidden@127.0.0.1:{closed.getsockname()[1]}"
        configured = load_settings(vector_store="chroma", chroma_url=url)
        said = r"CHROMA_URL: no Chroma server answers at .*chroma run"
        with pytest.raises(SettingsError, match=said) as error:
            await open_vectors(configured, tmp_path, WEIGHTS, DIMENSION)
    assert "hidden" not in str(error.value)


async def test_a_folder_that_chroma_cannot_open_stops_the_start(tmp_path: FilePath) -> None:
    (tmp_path / "file").write_text("in the way")
    configured = load_settings(vector_store="chroma", chroma_url=None, chromadb_path=tmp_path / "file")
    with pytest.raises(SettingsError, match=r"CHROMADB_PATH: the folder .*reindex"):
        await open_vectors(configured, tmp_path, WEIGHTS, DIMENSION)


angles = st.lists(st.integers(-180, 180), min_size=1, max_size=4)


@settings(max_examples=200)
@given(
    st.dictionaries(st.integers(1, 60), angles, max_size=40),
    st.none() | st.sets(st.integers(1, 70)),
    st.integers(1, 12),
)
def test_exact_search_finds_what_a_plain_loop_finds(
    stored: dict[int, list[int]], shown: set[int] | None, k: int
) -> None:
    rows = Rows(unit(), np.zeros(0, dtype=np.int64))
    for ref, item in stored.items():
        rows.put(ref, unit(*item))
    allowed = None if shown is None else Path(encode(sorted(shown)))
    cosines = {
        ref: max(round(float(v), 6) for v in unit(*item) @ QUERY)
        for ref, item in stored.items()
        if shown is None or ref in shown
    }
    expected = sorted(cosines, key=lambda ref: (-cosines[ref], ref))[:k]
    assert [hit.ref for hit in nearest(*rows.view(), QUERY, allowed, k)] == expected


@given(
    st.lists(st.integers(1, 300), max_size=80),
    st.lists(st.integers(1, 320), unique=True, max_size=80),
    st.randoms(use_true_random=False),
)
def test_the_mask_agrees_with_the_path(known: list[int], ids: list[int], random: object) -> None:
    path = Path(encode([*ids, -1, -2]))
    mask = on_path(np.array(known, dtype=np.int64), path)
    assert mask.tolist() == [ref in path for ref in known]


@given(st.lists(st.integers(1, 320), unique=True, max_size=80), st.integers(0, 3))
def test_stored_ids_are_the_path_without_what_is_not_stored(ids: list[int], fresh: int) -> None:
    path = Path(encode([*ids, *range(-1, -fresh - 1, -1)]))
    assert stored_ids(path).tolist() == [i for i in path if i > 0]
    assert stored_ids(path).dtype == np.int32


@given(st.lists(st.tuples(st.integers(1, 8), st.integers(0, 3)), max_size=60))
def test_rows_hold_what_was_put_last(steps: list[tuple[int, int]]) -> None:
    rows = Rows(unit(), np.zeros(0, dtype=np.int64))
    expected: dict[int, Vector] = {}
    for n, (ref, pieces) in enumerate(steps):
        if pieces:
            expected[ref] = unit(*range(n, n + pieces))
            rows.put(ref, expected[ref])
        else:
            expected.pop(ref, None)
            rows.remove([ref])
    vectors, known = rows.view()
    assert len(rows) == sum(map(len, expected.values())) == len(known)
    for ref, item in expected.items():
        assert np.array_equal(vectors[known == ref], item)


def test_a_view_stays_valid_while_rows_come_and_go() -> None:
    rows = Rows(unit(1, 2), np.array([1, 2]))
    vectors, known = rows.view()
    for ref in range(3, 300):
        rows.put(ref, unit(ref))
    rows.remove([1])
    assert np.array_equal(vectors, unit(1, 2)) and known.tolist() == [1, 2]


@given(before=st.integers(0, 9), after=st.integers(0, 9), seed=st.integers(0, 99))
def test_a_cosine_does_not_depend_on_what_else_stands_in_the_tree(before: int, after: int, seed: int) -> None:
    rows = np.random.default_rng(seed).normal(size=(before + 30 + after, 384)).astype(np.float32)
    query, own = rows[before], slice(before, before + 30)
    refs = np.arange(len(rows))
    ids = refs[own].astype(np.int32)
    alone = best_of_each(rows[own].copy(), np.arange(30), query, np.arange(30, dtype=np.int32))
    assert best_of_each(rows, refs, query, ids).tolist() == alone.tolist()
