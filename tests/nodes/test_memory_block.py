"""How memories read in the prompt."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nodes.budget import SCENE_LEAST, memory_room
from nodes.memory_block import Block, Told

HEADING = "[What Mira remembers]"
told = st.builds(
    Told,
    st.sampled_from(["", "2026-01-02", "2026-01-03", "2026-02-01"]),
    st.integers(-1, 90),
    st.text("ab ", min_size=1, max_size=30).map(lambda text: f"- {text}"),
)


def filled(some: list[Told], room: int) -> Block:
    """A block of them as far as they fit, a character a token."""
    block = Block(HEADING, room)
    for n, one in enumerate(some):
        block.add(("", "message", n), one, len(one.line) + 1, len("\n2026-01-02:"))
    return block


def test_each_day_stands_once_above_what_was_said_on_it_in_order() -> None:
    said = [Told("2026-02-01", 9, "- c"), Told("2026-01-02", 5, "- b"), Told("2026-01-02", 2, "- a")]
    card = Told("", -1, "- About Mira: dry.")
    assert filled([*said, card], 1000).text.split("\n") == [
        HEADING,
        "- About Mira: dry.",
        "2026-01-02:",
        "- a",
        "- b",
        "2026-02-01:",
        "- c",
    ]


def test_nothing_told_is_no_block() -> None:
    assert filled([Told("2026-01-02", 1, "- too long for this")], 5).text == ""


@given(st.lists(told, max_size=12), st.integers(0, 200))
def test_a_block_never_takes_more_than_its_room(some: list[Told], room: int) -> None:
    block = filled(some, room)
    assert len(block.text) <= len(HEADING) + room
    assert block.room == len(HEADING) + room - len(block.text or HEADING)


def test_a_question_has_all_the_room_and_a_scene_a_small_share_of_the_prompt() -> None:
    assert memory_room(5_000, '*leans closer* "What was my sister\'s name?" *waits*', 20_000) == 5_000
    assert memory_room(5_000, "*looks at the empty chair*", 20_000) == 1_200
    assert memory_room(5_000, "*looks at the empty chair*", 2_000) == SCENE_LEAST
    assert memory_room(100, "*looks at the empty chair*", 20_000) == 100
