"""Messages that post-processing merges with others than before: what was between them was hidden or deleted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from server.sessions.protocol import ChatEvent
from server.sillytavern import Markers
from tests.memory.messages import CARD, GREETING, INSTRUCTIONS, NOTE, character, texts, user
from tests.truth.chat import USER, Chat, Said
from tests.truth.chat_file import written
from tests.truth.front_end import Style, Wanted, request
from tests.truth.held import Kept
from tests.truth.lines import plain
from tests.truth.memory_under_test import Memory


def event(kind: str, messages: Sequence[dict[str, Any]]) -> ChatEvent:
    """What the extension reports."""
    return ChatEvent.model_validate({"type": kind, "messages": messages})


async def test_what_was_hidden_is_no_glue_of_the_message_that_it_is_merged_with(memory: Memory) -> None:
    """The message that follows came with instructions, so that some of it may be glue; the hidden one came back."""
    before = [CARD, character(GREETING), user("One."), character("Two.")]
    await memory.turn([*before, user("Three.")], ["Four."])
    await memory.turn([*before, user("Five.", INSTRUCTIONS)], ["Six."])
    kept = await memory.turn(
        [*before, user("Three.", "Five."), character("Six."), user("Seven.", INSTRUCTIONS)], ["Eight."]
    )
    assert "\n\n".join(texts(kept)).startswith(
        "\n\n".join([GREETING, "One.", "Two.", "Three.", "Five.", "Six."])
    )


async def test_an_edited_message_is_no_glue_of_those_it_is_merged_with(memory: Memory) -> None:
    """What was answered to it was deleted: three messages are one now, and the last one came with instructions."""
    before = [CARD, character(GREETING)]
    await memory.turn([*before, user("One.", "Two.", NOTE)], ["Yes."], chat_id="chat-1")
    answered = [*before, user("One.", "Two."), character("Yes.")]
    await memory.turn([*answered, user("Three.", INSTRUCTIONS)], ["Four."], chat_id="chat-1")
    window = [*before, user("One, edited.", "Two.", "Three."), character("Four.")]
    kept = await memory.turn([*window, user(NOTE, "Five.", INSTRUCTIONS)], ["Six."], chat_id="chat-1")
    assert "\n\n".join(texts(kept)[1:]).startswith("One, edited.\n\nTwo.\n\nThree.\n\nFour.")


async def test_a_swipe_of_the_same_words_is_the_same_reply(memory: Memory) -> None:
    """The character spoke twice; what it said first is hidden, and the other is asked for again."""
    said = [character(GREETING), user("One."), character("Two."), character("Nods.")]
    await memory.turn([CARD, *said[:2]], ["Two."], chat_id="chat-1")
    kept = await memory.tell("chat-1", event("reply", said))
    assert kept is not None
    stored = len(await memory.stored(kept.session.key))
    await memory.tell("chat-1", event("hide", [*said[:2], said[3]]))
    kept = await memory.turn([CARD, *said[:2]], ["Nods."], chat_id="chat-1")
    assert texts(kept) == [GREETING, "One.", "Nods."]
    assert len(await memory.stored(kept.session.key)) == stored


async def test_a_file_that_holds_merged_messages_apart_is_the_live_chat(memory: Memory) -> None:
    """The reply to both was stopped: the file shows less of it than memory was given."""
    chat = Chat(["Mira"], "chat-1", name="Mira - 1", asked=True)
    chat.said = [Said("assistant", "Mira", [GREETING])]
    for text, reply in (("One.", "Two."), ("Three.", ""), ("Four.", "Five, and then six.")):
        chat.said.append(Said("user", USER, [text]))
        body = request(chat, chat.said, Style(mode="merge"), Wanted(speaker="Mira"), "yaml")
        kept = await memory.ask(body, {}, [reply] if reply else [], Markers())
        chat.said += [Said("assistant", "Mira", [reply])] if reply else []
    assert kept is not None
    chat.said[-1].swipes[0] = "Five,"
    report = await memory.take_file(written(chat, makes_id=True), "Mira - 1.jsonl")
    assert report.sessions[0].id == kept.session.session_id


async def test_a_message_of_paragraphs_is_no_glue_of_the_one_it_is_merged_with(memory: Memory) -> None:
    """What was answered to it was deleted, and the chat's beginning fell out of the window."""
    before = [CARD, character(GREETING), user("One.", "And two.")]
    await memory.turn(before, ["Three."], chat_id="chat-1")
    answered = [*before, character("Three."), user("Four.", INSTRUCTIONS)]
    await memory.turn(answered, ["Yes."], chat_id="chat-1")
    window = [CARD, user("One.", "And two.", "Four."), character("Yes."), user("Five.", INSTRUCTIONS)]
    kept = await memory.turn(window, ["Six."], chat_id="chat-1")
    assert "\n\n".join(texts(kept)[:-2]) == "\n\n".join([GREETING, "One.", "And two.", "Four.", "Yes."])


async def test_a_reply_swiped_back_is_the_same_although_what_it_answers_was_merged(memory: Memory) -> None:
    """The front-end reports the two messages apart, and the reply that was given to both."""
    said = [character(GREETING), user("One."), user("Two."), character("Three.")]
    merged = [CARD, character(GREETING), user("One.", "Two.", INSTRUCTIONS)]
    await memory.turn(merged, ["Three."], chat_id="chat-1")
    await memory.turn(merged, ["Four."], chat_id="chat-1")
    kept = await memory.tell("chat-1", event("swipe", said))
    assert kept is not None
    assert texts(kept) == [GREETING, "One.", "Two.", "Three."]
    assert sum(m.text == "Three." for m in await memory.stored(kept.session.key)) == 1


async def test_a_swipe_of_the_same_words_under_another_name_is_the_same_reply(memory: Memory) -> None:
    """The user's messages are stored as one and as two; then the former persona is the user again."""
    chat, strict = Chat(["Mira"], "chat-1", user="Sam"), Style(mode="strict")
    said = [Said("assistant", "Mira", [GREETING]), Said("user", "Alex", ["One."])]
    kept = None
    for persona, name, text in (
        ("Alex", "", ""),
        ("Sam", "Alex", "Two.\n\n*Too.*"),
        ("Sam", "Sam", "Three."),
        ("Alex", "", ""),
    ):
        chat.user = persona
        said += [Said("user", name, [text])] if name else []
        body = request(chat, said, strict, Wanted(speaker="Mira"), "extension")
        kept = await memory.ask(body, {}, ["Yes."], Markers())
    assert kept is not None
    stored = [message.text for message in await memory.stored(kept.session.key)]
    assert sum("Three." in text for text in stored) == 1


async def test_an_edit_in_a_file_is_no_sign_of_another_chat(memory: Memory) -> None:
    """The last turns were deleted, the reply before them and an earlier message were edited: it is the live chat, and
    there is nothing new in it the second time."""
    chat = Chat(["Mira"], "chat-1", name="Mira - 1", asked=True)
    chat.said = [Said("assistant", "Mira", [GREETING])]
    for text, reply in (("One.", "Two."), ("Three.", "Four."), ("Five.", "Six."), ("Seven.", "Eight.")):
        chat.said.append(Said("user", USER, [text]))
        kept = await memory.ask(
            request(chat, chat.said, Style(), Wanted(speaker="Mira"), "yaml"), {}, [reply], Markers()
        )
        chat.said.append(Said("assistant", "Mira", [reply]))
    assert kept is not None
    del chat.said[5:]
    chat.said[1].swipes[0], chat.said[4].swipes[0] = "One, edited.", "Four, edited."
    for _ in range(2):
        report = await memory.take_file(written(chat, makes_id=True), "Mira - 1.jsonl")
        assert report.sessions[0].id == kept.session.session_id
    assert report.added + report.swipes + report.hidden == 0


async def test_what_begins_with_a_message_that_had_a_note_inside_is_that_one(memory: Memory) -> None:
    """Three messages were merged with a note among them; it moved, and what follows was edited."""
    before, chat_id = [CARD, character(GREETING)], "chat-1"
    await memory.turn(
        [*before, user("One.", NOTE), character("Ha."), user("Three.")], ["Four."], chat_id=chat_id
    )
    await memory.turn([*before, user("One.", NOTE, "Three.", "Five.")], ["Six."], chat_id=chat_id)
    window = [user("One.", "Three.", "Five.", INSTRUCTIONS), character("Six, edited."), user("Seven.")]
    kept = await memory.turn([CARD, *window], ["Eight."], chat_id=chat_id)
    assert texts(kept)[0] == GREETING
    assert "\n\n".join(texts(kept)[1:]).startswith("One.\n\nThree.\n\nFive.")
    assert [text for text in texts(kept) if "Ha." in text or text == "Three."] == []


async def test_a_file_is_the_chats_whose_one_message_has_a_note_in_memory(memory: Memory) -> None:
    """Of a chat that began with the user's message only the reply was edited since, and a group may have its id."""
    chat = Chat(["Mira", "Tobias"], "chat-1", name="Mira+Tobias - 1")
    chat.said = [Said("user", "Alex", ["One."])]
    style = Style(mode="single", post_history=True, start="Well,")
    kept = await memory.ask(
        request(chat, chat.said, style, Wanted(speaker="Mira"), "yaml"), {}, ["Two."], Markers()
    )
    assert kept is not None
    assert kept.path[0].unsettled
    chat.said.append(Said("assistant", "Mira", ["Three."]))
    file = written(chat, makes_id=True).replace(b"{}", b'{"memory_id": "chat-1"}', 1)
    report = await memory.take_file(file, f"{chat.name}.jsonl", is_group=True)
    assert [found.id for found in report.sessions] == [kept.session.session_id]


async def test_a_file_that_holds_apart_what_came_with_a_note_between_is_the_live_chat(memory: Memory) -> None:
    """Two messages were stored apart before they came as one with a third, and the reply to them was cut off."""
    chat = Chat(["Mira"], "chat-1", name="Mira - 1", asked=True)
    chat.said = [
        Said("assistant", "Mira", [GREETING]),
        Said("user", USER, ["1."]),
        Said("user", USER, ["2."]),
    ]
    asked = Wanted(speaker="Mira", note="calm")
    await memory.ask(request(chat, chat.said, Style(), asked, "yaml"), {}, [], Markers())
    chat.said.append(Said("user", USER, ["3."]))
    semi = request(chat, chat.said, Style(mode="semi", note_depth=2), asked, "yaml")
    kept = await memory.ask(semi, {}, ["Four and five."], Markers())
    assert kept is not None
    chat.said.append(Said("assistant", "Mira", ["Four"]))
    report = await memory.take_file(written(chat, makes_id=True), "Mira - 1.jsonl")
    assert report.sessions[0].id == kept.session.session_id


async def test_messages_that_a_file_told_apart_are_those_when_they_come_as_one_again(memory: Memory) -> None:
    """A request had shown two of them as one, with a note behind them, and not the chat's beginning; then the file."""
    chat = Chat(["Mira"], name="Mira - 1")
    lines = (GREETING, "One.", "Two.", "Three.", "Four.", "Five.")
    chat.said = [
        Said("assistant" if n in (0, 2) else "user", "Mira" if n in (0, 2) else USER, [text])
        for n, text in enumerate(lines)
    ]
    merge, asked = Style(mode="merge"), Wanted(speaker="Mira", note="calm")
    noted = request(chat, chat.said[3:], Style(mode="merge", note_depth=1), asked)
    kept = await memory.ask(noted, {}, ["Six."], Markers())
    assert kept is not None
    chat.said.append(Said("assistant", "Mira", ["Six."]))
    report = await memory.take_file(written(chat, makes_id=False), "Mira - 1.jsonl")
    assert [found.id for found in report.sessions] == [kept.session.session_id]
    shown = [*chat.said[3:], Said("user", USER, ["Seven."])]
    kept = await memory.ask(request(chat, shown, merge, asked), {}, ["Eight."], Markers())
    assert kept is not None
    assert texts(kept) == [*(one.text for one in chat.said), "Seven.", "Eight."]


async def test_a_chat_that_was_imported_goes_on_with_a_note_in_its_one_message(memory: Memory) -> None:
    """Two more messages follow it, so that more comes than an edit brings."""
    chat, single = Chat(["Mira"], name="Mira - 1"), Style(mode="single", note_depth=2)
    chat.said = [Said("assistant", "Mira", [GREETING]), Said("user", USER, ["One."])]
    report = await memory.take_file(written(chat, makes_id=False), "Mira - 1.jsonl")
    chat.said += [Said("user", USER, [text]) for text in ("Two.", "Three.")]
    asked = request(chat, chat.said, single, Wanted(speaker="Mira", note="calm"))
    kept = await memory.ask(asked, {}, ["Four."], Markers())
    assert kept is not None
    assert kept.session.session_id == report.sessions[0].id


async def test_an_edit_that_an_older_file_told_is_in_the_place_of_what_was_edited(memory: Memory) -> None:
    """The chat begins with it, for its greeting is hidden."""
    chat, wanted = Chat(["Mira"], "chat-1", name="chat-1"), Wanted(speaker="Mira")
    chat.said = [Said("assistant", "Mira", [GREETING]), Said("user", USER, ["One."])]
    told = {"x-chat-id": "chat-1"}
    await memory.ask(request(chat, chat.said, Style(), wanted), told, ["Two."], Markers())
    chat.said.append(Said("assistant", "Mira", ["Two."]))
    chat.said[0].hidden = True
    await memory.take_file(written(chat, makes_id=False), "chat-1.jsonl")
    later = [Said("user", USER, ["Three."]), Said("assistant", "Mira", ["Four."])]
    shown = [*chat.said[1:], *later]
    await memory.ask(request(chat, shown[:-1], Style(), wanted), told, ["Four."], Markers())
    chat.said[1].swipes[0] = "One, edited."
    await memory.take_file(written(chat, makes_id=False), "chat-1.jsonl")
    asked = request(chat, [*shown, Said("user", USER, ["Five."])], Style(), wanted)
    kept = await memory.ask(asked, told, ["Six."], Markers())
    assert kept is not None
    assert texts(kept) == ["One, edited.", "Two.", "Three.", "Four.", "Five.", "Six."]


async def test_what_was_stored_as_one_stands_where_a_file_told_it_apart(memory: Memory) -> None:
    """What stands before it was merged too, and the window begins with it."""
    chat, merge, wanted = Chat(["Mira"], "chat-1", name="chat-1"), Style(mode="merge"), Wanted(speaker="Mira")
    chat.said = [Said("assistant", "Mira", [GREETING])]
    chat.said += [Said("user", USER, [text]) for text in ("One.", "Two.")]
    chat.said += [Said("assistant", "Mira", [text]) for text in ("Three.", "Four.")]
    chat.said += [Said("user", USER, ["Five."])]
    told = {"x-chat-id": "chat-1"}
    await memory.ask(request(chat, chat.said, merge, wanted), told, ["Six."], Markers())
    chat.said.append(Said("assistant", "Mira", ["Six."]))
    await memory.take_file(written(chat, makes_id=True), "chat-1.jsonl")
    chat.said.append(Said("user", USER, ["Seven."]))
    kept = await memory.ask(request(chat, chat.said[3:], merge, wanted), told, ["Eight."], Markers())
    assert kept is not None
    assert texts(kept) == [*(one.text for one in chat.said), "Eight."]


async def test_a_phrase_stands_once_for_each_time_it_was_said(memory: Memory) -> None:
    """The first is told apart by a file; the second was stored alone, then with more, which was deleted since."""
    chat, wanted = Chat(["Mira"], "chat-1", name="chat-1"), Wanted(speaker="Mira")
    semi, told = Style(mode="semi", post_history=True), {"x-chat-id": "chat-1"}

    async def ask(*said: str, reply: str = "") -> Kept:
        chat.said += [Said("user", USER, [text]) for text in said]
        kept = await memory.ask(
            request(chat, chat.said, semi, wanted), told, [reply] if reply else [], Markers()
        )
        assert kept is not None
        chat.said += [Said("assistant", "Mira", [reply])] if reply else []
        return kept

    chat.said = [Said("assistant", "Mira", [GREETING])]
    await ask("One.", "Yes.", reply="Two.")
    await ask("Three.", reply="Four.")
    await ask("Yes.")
    await ask("Five.", reply="Six.")
    del chat.said[-2]
    await memory.take_file(written(chat, makes_id=True), "chat-1.jsonl")
    kept = await ask("Seven.", reply="Eight.")
    assert [plain(text) for text in texts(kept)[:-2]] == [one.text for one in chat.said[:-2]]
    assert len({message.id for message in kept.path}) == len(kept.path)


async def test_an_edited_message_before_one_that_lost_its_note_is_no_glue_of_that(memory: Memory) -> None:
    """The window begins with both in one row, for the greeting is hidden; the note moved."""
    chat, wanted = Chat(["Mira"], "chat-1", name="chat-1"), Wanted(speaker="Mira")
    told, semi = {"x-chat-id": "chat-1"}, Style(mode="semi", names="content", post_history=True)
    chat.said = [
        Said("assistant", "Mira", [GREETING]),
        *(Said("user", USER, [text]) for text in ("Yes.", "One.")),
    ]
    await memory.ask(request(chat, chat.said, semi, wanted), told, ["Two."], Markers())
    chat.said += [Said("assistant", "Mira", ["Two."]), Said("user", USER, ["Three."])]
    chat.said[1].swipes[0] = "Yes, rather."
    kept = await memory.ask(
        request(chat, chat.said[1:], replace(semi, names="none"), wanted), told, [], Markers()
    )
    assert kept is not None
    assert "Yes, rather." in "\n".join(texts(kept))


async def test_a_message_of_one_that_was_stored_merged_under_a_note_is_not_all_of_it(memory: Memory) -> None:
    """Both come with a name now, which tells them apart, and without the note; the window begins with them."""
    chat, wanted = Chat(["Mira"], "chat-1", name="chat-1"), Wanted(speaker="Mira", note="calm")
    told, noted = {"x-chat-id": "chat-1"}, Style(mode="semi", note_depth=0)
    chat.said = [Said("assistant", "Mira", [GREETING]), Said("user", USER, ["One."])]
    await memory.ask(request(chat, chat.said, Style(mode="semi"), wanted), told, ["Two."], Markers())
    chat.said += [
        Said("assistant", "Mira", ["Two."]),
        *(Said("user", USER, [text]) for text in ("Three.", "Four.")),
    ]
    await memory.ask(request(chat, chat.said, noted, wanted), told, ["Five."], Markers())
    chat.user = "Sam"
    chat.said += [Said("assistant", "Mira", ["Five."]), Said("user", "Sam", ["Six."])]
    kept = await memory.ask(request(chat, chat.said[3:], noted, wanted), told, [], Markers())
    assert kept is not None
    shown = "\n".join(texts(kept))
    assert [one.text for one in chat.said if one.text not in shown] == []
