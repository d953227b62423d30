"""Phrases that are said again, by several, and notes that a front-end glues to what somebody said."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from server.sessions.protocol import ChatEvent
from server.sillytavern import Markers
from tests.memory.messages import CARD, GREETING, INSTRUCTIONS, NOTE, character, texts, user
from tests.truth.chat import Chat, Said
from tests.truth.front_end import Style, Wanted, request
from tests.truth.held import Kept
from tests.truth.lines import said_in
from tests.truth.memory_under_test import Memory


async def talked(
    memory: Memory, chat: Chat, style: Style, turns: Sequence[tuple[str, str, str]]
) -> tuple[list[Said], Kept]:
    """A chat of these turns (persona, what the user says, the reply), and what memory has of it."""
    said, told = [Said("assistant", "Mira", [GREETING])], {"x-chat-id": chat.chat_id} if chat.chat_id else {}
    kept: Kept | None = None
    for persona, text, reply in turns:
        chat.user = persona
        said.append(Said("user", persona, [text]))
        body = request(chat, said, style, Wanted(speaker="Mira", note=NOTE))
        kept = await memory.ask(body, told, [reply], Markers())
        said.append(Said("assistant", "Mira", [reply]))
    assert kept is not None
    return said, kept


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


async def test_a_phrase_of_two_personas_under_a_note_is_led_by_the_name_of_the_former_one(
    memory: Memory,
) -> None:
    """What one of them said is shown without a name, for it is the present one: that says nothing of the other."""
    chat, semi = Chat(["Mira"], "chat-1"), Style(mode="semi", note_depth=2)
    turns = (("Alex", "Yes.", "Two."), ("Sam", "Yes.", "Four."), ("Alex", "Five.", "Six."))
    said, kept = await talked(memory, chat, semi, turns)
    assert kept.path[3].speaker == "Sam"
    assert kept.path[3].text.startswith("Sam: Yes.")
    body = request(
        chat, [*said[3:], Said("user", "Alex", ["Seven."])], semi, Wanted(speaker="Mira", note=NOTE)
    )
    kept = await memory.ask(body, {"x-chat-id": "chat-1"}, ["Eight."], Markers())
    assert kept is not None
    assert [said_in(message) for message in kept.path[3:5]] == ["Yes.", "Four."]
    assert len(kept.path) == 9


async def test_a_phrase_led_by_a_name_is_that_ones_where_it_may_stand_in_either_place(memory: Memory) -> None:
    """The chat was cut back to a phrase that another persona said later on, and its greeting was edited."""
    chat = Chat(["Mira"])
    turns = (("Alex", "One.", "Two."), ("Alex", "Nods.", "Four."), ("Sam", "Nods.", "Six."))
    said, _ = await talked(memory, chat, Style(), turns)
    shown = [Said("assistant", "Mira", ["Come in."]), *said[1:4]]
    kept = await memory.ask(request(chat, shown, Style(), Wanted(speaker="Mira")), {}, ["Seven."], Markers())
    assert kept is not None
    assert [(message.speaker, message.text) for message in kept.path[3:]] == [
        ("Alex", "Nods."),
        ("Mira", "Seven."),
    ]


async def test_a_message_that_was_seen_behind_another_personas_is_its_own_personas(memory: Memory) -> None:
    """The reply between them was hidden, and is shown again."""
    chat, merge = Chat(["Mira"], "chat-1"), Style(mode="merge")
    said = [Said("assistant", "Mira", [GREETING]), Said("user", "Alex", ["One."])]

    async def turn(window: list[Said], reply: str) -> Kept | None:
        body = request(chat, window, merge, Wanted(speaker="Mira"))
        return await memory.ask(body, {"x-chat-id": "chat-1"}, [reply], Markers())

    await turn(said, "Two.")
    chat.user = "Sam"
    said += [Said("assistant", "Mira", ["Two."]), Said("user", "Sam", ["Three."])]
    kept = await turn([*said[:2], said[3]], "Four.")
    assert kept is not None
    assert [message.speaker for message in kept.path][1] == "Alex"
    said += [Said("assistant", "Mira", ["Four."]), Said("user", "Sam", ["Five."])]
    kept = await turn(said, "Six.")
    assert kept is not None
    assert [message.text for message in kept.path if message.speaker == "Sam"] == ["Three.", "Five."]


async def test_what_is_said_behind_a_former_personas_message_is_the_present_ones(memory: Memory) -> None:
    """Nothing else that the user said stands in the window: only what another persona said has a name."""
    chat, merge = Chat(["Mira"], "chat-1"), Style(mode="merge", narrator=True)
    said = [
        Said("assistant", "Mira", [GREETING]),
        *(Said("user", "Alex", [text]) for text in ("One.", "Two.")),
    ]
    body = request(chat, said, Style(), Wanted(speaker="Mira"), "extension")
    await memory.ask(body, {}, ["Three."], Markers())
    chat.user = "Sam"
    shown = [*said[:2], Said("user", "Sam", ["Four."])]
    body = request(chat, shown, merge, Wanted(speaker="Mira"), "extension")
    kept = await memory.ask(body, {}, ["Five."], Markers())
    assert kept is not None
    assert [(message.speaker, message.text) for message in kept.path[1:3]] == [
        ("Alex", "One."),
        ("Sam", "Four."),
    ]


async def test_what_was_said_is_no_note_although_one_stands_before_it_that_stood_behind_it(
    memory: Memory,
) -> None:
    """The note moved back, for the reply to a deleted message is asked for again; another line had shown the
    message with the instructions."""
    one = [CARD, character(GREETING), user("One.", INSTRUCTIONS)]
    await memory.turn(one, ["Two."], chat_id="chat-1")
    other = [CARD, character(GREETING), user("Else.", INSTRUCTIONS)]
    await memory.turn(other, ["Five."], chat_id="chat-1")
    other = [*other[:2], user("Else."), character("Five."), user("More.", INSTRUCTIONS)]
    await memory.turn(other, ["Seven."], chat_id="chat-1")
    noted = [CARD, character(GREETING), user("One.", NOTE), character("Two.")]
    await memory.turn([*noted, user("Three.", INSTRUCTIONS)], ["Four."], chat_id="chat-1")
    moved = [CARD, character(GREETING), user(NOTE, "One."), character("Two."), user(INSTRUCTIONS)]
    kept = await memory.turn(moved, ["Six."], chat_id="chat-1")
    assert "One." in kept.path[1].text


async def test_a_reply_in_the_words_of_another_lines_reply_is_a_message_of_its_own(memory: Memory) -> None:
    """The branch would seem to go on as its origin does."""
    begun = [CARD, character(GREETING), user("One."), character("Two.")]
    await memory.turn([*begun, user("Three.")], ["Yes."], chat_id="chat-1")
    origin = [*begun, user("Three."), character("Yes."), user("Five.")]
    await memory.turn(origin, ["Six."], chat_id="chat-1")
    kept = await memory.turn([*begun, user("Else.")], ["Yes."], chat_id="chat-2")
    assert kept.path[-1].parent == kept.path[-2].id


async def test_a_groups_chat_is_not_its_members_because_of_a_greeting_and_a_phrase(memory: Memory) -> None:
    kept = []
    for characters in (["Mira", "Tobias"], ["Mira"]):
        said = [Said("assistant", "Mira", [GREETING]), Said("user", "Alex", ["Nods."])]
        body = request(Chat(characters), said, Style(mode="merge"), Wanted(speaker="Mira"))
        kept.append(await memory.ask(body, {}, ["Good."], Markers()))
    group, alone = kept
    assert group is not None
    assert alone is not None
    assert alone.session.session_id != group.session.session_id
    assert group.session.is_group and not alone.session.is_group


async def test_a_phrase_under_a_note_is_not_another_personas_under_the_same_note(memory: Memory) -> None:
    chat, semi = Chat(["Mira"], "chat-1"), Style(mode="semi", names="content", note_depth=2)
    said = [Said("assistant", "Mira", [GREETING])]
    kept = None
    for persona, text, reply in (
        ("Alex", "Yes.", "Two."),
        ("Alex", "Three.", "Four."),
        ("Sam", "Five.", "Six."),
        ("Sam", "Yes.", "Eight."),
        ("Sam", "Nine.", "Ten."),
    ):
        chat.user = persona
        said.append(Said("user", persona, [text]))
        body = request(chat, said, semi, Wanted(speaker="Mira", note=NOTE), "yaml")
        kept = await memory.ask(body, {}, [reply], Markers())
        said.append(Said("assistant", "Mira", [reply]))
    assert kept is not None
    assert [message.speaker for message in kept.path if said_in(message).startswith("Yes.")] == [
        "Alex",
        "Sam",
    ]


@pytest.mark.parametrize(("first", "second"), [("Mira", "Tobias"), ("ミラ", "アレ")])
async def test_the_same_words_in_the_same_place_are_of_the_one_who_says_them_now(
    memory: Memory, first: str, second: str
) -> None:
    """In a group one's answer was deleted, and another gave the same; the front-end reported both."""
    asked = [{"role": "assistant", "name": first, "content": GREETING}, {**user("Who?"), "name": "Alex"}]
    await memory.turn([CARD, *asked], ["I."], chat_id="chat-1")
    for name in (first, second):
        told = {"type": "reply", "is_group": True, "user_name": "Alex"}
        await memory.tell("chat-1", ChatEvent.model_validate({**told, "messages": asked}))
        said = [*asked, {"role": "assistant", "name": name, "content": "Yes."}]
        kept = await memory.tell("chat-1", ChatEvent.model_validate({**told, "messages": said}))
    assert kept is not None
    assert [(message.speaker, message.text) for message in kept.path[2:]] == [(second, "Yes.")]


async def test_a_message_is_no_glue_of_the_one_that_it_is_merged_with(memory: Memory) -> None:
    """The reply between two messages was hidden, and the instructions moved on from the second."""
    first = [CARD, character(GREETING)]
    await memory.turn([*first, user("One.")], ["Two."], chat_id="chat-1")
    said = [*first, user("One."), character("Two."), user("Three.", INSTRUCTIONS)]
    await memory.turn(said, ["Four."], chat_id="chat-1")
    hidden = [*first, user("One.", "Three."), character("Four."), user("Five.", INSTRUCTIONS)]
    kept = await memory.turn(hidden, ["Six."], chat_id="chat-1")
    shown = [*texts(kept)[:-2], "Five.", "Six."]
    assert "\n\n".join(shown) == "\n\n".join([GREETING, "One.", "Three.", "Four.", "Five.", "Six."])


async def test_a_phrase_that_is_said_again_is_no_note_that_moved(memory: Memory) -> None:
    """The chat begins with it, out of the window; there it stood once, was edited, and stands again."""
    said = [user("Go on."), character("One."), user("Two."), character("Three.")]
    await memory.turn([CARD, *said[:1]], ["One."], chat_id="chat-1")
    await memory.turn([CARD, *said[:3]], ["Three."], chat_id="chat-1")
    await memory.turn([CARD, *said, user("Go on.")], ["Four."], chat_id="chat-1")
    await memory.turn([CARD, *said[1:], user("Go away.")], ["Five."], chat_id="chat-1")
    window = [*said[1:], user("Go on."), character("Five."), user("Six.")]
    kept = await memory.turn([CARD, *window], ["Seven."], chat_id="chat-1")
    assert texts(kept) == ["Go on.", "One.", "Two.", "Three.", "Go on.", "Five.", "Six.", "Seven."]


async def test_a_lone_message_that_is_asked_again_is_not_said_twice(memory: Memory) -> None:
    """Merged into one message and without an id: a branch from a phrase with which the chat goes on elsewhere too."""
    chat = Chat(["Mira"])
    chat.said = [Said("user", "Alex", ["Nods."])]
    style = Style(mode="single")
    for reply in ("One.", "Two."):
        await memory.ask(request(chat, chat.said, style, Wanted(speaker="Mira")), {}, [reply], Markers())
        chat.said += [Said("assistant", "Mira", [reply]), Said("user", "Alex", ["Nods."])]
    again = request(chat, chat.said[:1], style, Wanted("swipe", "Mira"))
    kept = await memory.ask(again, {}, ["Three."], Markers())
    assert kept is not None
    assert texts(kept) == ["Nods.", "One.", "Nods.", "Three."]


async def test_a_lone_phrase_is_no_other_chats_whatever_its_reply_begins_with(memory: Memory) -> None:
    """Merged into one message and without an id: a new chat begins with what another one said last, where a reply
    that began so was swiped away."""
    chat = Chat(["Mira"], said=[Said("assistant", "Mira", [GREETING])])
    for text in ("One.", "Two.", "Yes."):
        chat.said.append(Said("user", "Alex", [text]))
        for start in ("Well,", ""):
            body = request(chat, chat.said, Style(mode="single", start=start), Wanted(speaker="Mira"))
            await memory.ask(body, {}, [f"{start} No to {text}".strip()], Markers())
        chat.said.append(Said("assistant", "Mira", [f"No to {text}"]))
    other = Chat(["Mira"], said=[Said("user", "Alex", ["Yes."])])
    begun = request(other, other.said, Style(mode="single", start="Well,"), Wanted(speaker="Mira"))
    kept = await memory.ask(begun, {}, ["No."], Markers())
    assert kept is not None
    assert texts(kept) == ["Yes.", "Well,", "No."]


async def test_a_note_that_stands_still_because_a_message_is_gone_is_not_said(memory: Memory) -> None:
    """The user said more, and hid what stood behind the note, so that the note is as far from the end as before."""
    first = [CARD, character(GREETING)]
    await memory.turn([*first, user("One.", NOTE, "Two.", INSTRUCTIONS)], ["Three."], chat_id="chat-1")
    hidden = [*first, user("One.", NOTE), character("Three."), user("Four.", INSTRUCTIONS)]
    kept = await memory.turn(hidden, ["Five."], chat_id="chat-1")
    assert [said_in(m) for m in kept.path if NOTE in m.text and not m.unsettled] == []


async def test_a_note_that_stands_still_while_a_reply_is_asked_for_again_is_not_said(memory: Memory) -> None:
    """Merged into one message that ends with what the reply is to begin with, after a stop: nothing in it is new."""
    chat, single = Chat(["Mira"], "chat-1"), Style(mode="single", note_depth=2, start="Well,")
    chat.said = [
        Said("assistant", "Mira", [GREETING]),
        *(Said("user", "Alex", [text]) for text in ("1.", "2.")),
    ]
    asked = request(chat, chat.said, single, Wanted(speaker="Mira", note=NOTE))
    for replies in ([], ["Three."]):
        kept = await memory.ask(asked, {"x-chat-id": "chat-1"}, replies, Markers())
    assert kept is not None
    assert [m.unsettled for m in kept.path if NOTE in m.text] == [True]


async def test_a_note_moves_between_two_exchanges_of_the_same_words(memory: Memory) -> None:
    """The window begins with the first of them, which is shown without the note now; the second has it."""
    first = [CARD, character(GREETING), user("One.")]
    await memory.turn(first, ["Two."], chat_id="chat-1")
    first = [*first, character("Two."), user("Go on.")]
    await memory.turn(first, ["I see."], chat_id="chat-1")
    noted = [CARD, character(GREETING), user("One."), character("Two."), user("Go on.", NOTE)]
    await memory.turn([*noted, character("I see."), user("Go on.")], ["I see."], chat_id="chat-1")
    moved = [CARD, user("Go on."), character("I see."), user("Go on.", "Another note."), character("I see.")]
    kept = await memory.turn([*moved, user("Three.")], ["Four."], chat_id="chat-1")
    assert [said.split("\n")[0] for said in texts(kept)] == [
        *(GREETING, "One.", "Two."),
        *("Go on.", "I see.", "Go on.", "I see."),
        *("Three.", "Four."),
    ]
