"""What post-processing merges or glues is found again as what was said, in the plain cases one by one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from server.sessions.protocol import ChatEvent
from server.sillytavern import Markers
from tests.memory.messages import CARD, GREETING, INSTRUCTIONS, NOTE, character, texts, user
from tests.truth.chat import USER, Chat, Said
from tests.truth.front_end import Style, Wanted, request
from tests.truth.held import Kept
from tests.truth.memory_under_test import Memory


def event(kind: str, messages: list[dict[str, Any]]) -> ChatEvent:
    """What the extension reports."""
    return ChatEvent.model_validate({"type": kind, "messages": messages})


def messages_of(chat: Chat, window: list[Said], style: Style, note: str) -> list[dict[str, Any]]:
    """Those of the request that a front-end makes of a window."""
    messages: list[dict[str, Any]] = request(chat, window, style, Wanted(speaker="Mira", note=note))[
        "messages"
    ]
    return messages


@pytest.mark.parametrize("chat_id", ["", "chat-1"])
async def test_a_first_message_with_other_glue_is_the_same_message(memory: Memory, chat_id: str) -> None:
    first = [CARD, character(GREETING), user("I lost my hat.", INSTRUCTIONS)]
    await memory.turn(first, ["Did you now."], chat_id=chat_id)
    later = [CARD, character(GREETING), user("I lost my hat.", NOTE), character("Did you now.")]
    kept = await memory.turn([*later, user("I did.", INSTRUCTIONS)], ["Hm."], chat_id=chat_id)
    assert texts(kept) == [GREETING, "I lost my hat.", "Did you now.", "I did.", "Hm."]
    assert (await memory.transcript.sessions("local")).total == 1


@pytest.mark.parametrize("chat_id", ["", "chat-1"])
async def test_an_edit_of_one_of_two_merged_messages_leaves_the_other(memory: Memory, chat_id: str) -> None:
    said = [user("Three?"), character("Five."), user("Six?"), character("Seven.")]
    apart = [CARD, character(GREETING), {"role": "system", "content": NOTE}, character("Two.")]
    await memory.turn([*apart, said[0]], ["Five."], chat_id=chat_id)
    merged = [CARD, character(GREETING, "Two."), *said[:3]]
    assert texts(await memory.turn(merged, ["Seven."], chat_id=chat_id))[:2] == [GREETING, "Two."]
    edited = [CARD, character(GREETING, "Two, edited."), *said, user("Eight?")]
    kept = await memory.turn(edited, ["Nine."], chat_id=chat_id)
    assert texts(kept)[:3] == [GREETING, "Two, edited.", "Three?"]


async def test_an_edit_that_adds_a_paragraph_is_one_message(memory: Memory) -> None:
    await memory.turn([CARD, character(GREETING), user("One?")], ["Two."], chat_id="chat-1")
    edited = [CARD, character(GREETING), user("One?", "And more?"), character("Two."), user("Three?")]
    kept = await memory.turn(edited, ["Four."], chat_id="chat-1")
    assert texts(kept) == [GREETING, "One?\n\nAnd more?", "Two.", "Three?", "Four."]


async def test_a_message_that_gets_its_note_back_stands_once(memory: Memory) -> None:
    """Single-message mode with a note two messages before the end, while older messages are deleted."""
    asked, answered = Said("user", USER, ["One?"]), Said("assistant", "Mira", ["Two."])
    chat = Chat(["Mira"], "chat-1")

    async def turn(window: list[Said], reply: str) -> Kept:
        single = Style(mode="single", names="content", note_depth=2)
        return await memory.turn(messages_of(chat, window, single, NOTE), [reply], chat_id="chat-1")

    await turn([Said("assistant", "Mira", [GREETING]), asked], "Two.")
    more = Said("user", USER, ["Three?"])
    await turn([asked, answered, more], "Four.")
    await turn([answered, more, Said("assistant", "Mira", ["Four."])], "Five.")
    await turn([answered, more], "Six.")
    kept = await turn([answered, more, Said("assistant", "Mira", ["Six."])], "Seven.")
    assert sum("Two." in message.text for message in kept.path) == 1


async def test_a_phrase_said_again_under_a_moving_note_is_two_messages(memory: Memory) -> None:
    """Single-message mode: the note has left the first "Yes." for the second, the window begins with the first."""
    chat = Chat(["Mira"], "chat-1")
    asked = [Said("user", USER, [text]) for text in ("One?", "Yes.", "Yes.", "Three?")]
    answered = [Said("assistant", "Mira", [text]) for text in ("Two.", "Good.\n\n*She nods.*", "Fine.")]
    opening = Said("assistant", "Mira", [GREETING])
    said = [opening, *(one for pair in zip(asked, answered, strict=False) for one in pair), asked[-1]]
    for end, reply in ((2, answered[0].text), (4, answered[1].text), (6, "Fine."), (8, "Four.")):
        single = Style(mode="single", names="content", note_depth=2)
        note = NOTE if end < 6 else "The mood is tense."
        window = messages_of(chat, said[max(0, end - 5) : end], single, note)
        kept = await memory.turn(window, [reply], chat_id="chat-1")
    first = [message.text.split("\n")[0].removeprefix("Alex: ") for message in kept.path]
    assert first == [GREETING, "One?", "Two.", "Yes.", "Good.", "Yes.", "Fine.", "Three?", "Four."]


async def test_a_chat_is_found_by_its_messages_although_another_has_them_merged(memory: Memory) -> None:
    other = [CARD, character(GREETING), user("Eight."), character("Nine."), user("One.", "Two.")]
    await memory.turn(other, ["Three."])
    await memory.turn([*other, character("Three."), user("Ten.")], ["Eleven."])
    named = [CARD, user("Alex: Zero.", "Alex: One.", "Alex: Two."), character("Mira: Three.")]
    kept = await memory.turn([*named, user("Alex: Four.")], ["Five."])
    merged = [CARD, user("One.", "Two."), character("Three."), user("Four.", NOTE), character("Five.")]
    goes_on = await memory.turn([*merged, user("Six.")], ["Seven."])
    assert goes_on.session.session_id == kept.session.session_id


async def test_a_first_message_to_which_a_note_is_glued_again_stands_in_its_place(memory: Memory) -> None:
    await memory.turn([CARD, character(GREETING), user("One.")], ["Two."], chat_id="chat-1")
    glued, plain = [user("One.", NOTE), character("Two.")], [user("One."), character("Two.")]
    await memory.tell("chat-1", event("hide", plain))
    await memory.turn([CARD, *glued, user("Three.")], ["Four."], chat_id="chat-1")
    longer = [*plain, user("Three."), character("Four."), user("Five.")]
    await memory.turn([CARD, *longer], ["Six."], chat_id="chat-1")
    kept = await memory.turn([CARD, *glued, user("Seven.")], ["Eight."], chat_id="chat-1")
    assert [text.split("\n")[0] for text in texts(kept)] == ["One.", "Two.", "Seven.", "Eight."]


async def test_a_second_message_that_was_not_answered_is_no_note(memory: Memory) -> None:
    first = [CARD, character(GREETING)]
    await memory.turn([*first, user("Who?", INSTRUCTIONS)], ["A guest."], chat_id="chat-1")
    more = [user("Who?", "And why?", NOTE), character("A tired one."), user("I see.", INSTRUCTIONS)]
    kept = await memory.turn([*first, *more], ["Hm."], chat_id="chat-1")
    assert texts(kept)[1] == f"Who?\n\nAnd why?\n\n{NOTE}"
    assert kept.path[1].unsettled


async def test_a_note_that_goes_from_before_a_message_to_behind_it_is_none_of_it(memory: Memory) -> None:
    first = [CARD, character(GREETING)]
    glued = user(NOTE, "Who?", "And why?", INSTRUCTIONS)
    before = await memory.turn([*first, glued], ["A guest."])
    later = [user("Who?", "And why?", NOTE), character("A guest."), user("I see.", INSTRUCTIONS)]
    kept = await memory.turn([*first, *later], ["Hm."])
    assert kept.session.session_id == before.session.session_id
    longer = [user("Who?", "And why?"), *later[1:2], user("I see.", NOTE), character("Hm.")]
    kept = await memory.turn([*first, *longer, user("Well.", INSTRUCTIONS)], ["Yes?"])
    assert texts(kept)[1] == "Who?\n\nAnd why?"


async def test_a_note_that_stays_because_nobody_said_more_is_not_taken_for_said(memory: Memory) -> None:
    """A reply is continued, then the character speaks again: only the instructions move."""
    asked = [CARD, user("Who?", NOTE, "And why?", INSTRUCTIONS), character("A guest")]
    await memory.turn(asked, [" of ours."], kind="continue", chat_id="chat-1")
    spoke = [CARD, user("Who?", NOTE, "And why?"), character("A guest of ours."), user(INSTRUCTIONS)]
    kept = await memory.turn(spoke, ["He is tired."], chat_id="chat-1")
    assert kept.path[0].unsettled
    shown = [CARD, user("Who?", "And why?"), character("A guest of ours.", "He is tired.")]
    kept = await memory.turn([*shown, user("I see.", INSTRUCTIONS)], ["Yes?"], chat_id="chat-1")
    assert texts(kept)[0] == "Who?\n\nAnd why?"


async def test_a_phrase_that_lost_its_note_stands_where_it_stood_although_it_is_said_again(
    memory: Memory,
) -> None:
    """Single-message mode: the last reply is swiped, and the older of two exchanges that are the same has no note."""
    opening, *said = [
        Said("user" if n % 2 else "assistant", USER if n % 2 else "Mira", [text])
        for n, text in enumerate((GREETING, "One?", "Two.", "Yes.", "Nods.", "Yes.", "Nods."))
    ]
    chat, bare = Chat(["Mira"], "chat-1"), Style(mode="single", names="content")
    for end, style in ((1, bare), (3, bare), (5, replace(bare, note_depth=2))):
        window = messages_of(chat, [opening, *said[:end]], style, NOTE)
        await memory.turn(window, [said[end].text], chat_id="chat-1")
    window = messages_of(chat, [opening, *said[:5]], bare, NOTE)
    kept = await memory.turn(window, ["Shrugs."], chat_id="chat-1")
    assert texts(kept) == [*(GREETING, "One?", "Two.", "Yes.", "Nods.", "Yes.", "Shrugs.")]
    assert [message.unsettled for message in kept.path] == [False] * 7
    tree = await memory.stored(kept.session.key)
    assert sum(message.text == "Yes." for message in tree) == 2


async def test_what_stands_before_merged_messages_stays_where_the_window_begins_with_them_apart(
    memory: Memory,
) -> None:
    """Names before messages tell them apart now; the reply was edited."""
    await memory.turn([CARD, user("Zero.")], [GREETING], chat_id="chat-1")
    merged = [CARD, user("Zero."), character(GREETING), user("One.", "Two.", INSTRUCTIONS)]
    await memory.turn(merged, ["Three."], chat_id="chat-1")
    apart = [user("Alex: One.", "Alex: Two.", NOTE), character("Mira: Four."), user("Alex: Five.")]
    kept = await memory.turn([CARD, *apart], ["Six."], chat_id="chat-1")
    assert texts(kept)[:3] == ["Zero.", GREETING, "Alex: One."]
    assert len(kept.path) == 7


async def test_a_message_that_stood_merged_is_not_told_twice_once_what_was_before_it_is_gone(
    memory: Memory,
) -> None:
    """The front-end reported both messages apart, as its chat has them: the first one fell out of the window."""
    both = [CARD, character(GREETING, "One."), user("Two?")]
    await memory.turn(both, ["Three."], chat_id="chat-1")
    said = [character(GREETING), character("One."), user("Two?"), character("Three.")]
    await memory.tell("chat-1", event("open", said))
    asked = [user("Two?"), character("Three."), user("Four?")]
    await memory.turn([*both[:2], *asked], ["Five."], chat_id="chat-1")
    kept = await memory.turn(
        [CARD, character("One."), *asked, character("Five."), user("Six?")], ["Seven."], chat_id="chat-1"
    )
    assert texts(kept) == [GREETING, "One.", "Two?", "Three.", "Four?", "Five.", "Six?", "Seven."]


async def test_a_message_merged_behind_another_personas_is_not_that_ones(memory: Memory) -> None:
    """The front-end writes names before what was said under other ones than the present, and reported the first two."""
    said = [Said("user", "Alex", ["One."]), Said("assistant", "Mira", ["Two."])]
    said += [Said("user", "Sam", ["Three."]), Said("user", "Alex", ["Four."])]
    shown = [{"role": one.role, "name": one.speaker, "content": one.text} for one in said]
    await memory.turn([CARD, *shown[:1]], ["Two."], chat_id="chat-1")
    await memory.tell("chat-1", event("open", shown))
    said.append(Said("user", "Alex", ["Five."]))
    body = request(Chat(["Mira"], "chat-1"), said, Style(mode="merge"), Wanted(speaker="Mira"))
    kept = await memory.ask(body, {"x-chat-id": "chat-1"}, ["Six."], Markers())
    assert kept is not None
    told = [(message.speaker, message.text) for message in kept.path[2:]]
    assert told == [("Sam", "Three."), ("Alex", "Four."), ("Alex", "Five."), ("Mira", "Six.")]


async def test_what_stands_before_three_merged_messages_stays_when_two_are_left_of_them(
    memory: Memory,
) -> None:
    """Names before messages tell the two apart, and what was answered to them was deleted too."""
    before = [CARD, user("Zero."), character(GREETING)]
    await memory.turn([*before, user("One.", "Two.", "Three.")], ["Four."], chat_id="chat-1")
    longer = [*before, user("One.", "Two.", "Three."), character("Four."), user("Five.")]
    await memory.turn(longer, ["Six."], chat_id="chat-1")
    apart = [user("Alex: One.", "Alex: Two."), character("Mira: Six."), user("Alex: Seven.")]
    kept = await memory.turn([CARD, *apart], ["Eight."], chat_id="chat-1")
    assert texts(kept)[:2] == ["Zero.", GREETING]
    assert [text.removeprefix("Alex: ") for text in texts(kept)[2:4]] == ["One.", "Two."]


async def test_a_chat_is_found_where_every_row_of_the_window_is_several_messages(memory: Memory) -> None:
    """The character spoke twice, the first time in two paragraphs, and what was before fell out of the window."""
    answer = ("Three.", "*She nods.*")
    window = [CARD, character(GREETING), user("One."), character("Two."), user("Yes?", "And now?")]
    kept = await memory.turn(window, ["\n\n".join(answer)])
    await memory.turn([CARD, *window[2:], character(*answer)], ["Four."])
    window = [CARD, user("Yes?", "And now?"), character(*answer, "Four."), user("Five.")]
    goes_on = await memory.turn(window, ["Six."])
    assert goes_on.session.session_id == kept.session.session_id
    assert texts(goes_on)[-4:] == ["\n\n".join(answer), "Four.", "Five.", "Six."]


async def test_a_merged_message_is_the_same_without_the_name_that_the_user_has_again(memory: Memory) -> None:
    """What Sam said stood behind what Alex said, whom the user was then; nothing else of Sam's had been shown."""
    chat, semi = Chat(["Mira"], "chat-1"), Style(mode="semi")
    said = [Said("user", who, [text]) for who, text in (("Alex", "One."), ("Sam", "Two."))]
    said.insert(0, Said("assistant", "Mira", [GREETING]))
    kept = None
    for persona, reply in (("Alex", "Three."), ("Sam", "Four.")):
        chat.user = persona
        body = request(chat, said, semi, Wanted(speaker="Mira"), "yaml")
        kept = await memory.ask(body, {}, [reply], Markers())
    assert kept is not None
    assert sum("Two." in message.text for message in await memory.stored(kept.session.key)) == 1


async def test_what_replies_begin_with_tells_no_place_in_the_chat(memory: Memory) -> None:
    """Each prompt ends with it; what the window begins with has lost its glue, which does tell one."""
    chat, style = (
        Chat(["Mira"], "chat-1"),
        Style(mode="single", names="content", post_history=True, start="Well,"),
    )
    said = [Said("assistant", "Mira", [GREETING]), Said("user", USER, ["One?"])]
    body = request(chat, said, style, Wanted(speaker="Mira"), "yaml")
    await memory.ask(body, {}, ["two."], Markers())
    said += [
        Said("assistant", "Mira", ["Well, two."]),
        *(Said("user", USER, [text]) for text in ("Three?", "Four?")),
    ]
    body = request(chat, said[1:], style, Wanted(speaker="Mira"), "yaml")
    kept = await memory.ask(body, {}, ["five."], Markers())
    assert kept is not None
    assert kept.path[0].text.endswith(GREETING)


async def test_a_chat_without_a_greeting_whose_reply_is_deleted_goes_on_in_one_message(
    memory: Memory,
) -> None:
    """Nothing but what the user said is left, written as one: it is no message more of a client without history."""
    await memory.turn([CARD, user("One.")], ["Two."], chat_id="chat-1")
    kept = await memory.turn([CARD, user("One.", "Three.")], ["Four."], chat_id="chat-1")
    assert texts(kept) == ["One.", "Three.", "Four."]


async def test_a_client_without_history_may_begin_as_it_began_before(memory: Memory) -> None:
    """Its paragraphs are one message more, whatever one of them was before."""
    said = [("Yes.", "One."), ("No.", "Two."), ("Yes.\n\nRather.", "Three.")]
    for text, reply in said:
        kept = await memory.turn([CARD, user(text)], [reply], chat_id="chat-1")
    assert texts(kept) == [text for turn in said for text in turn]
