"""The embedder: verified weights, one pass a text, a waiting user first, no text lost or cut."""

import asyncio
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.errors import SettingsError
from graph.settings import load_settings
from models.embedding import Embedder, open_embedder
from models.pieces import pieces, spans
from models.weights import BUILT_IN_SHA256, built_in_folder, load_embedding_model, verified, weights_sha256

LONG = " ".join(f"On day {n} the keeper of lighthouse number {n} wrote into his log." for n in range(60))


@pytest.fixture(scope="module")
def embedder() -> Iterator[Embedder]:
    opened = asyncio.run(open_embedder(load_settings()))
    yield opened
    asyncio.run(opened.close())


async def test_the_default_model_is_the_verified_one(embedder: Embedder) -> None:
    assert embedder.weights_hash == BUILT_IN_SHA256
    assert embedder.dimension == 384


async def test_similar_texts_are_nearer_than_others(embedder: Embedder) -> None:
    cat, kitten, tax = [
        (await embedder.embed(text))[0]
        for text in ("The cat sleeps.", "A kitten is napping.", "Taxes are due in April.")
    ]
    assert cat @ kitten > cat @ tax + 0.3


async def test_rows_have_length_one_and_cannot_be_written(embedder: Embedder) -> None:
    vectors = await embedder.embed("A row of length one.")
    assert vectors.shape == (1, 384) and vectors.dtype == np.float32
    assert np.linalg.norm(vectors[0]) == pytest.approx(1.0, abs=1e-5)
    with pytest.raises(ValueError):
        vectors[0, 0] = 0.0


@pytest.mark.parametrize("text", ["", "   ", "\n\t", "\ud800"])
async def test_texts_without_words_are_embedded_too(embedder: Embedder, text: str) -> None:
    vectors = await embedder.embed(text)
    assert vectors.shape == (1, 384) and np.isfinite(vectors).all()


async def test_a_known_text_costs_no_second_pass(embedder: Embedder) -> None:
    await embedder.embed("asked twice, paid once")
    passes = embedder.forward_passes
    await embedder.embed("asked twice, paid once", urgent=True)
    assert embedder.forward_passes == passes


async def test_two_requests_for_one_text_at_once_are_one_pass(embedder: Embedder) -> None:
    passes = embedder.forward_passes
    first, second = await asyncio.gather(
        embedder.embed("asked at the same time"), embedder.embed("asked at the same time", urgent=True)
    )
    assert embedder.forward_passes == passes + 1
    assert first is second


async def test_a_waiting_user_is_served_before_what_others_queued(embedder: Embedder) -> None:
    served: list[str] = []

    async def ask(text: str) -> None:
        await embedder.embed(text)
        served.append(text)

    others = [asyncio.create_task(ask(text)) for text in (LONG, *(f"background text {n}" for n in range(12)))]
    await asyncio.sleep(0)
    await embedder.embed("a user waits for this one", urgent=True)
    assert len(served) <= 2
    await asyncio.gather(*others)


async def test_a_waiting_text_overtakes_once_a_user_asks_for_it(embedder: Embedder) -> None:
    served: list[int] = []

    async def ask(n: int) -> None:
        await embedder.embed(f"queued text number {n} {LONG}")
        served.append(n)

    others = [asyncio.create_task(ask(n)) for n in range(5)]
    await asyncio.sleep(0)
    await embedder.embed(f"queued text number 4 {LONG}", urgent=True)
    assert len(served) <= 2
    await asyncio.gather(*others)


async def test_a_request_given_up_does_not_take_the_result_from_another(embedder: Embedder) -> None:
    given_up = asyncio.create_task(embedder.embed("one of two gives up"))
    waiting = asyncio.create_task(embedder.embed("one of two gives up"))
    await asyncio.sleep(0)
    given_up.cancel()
    assert (await waiting).shape == (1, 384)


async def test_every_part_of_a_long_text_is_found(embedder: Embedder) -> None:
    passes = embedder.forward_passes
    vectors = await embedder.embed(LONG + " The password is swordfish. " + LONG)
    assert len(vectors) == embedder.forward_passes - passes > 5
    query = (await embedder.embed("What is the password?"))[0]
    best = int(np.argmax(vectors @ query))
    assert 0 < best < len(vectors) - 1


async def test_a_text_of_200_word_pieces_is_one_row_and_of_201_two(embedder: Embedder) -> None:
    assert len(await embedder.embed(" ".join(["storm"] * 200))) == 1
    assert len(await embedder.embed(" ".join(["storm"] * 201))) == 2


async def test_the_event_loop_goes_on_while_a_text_is_embedded(embedder: Embedder) -> None:
    task = asyncio.create_task(embedder.embed(LONG * 2))
    turns = 0
    while not task.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 5


async def test_closing_ends_the_wait_of_those_still_queued() -> None:
    embedder = await open_embedder(load_settings())
    tasks = [asyncio.create_task(embedder.embed(f"text {n} " + LONG)) for n in range(5)]
    await asyncio.sleep(0)
    await embedder.close()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert any(isinstance(result, RuntimeError) for result in results)
    with pytest.raises(RuntimeError):
        await embedder.embed("too late")


def test_the_built_in_model_loads_without_a_network() -> None:
    script = (
        "import asyncio, sys\n"
        "def refuse(event, args):\n"
        "    if event in ('socket.getaddrinfo', 'socket.connect') and args[0] is not None:\n"
        "        raise RuntimeError(f'network: {event} {args}')\n"
        "sys.addaudithook(refuse)\n"
        "from graph.settings import load_settings\n"
        "from models.embedding import open_embedder\n"
        "async def main():\n"
        "    embedder = await open_embedder(load_settings())\n"
        "    print((await embedder.embed('no network here')).shape)\n"
        "    await embedder.close()\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "(1, 384)", done.stderr


def test_weights_that_were_tampered_with_stop_the_start(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    content = bytearray((built_in_folder() / "model.safetensors").read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(SettingsError, match=r"not those of all-MiniLM-L6-v2.*--force-reinstall"):
        verified(file, BUILT_IN_SHA256)
    with pytest.raises(SettingsError, match="missing"):
        verified(tmp_path / "nothing.safetensors", BUILT_IN_SHA256)


async def test_a_local_folder_may_hold_the_model(tmp_path: Path) -> None:
    folder = tmp_path / "my-model"
    shutil.copytree(built_in_folder(), folder)
    embedder = await open_embedder(load_settings(embedding_model=str(folder)))
    try:
        assert embedder.weights_hash == BUILT_IN_SHA256
        assert (await embedder.embed("from a folder")).shape == (1, 384)
    finally:
        await embedder.close()


def test_a_hub_model_is_known_by_the_weights_in_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = tmp_path / "models--someone--some-model"
    (repo / "refs").mkdir(parents=True)
    (repo / "refs" / "main").write_text("0" * 40)
    shutil.copytree(built_in_folder(), repo / "snapshots" / ("0" * 40))
    script = (
        "from models.weights import load_embedding_model\n"
        "print(load_embedding_model('someone/some-model')[1])\n"
    )
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == BUILT_IN_SHA256, done.stderr


def test_a_folder_without_a_model_stops_the_start_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(SettingsError, match=r"EMBEDDING_MODEL: .*all-MiniLM-L6-v2, which is built in"):
        load_embedding_model(str(tmp_path))


def test_several_weights_files_are_hashed_in_the_order_of_their_names(tmp_path: Path) -> None:
    (tmp_path / "model-2.safetensors").write_bytes(b"second")
    (tmp_path / "model-1.safetensors").write_bytes(b"first")
    (tmp_path / "training_args.bin").write_bytes(b"not weights")
    assert weights_sha256(tmp_path) == hashlib.sha256(b"firstsecond").hexdigest()


@given(st.lists(st.integers(0, 250), min_size=1, max_size=300))
def test_spans_cover_every_word_in_order_and_fit(lengths: list[int]) -> None:
    found = spans(lengths, 200, 50)
    assert found[0][0] == 0 and found[-1][1] == len(lengths)
    for first, last in found:
        assert last - first == 1 or sum(lengths[first:last]) <= 200
    for (first, last), (next_first, next_last) in pairwise(found):
        assert first < next_first <= last < next_last or first < next_first <= last == next_last
        assert sum(lengths[next_first:last]) <= 50


@given(st.text(max_size=600))
def test_no_word_is_lost_and_none_is_split(text: str) -> None:
    found = pieces(text, lambda words: [2] * len(words), size=40, overlap=10)
    whole = {word[:40] for word in text.split()}
    assert {word[:40] for piece in found for word in piece.text.split()} >= whole


def test_text_without_spaces_is_cut_too() -> None:
    found = pieces("字" * 1000, lambda words: [len(word) for word in words], size=200, overlap=50)
    assert len(found) > 5 and max(len(piece.text) for piece in found) <= 200
