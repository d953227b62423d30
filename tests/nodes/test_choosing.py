"""The pure parts of recall: passages of long texts, words of tokens, duplicates, the query's tokens."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from memory.ranking.features import CONTENT
from memory.ranking.reading import read_asked, tells_something
from nodes.choosing import distinct, relevance, worth_telling
from nodes.passage import LONG, PASSAGE, around, passage, sentences_of
from nodes.query import MOST_TOKENS, Query, shortened, telling, words_at


def query(terms: dict[str, float], tokens: int = 1) -> Query:
    return Query(
        asked=read_asked("What?", []),
        named=frozenset(),
        asker="",
        vector=np.zeros(3, np.float32),
        terms=terms,
        tokens=np.zeros((tokens, 128), np.float32),
        kinds=np.full(tokens, CONTENT, np.int8),
        weights=np.linspace(1, 0.1, tokens, dtype=np.float32),
        stems=("",) * tokens,
    )


def test_a_short_text_is_told_whole() -> None:
    assert passage("Short. And sweet.", query({"sweet": 1.0}), None) == "Short. And sweet."


def test_of_a_long_text_the_sentences_with_the_query_s_words_are_told() -> None:
    text = "Nothing happens here at all. " * 60 + "The key lies under the stone. " + "Nothing again. " * 60
    told = passage(text, query({"key": 1.0, "stone": 1.0}), None)
    assert "The key lies under the stone." in told
    assert len(told) <= PASSAGE + 4 and told.startswith("\u2026") and told.endswith("\u2026")


@given(st.text(alphabet="ab .!?\n\"'", max_size=3000))
def test_sentences_stand_in_the_text_in_order_and_no_word_is_lost(text: str) -> None:
    spans = sentences_of(text)
    assert "".join("".join(text[a:b].split()) for a, b in spans) == "".join(text.split())
    assert all(0 < b - a <= PASSAGE for a, b in spans)
    assert all(one[1] <= other[0] for one, other in pairwise(spans))


@given(st.text(max_size=40).map(lambda word: (word or "x") * (LONG // 10)))
def test_every_text_has_a_passage(text: str) -> None:
    assert passage(text, query({"x": 1.0}), None) or not text.strip()


def test_a_passage_grows_towards_what_gains_more() -> None:
    spans = [(0, 100), (100, 200), (200, 300), (300, 400), (400, 500), (500, 900)]
    assert around(spans, [0, 0, 3, 0, 2, 9]) == (4, 5)
    assert around(spans, [0, 0, 3, 1, 0, 0])[0] <= 2


def test_tokens_know_their_words() -> None:
    assert words_at("Don't go!", [0, 3, 4, 6, 8]) == ["don", "", "t", "go", ""]
    assert words_at("painting", [0, 5]) == ["painting", "painting"]


def test_a_long_query_keeps_what_weighs_most() -> None:
    short = shortened(query({}, tokens=3 * MOST_TOKENS))
    assert len(short.tokens) == len(short.kinds) == len(short.stems) == MOST_TOKENS
    assert short.weights.min() > 0.6


def test_what_says_the_same_in_words_or_in_meaning_is_kept_once() -> None:
    one, other = np.eye(2, dtype=np.float32)
    near = np.array([0.99, 0.141], np.float32)
    assert distinct(["A b.", "a  B.", "c", "d", "e"], [None, None, one, near, other]) == [0, 2, 4]


def test_of_texts_that_differ_in_numbers_alone_few_are_kept() -> None:
    said = [f"Remark {n}, and after it the stairs." for n in range(9)]
    assert distinct([*said, "The code is 12."], [None] * 10) == [0, 1, 2, 9]


def test_a_line_of_the_context_tells_less_by_what_is_common_in_it() -> None:
    assert telling("The east wind, the stairs.", {"east", "wind", "stair"}) == 0
    assert telling("The east wind took the boat.", {"east", "wind"}) == 0.5
    assert telling("Then what?", {"east"}) == 1


def test_nothing_is_relevant_among_nothing() -> None:
    for in_context in (True, False):
        assert relevance([], in_context=in_context) == -np.inf
        assert worth_telling([], in_context=in_context) == []


def test_gestures_and_greetings_tell_nothing() -> None:
    assert not any(map(tells_something, ["*nods*", "Ok.", "Good morning!", "*smiles and looks away*", ""]))
    assert all(map(tells_something, ["*looks at the empty chair*", "Ines.", "It rains."]))
