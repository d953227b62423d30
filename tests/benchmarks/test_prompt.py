"""What counts as being in the prompt."""

from __future__ import annotations

import pytest

from benchmarks.prompt import added, is_told

HEADING = "[What Mira remembers from earlier in this chat; use it where it fits, do not quote it.]"
TURN = "My sister is called Ines. She moved to Porto in spring. I miss her."


def test_a_turn_told_whole_is_in_the_prompt() -> None:
    assert is_told(TURN, f"{HEADING}\n- Alex (2026-01-02): {TURN}")


def test_white_space_is_put_aside() -> None:
    assert is_told("One line.\nAnother line.", f"{HEADING}\n- Alex (2026-01-02): One line. Another line.")


def test_an_excerpt_counts_from_more_than_half_of_the_characters() -> None:
    assert is_told(TURN, "- Alex (2026-01-02): My sister is called Ines. She moved to Porto in spring.")
    assert not is_told(TURN, "- Alex (2026-01-02): My sister is called Ines.")


def test_an_excerpt_must_stand_in_one_line() -> None:
    assert not is_told(
        TURN, "- Alex (2026-01-02): My sister is called Ines.\n- Mira (2026-01-03): I miss her."
    )


@pytest.mark.parametrize("told", ["", "- Mira (2026-01-02): Yesterday was fine."])
def test_a_part_of_a_word_is_no_turn(told: str) -> None:
    assert not is_told("Yes", told)


def test_what_the_front_end_sent_is_not_told_by_us() -> None:
    sent = [{"role": "system", "content": "Card"}, {"role": "user", "content": "Who is Ines?"}]
    block = {"role": "user", "content": f"{HEADING}\n- Alex (2026-01-02): {TURN}"}
    older = {"role": "assistant", "content": "The kettle is on."}
    prompt = [sent[0], older, block, sent[1]]
    assert added(sent, prompt, {("assistant", "The kettle is on.")}) == (block["content"], older["content"])


def test_a_block_merged_into_the_newest_message_is_told_without_it() -> None:
    sent = [{"role": "user", "content": "Who is Ines?"}]
    prompt = [{"role": "user", "content": f"- Alex: {TURN}\n\nWho is Ines?"}]
    block, history = added(sent, prompt, set())
    assert block.strip() == f"- Alex: {TURN}"
    assert history == ""
