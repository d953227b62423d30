"""Token codes: 32 bytes a token that say what the token vectors say, and late interaction over them."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import models.token_codes
from models.embedding_minilm import MiniLMBackend
from models.encoding import unit
from models.token_codes import (
    DIMENSION,
    LEVELS,
    MEAN_LENGTH,
    MINILM_PROJECTION,
    TokenCodec,
    drawn,
    rows,
    similarities,
)
from models.weights import BUILT_IN_SHA256

SAID = [
    "My sister Elena keeps bees outside of Lisbon.",
    "The ferry to the island leaves at six in the morning.",
    "I sold the violin in Porto, for less than the case was worth.",
    "Old Wenzel winds the clock on the landing every evening.",
    "The cast comes off on Tuesday, so no climbing until then.",
    "We agreed on a code word: marzipan.",
]
ASKED = [
    "Who looks after bees?",
    "When does the boat depart?",
    "What became of the violin?",
    "Who takes care of the clock?",
    "When may I climb again?",
    "What was our secret code word?",
]


@pytest.fixture(scope="module")
def backend() -> MiniLMBackend:
    return MiniLMBackend("float32", 1)


@pytest.fixture(scope="module")
def codec() -> TokenCodec:
    return TokenCodec.open(BUILT_IN_SHA256, 384)


def test_a_token_takes_32_bytes(backend: MiniLMBackend, codec: TokenCodec) -> None:
    made = backend.forward(["The lamp is lit."])[0]
    codes = codec.codes(made.tokens)
    assert codes.shape == (len(made.tokens), 32) and codes.dtype == np.uint8
    assert codec.codes(made.tokens[:0]).shape == (0, 32)


def test_codes_keep_the_cosines_of_what_they_were_made_of(backend: MiniLMBackend, codec: TokenCodec) -> None:
    tokens = np.vstack([made.tokens for made in backend.forward(SAID)])
    exact = codec.project(tokens) @ codec.project(tokens).T
    kept = codec.project(tokens) @ rows(codec.codes(tokens)).T
    assert kept == pytest.approx(exact, abs=0.2)
    assert np.corrcoef(kept.ravel(), exact.ravel())[0, 1] > 0.97


def test_each_question_finds_its_answer(backend: MiniLMBackend, codec: TokenCodec) -> None:
    said = [codec.codes(made.tokens).tobytes() for made in backend.forward(SAID)]
    asked = [codec.project(made.tokens) for made in backend.forward(ASKED)]
    assert [int(similarities(query, said).mean(axis=0).argmax()) for query in asked] == list(range(len(SAID)))


def test_bfloat16_and_float32_give_nearly_the_same_codes(codec: TokenCodec, backend: MiniLMBackend) -> None:
    other = MiniLMBackend("bfloat16", 1)
    for ours, theirs in zip(other.forward(SAID), backend.forward(SAID), strict=True):
        a, b = (rows(codec.codes(made.tokens)) for made in (ours, theirs))
        assert float((a * b).sum(axis=1).min()) > 0.95


def test_codes_are_keyed_by_weights_and_projection(codec: TokenCodec) -> None:
    projection = np.load(MINILM_PROJECTION).astype(np.float32)
    assert TokenCodec(projection, BUILT_IN_SHA256).key == codec.key
    assert TokenCodec(projection, "other weights").key != codec.key
    projection[0, 0] += 1
    assert TokenCodec(projection, BUILT_IN_SHA256).key != codec.key


def test_the_shipped_projection_is_the_one_that_was_measured() -> None:
    content = MINILM_PROJECTION.read_bytes()
    assert (
        hashlib.sha256(content).hexdigest()
        == "66a6b236b49b348aaaa694aa441d4867ce62e7953c469dc5a461d829308b0315"
    )


@pytest.mark.parametrize("dimension", [16, 128, 768])
def test_another_model_gets_an_even_projection_that_is_always_the_same(dimension: int) -> None:
    states = unit(np.random.default_rng(1).standard_normal((50, dimension)).astype(np.float32))
    first, again = (TokenCodec.open("other weights", dimension) for _ in range(2))
    assert first.key == again.key and (first.codes(states) == again.codes(states)).all()
    error = 0.01 if dimension <= DIMENSION else 0.35
    assert first.project(states) @ first.project(states).T == pytest.approx(states @ states.T, abs=error)
    assert drawn(dimension).shape == (dimension + 1, DIMENSION)


codes_of = st.integers(0, 6).flatmap(
    lambda n: st.binary(min_size=n * 32, max_size=n * 32).map(
        lambda drawn: np.frombuffer(drawn, np.uint8).reshape(n, 32)
    )
)


@pytest.mark.parametrize("in_halves", [True, False])
@given(query=codes_of, texts=st.lists(codes_of, max_size=6))
def test_similarities_are_their_definition(
    query: np.ndarray, texts: list[np.ndarray], in_halves: bool
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models.token_codes, "HALVES_FROM", 0)
        patch.setattr(models.token_codes, "multiplies_bfloat16", lambda: in_halves)
        found = similarities(rows(query), [text.tobytes() for text in texts])
    assert found.shape == (len(query), len(texts))
    levels = LEVELS / MEAN_LENGTH
    for text, column in zip(texts, found.T, strict=True):
        read = levels[text[:, :, None] >> np.arange(0, 8, 2) & 3].reshape(-1, DIMENSION)
        expected = (rows(query) @ read.T).max(axis=1) if len(text) else np.zeros(len(query))
        assert column == pytest.approx(
            expected, rel=0.02 if in_halves else 1e-5, abs=0.01 if in_halves else 1e-6
        )


@pytest.mark.parametrize("in_halves", [True, False])
def test_more_texts_than_are_looked_at_together_are_told_apart(
    in_halves: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models.token_codes, "multiplies_bfloat16", lambda: in_halves)
    drawn = np.random.default_rng(5)
    lengths = [*range(10, 100), 7, 0, 5000]
    texts = [drawn.integers(0, 256, (length, 32)).astype(np.uint8) for length in lengths]
    query = np.vstack([rows(codes)[-1:] for codes in texts if len(codes)])
    found = similarities(query, [codes.tobytes() for codes in texts])
    assert found.argmax(axis=1).tolist() == [*range(91), 92]
    assert (found[:, 91] == 0).all()
