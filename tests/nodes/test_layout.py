"""The prompt's layout, as pure functions."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nodes.layout import CUT_TO, drop_oldest_half, history_limit, history_start, parts_of, shares

counts = st.lists(st.integers(1, 50), min_size=1, max_size=80)


def test_the_shares_split_the_window_and_max_tokens_replaces_the_answers() -> None:
    split = shares(1000, [20, 25, 35, 20], None)
    assert (split.system, split.memory, split.history, split.response) == (200, 250, 350, 200)
    assert split.prompt == 800
    assert shares(1000, [20, 25, 35, 20], 50).prompt == 950


def test_an_answer_cannot_reserve_more_than_half_the_window() -> None:
    assert shares(1000, [20, 25, 35, 20], 100_000).response == 500


@given(counts, st.integers(1, 500), st.data())
def test_the_history_fits_its_limit_unless_one_message_alone_is_larger(
    tokens: list[int], limit: int, data: st.DataObject
) -> None:
    shown = data.draw(st.integers(0, len(tokens) - 1))
    held = data.draw(st.none() | st.integers(0, len(tokens) - 1))
    start = history_start(tokens, limit, held, shown)
    assert 0 <= start < len(tokens)
    assert sum(tokens[start:]) <= limit or start == len(tokens) - 1


@given(st.integers(100, 400), st.integers(60, 200))
def test_the_start_is_held_for_many_turns_between_cuts(limit: int, turns: int) -> None:
    tokens: list[int] = []
    held: int | None = None
    moves = 0
    for _ in range(turns):
        tokens += [5, 5]
        start = history_start(tokens, limit, held, 0)
        moves += held is not None and start != held
        held = start
    per_cut = (1 - CUT_TO) * limit / 10
    assert moves <= turns / per_cut + 1


def test_older_messages_hold_the_start_where_the_front_end_slides_on() -> None:
    tokens = [10] * 100
    assert history_start(tokens, 10_000, 40, 45) == 40
    assert history_start(tokens, 10_000, 10, 60) == 60


def test_parts_tell_examples_history_and_system_apart() -> None:
    messages = [
        {"role": "system", "content": "You are Mira."},
        {"role": "system", "content": "[Example Chat]"},
        {"role": "system", "name": "example_user", "content": "Hi"},
        {"role": "system", "name": "example_assistant", "content": "Hello"},
        {"role": "system", "content": "[Start a new Chat]"},
        {"role": "assistant", "content": "Welcome."},
        {"role": "system", "content": "A note at depth one."},
        {"role": "user", "content": "Good evening."},
        {"role": "system", "content": "Keep it short."},
    ]
    assert parts_of(messages, 7) == [
        "system",
        "example",
        "example",
        "example",
        "system",
        "history",
        "system",
        "newest",
        "system",
    ]


def test_the_older_half_goes_and_tool_results_go_with_their_call() -> None:
    prompt = [
        {"role": "system", "content": "card"},
        {"role": "user", "content": "1"},
        {"role": "assistant", "content": "", "tool_calls": [{"id": "a"}]},
        {"role": "tool", "content": "result", "tool_call_id": "a"},
        {"role": "assistant", "content": "2"},
        {"role": "user", "content": "3"},
    ]
    labels = ["system", "history", "history", "history", "history", "newest"]
    kept, kept_labels = drop_oldest_half(prompt, labels)
    assert [m["content"] for m in kept] == ["card", "2", "3"]
    assert kept_labels == ["system", "history", "newest"]


def test_each_part_is_sure_of_its_share_and_the_history_takes_what_is_left_over() -> None:
    split = shares(1000, [20, 25, 35, 20], None)
    assert history_limit(split, split.prompt - 100) == 700 - 250
    assert history_limit(split, split.prompt - 500) == 300 * 35 // 60
    generous = shares(1000, [20, 5, 55, 20], None)
    assert history_limit(generous, 300) > history_limit(split, 300)
