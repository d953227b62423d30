"""Notes that a front-end glues to what somebody said, and phrases that are said again beside them."""

from __future__ import annotations

from tests.memory.messages import CARD, GREETING, INSTRUCTIONS, NOTE, character, texts, user
from tests.truth.memory_under_test import Memory


async def test_a_note_is_not_settled_by_what_is_asked_behind_the_instructions(memory: Memory) -> None:
    """An extension asks behind the instructions that end the prompt: nobody said more, the note did not move."""
    first = [CARD, character(GREETING)]
    await memory.turn([*first, user("Who?", INSTRUCTIONS)], ["A guest."])
    asked = [*first, user(NOTE, "Who?", INSTRUCTIONS), character("A guest."), user("[Go on.]")]
    await memory.turn(asked, ["A guest of ours."])
    shown = [*first, user(NOTE, "Who?"), character("A guest of ours.")]
    kept = await memory.turn([*shown, user(INSTRUCTIONS, "Where are we?")], ["At the inn."])
    assert kept.path[1].unsettled


async def test_a_message_of_a_former_persona_behind_a_note_is_still_theirs(memory: Memory) -> None:
    """The front-end writes the name before it now that the user has another one."""
    await memory.turn([CARD, character(GREETING), user("One.", INSTRUCTIONS)], ["Two."])
    said = [CARD, character(GREETING), user("One.", NOTE), character("Two.")]
    await memory.turn([*said, user("Three.", INSTRUCTIONS)], ["Four."])
    said = [CARD, character(GREETING), user("Alex: One."), character("Two."), user(NOTE, "Alex: Three.")]
    told = {"role": "user", "content": "Five.", "name": "Sam"}
    kept = await memory.turn([*said, character("Four."), told], ["Six."])
    assert texts(kept)[2:5] == ["Two.", "Three.", "Four."]
    assert [message.speaker for message in kept.path if message.text == "Three."] == ["Alex"]


async def test_a_phrase_under_a_moving_note_is_not_taken_for_the_later_one(memory: Memory) -> None:
    """The reply between two that are the same was deleted; another swipe of the last reply is shown."""
    before = [CARD, character(GREETING), user("One.")]
    await memory.turn(before, ["Two."], chat_id="chat-1")
    yes = [*before, character("Two."), user("Yes.")]
    await memory.turn(yes, ["Three."], chat_id="chat-1")
    again = [*before, character("Two."), user("Yes.", NOTE), character("Three."), user("Yes.")]
    await memory.turn(again, ["Four.", "Five."], chat_id="chat-1")
    deleted = [*before, user("Yes.", NOTE), character("Three."), user("Yes.")]
    await memory.turn(deleted, ["Six."], chat_id="chat-1")
    moved = [
        *before,
        user("Yes."),
        character("Three."),
        user("Yes.", "The mood is tense."),
        character("Five."),
    ]
    kept = await memory.turn([*moved, user("Seven.")], ["Eight."], chat_id="chat-1")
    tree = await memory.stored(kept.session.key)
    assert sum(message.text == "Five." for message in tree) == 1
