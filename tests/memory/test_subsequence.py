"""The longest common subsequence, against every common subsequence there is."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from memory.subsequence import longest_common

SYMBOLS = st.integers(0, 3)


def places_of(symbols: Sequence[int], long: Sequence[int]) -> dict[int, list[int]]:
    return {symbol: [n for n, other in enumerate(long) if other == symbol] for symbol in set(symbols)}


def is_within(part: Sequence[int], whole: Sequence[int]) -> bool:
    rest = iter(whole)
    return all(symbol in rest for symbol in part)


@given(st.lists(SYMBOLS, max_size=7), st.lists(SYMBOLS, max_size=8))
def test_none_is_longer_and_of_equal_ones_it_is_the_latest(symbols: list[int], long: list[int]) -> None:
    pairs = longest_common(symbols, places_of(symbols, long))
    rows, positions = [row for row, _ in pairs], tuple(position for _, position in pairs)
    assert rows == sorted(set(rows))
    assert [symbols[row] for row in rows] == [long[position] for position in positions]
    every = (run for size in range(len(long) + 1) for run in combinations(range(len(long)), size))
    common = [run for run in every if is_within([long[p] for p in run], symbols)]
    assert positions == max(common, key=lambda run: (len(run), run))


def test_a_long_chat_that_repeats_itself_is_laid_whole() -> None:
    long = [n % 2 for n in range(4_000)]
    symbols = [*long[:1_000], *long[1_003:2_000]]
    assert len(longest_common(symbols, places_of(symbols, long))) == len(symbols)
