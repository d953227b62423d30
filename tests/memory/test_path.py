"""Paths behave as the list of ids that they stand for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from memory.path import Path, PathBuilder, encode

IDS = st.lists(st.integers(1, 60), unique=True)


@given(IDS)
def test_a_path_is_its_list(ids):
    path = Path(encode(ids))
    assert list(path) == ids and len(path) == len(ids)
    assert [path[n] for n in range(-len(ids), len(ids))] == ids + ids
    assert [path.position(i) for i in ids] == list(range(len(ids)))
    assert [i in path for i in range(62)] == [i in ids for i in range(62)]


@given(IDS, st.integers(-5, 70), st.none() | st.integers(0, 70))
def test_a_part_of_a_path_is_the_part_of_the_list(ids, start, stop):
    path = Path(encode(ids))
    assert path.slice(start, stop) == ids[max(start, 0) : stop]
    assert list(Path(path.between(start, stop))) == ids[max(start, 0) : stop]
    assert list(path.prefix(max(start, 0))) == ids[: max(start, 0)]


@given(IDS, st.integers(1, 60), st.integers(0, 10))
def test_a_path_covers_what_it_holds_every_id_of(ids, first, more):
    assert Path(encode(ids)).covers(first, first + more) == set(ids).issuperset(
        range(first, first + more + 1)
    )


@given(IDS, st.integers(1, 60), st.integers(0, 60))
def test_a_builder_knows_what_it_laid(ids, asked, limit):
    builder = PathBuilder(encode(ids))
    assert builder.last == (ids[-1] if ids else None)
    assert (asked in builder) == (asked in ids)
    after = len(ids) - ids.index(asked) - 1 if asked in ids else None
    assert builder.laid_after(asked, limit) == (after if after is not None and after <= limit else None)
    assert builder.laid_after(None, limit) == (len(ids) if len(ids) <= limit else None)


def test_ten_thousand_messages_are_one_range():
    assert encode(range(1, 10_001)) == [[1, 10_000]]


def test_new_messages_stand_alone():
    assert encode([1, 2, -1, -2, 3]) == [[1, 2], [-1, -1], [-2, -2], [3, 3]]
    assert list(Path([[1, 2], [-1, -1]])) == [1, 2, -1]
