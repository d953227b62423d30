"""When a summary is due, and over what."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.glue import certain_text
from memory.path import Path, encode
from memory.stored import Message, Summary
from memory.summaries import extract
from nodes.summarise import due


def over(*runs: tuple[int, int]) -> list[Summary]:
    return [Summary(i, [[a, b]], "", "", 0.0) for i, (a, b) in enumerate(runs)]


def test_every_so_many_messages_from_the_beginning() -> None:
    path = Path([[1, 45]])
    assert due(path, [], 20) == [list(range(1, 21)), list(range(21, 41))]
    assert due(path, over((1, 20)), 20) == [list(range(21, 41))]
    assert due(path, over((1, 20), (21, 40)), 20) == []


def test_what_changed_between_two_summaries_is_taken_up_again() -> None:
    path = Path([[1, 24], [26, 40], [99, 99], [41, 50]])
    assert due(path, over((1, 20), (41, 50)), 10) == [
        [21, 22, 23, 24, 26, 27, 28, 29, 30, 31],
        [*range(32, 41), 99],
    ]


@given(st.lists(st.integers(1, 300), unique=True, min_size=1), st.integers(2, 20))
def test_a_run_stands_together_on_the_path_and_no_message_is_in_two(ids: list[int], every: int) -> None:
    path = Path(encode(ids))
    runs = due(path, [], every)
    assert [i for run in runs for i in run] == ids[: len(ids) // every * every]
    assert all(len(run) == every for run in runs)


@pytest.mark.parametrize(
    ("text", "certain"),
    [
        ("Alex: I sold the boat.\n\nStay with Mira's voice.", "I sold the boat."),
        ("I sold the boat.\n\nStay with Mira's voice.", ""),
        ("The mood is calm.\n\nI sold the boat.", ""),
        ("The mood is calm.\n\nAlex: I sold the boat.", ""),
    ],
)
def test_text_that_post_processing_may_have_glued_on_is_never_summarised(text: str, certain: str) -> None:
    message = Message(1, None, "user", "Alex", text, 1, True, "neutral", 0.0, 0.5, "t", 0.0)
    assert certain_text(message) == certain
    assert extract([message], 50) == (f"Alex: {certain}" if certain else "")
    assert certain_text(replace(message, unsettled=False)) == text.removeprefix("Alex: ")
