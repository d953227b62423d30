"""The user had another name before: what was said then is the same whether a request writes that name or not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest

from memory.incoming import without
from server.sessions.protocol import ChatEvent
from server.sillytavern import Markers
from tests.memory.messages import CARD, GREETING, INSTRUCTIONS, NOTE, character, texts, user
from tests.truth.chat import Chat, Said
from tests.truth.chat_file import written
from tests.truth.front_end import Style, Wanted, request
from tests.truth.held import Kept
from tests.truth.lines import plain
from tests.truth.memory_under_test import Memory

PLAIN = Style()
SEMI = Style(mode="semi")
MERGE = Style(mode="merge")
STRICT = Style(mode="strict")


def said_by(*lines: tuple[str, str]) -> list[Said]:
    """Messages, of Mira's or of one who is the user."""
    return [Said("assistant" if who == "Mira" else "user", who, [text]) for who, text in lines]


async def ask(
    memory: Memory, chat: Chat, said: Sequence[Said], reply: str, style: Style = PLAIN, **wanted: object
) -> Kept:
    """A request that shows these messages, and what memory has of the chat then; no reply: the user stopped it."""
    told = {"x-chat-id": chat.chat_id} if chat.chat_id else {}
    body = request(chat, said, style, replace(Wanted(speaker="Mira"), **wanted))
    markers = Markers(continue_prefill=style.prefill)
    kept = await memory.ask(body, told, [reply] if reply else [], markers)
    assert kept is not None
    return kept


async def test_a_file_holds_a_message_that_memory_saw_under_a_note_and_a_former_name(memory: Memory) -> None:
    """The note was put before the name, so that it is not told where the message begins: no sign of a later chat."""
    chat = Chat(["Mira"], "chat-1", name="chat-1")
    chat.said = said_by(("Mira", GREETING), ("Alex", "Who is there?"))
    await ask(memory, chat, chat.said, "I.")
    chat.said += said_by(("Mira", "I."), ("Alex", "A storm comes."))
    await ask(memory, chat, chat.said, "Let it.", SEMI)
    chat.user, asked = "Sam", chat.said
    chat.said = [*asked, *said_by(("Mira", "Let it."))]
    kept = await ask(memory, chat, asked, "Let it.", replace(SEMI, note_depth=1), note=NOTE)
    assert any("NOTE" in message.text for message in kept.path)
    chat.said[2].swipes[0] = "I am."
    await memory.take_file(written(chat, makes_id=False), "chat-1.jsonl")
    session = await memory.transcript.session("local", kept.session.session_id)
    assert session is not None
    assert texts(await memory.kept("local", session.session_id)) == [one.text for one in chat.said]


async def test_messages_of_two_names_that_were_stored_merged_are_found_apart(memory: Memory) -> None:
    """The window begins with them, and the chat's earlier messages stay."""
    chat = Chat(["Mira"], "chat-1")
    said = said_by(("Mira", GREETING), ("Alex", "One."), ("Mira", "Two."))
    await ask(memory, chat, said[:2], "Two.", SEMI)
    said += said_by(
        ("Alex", "Three."), ("Mira", "Four."), ("Alex", "Five."), ("Sam", "Six."), ("Alex", "Seven.")
    )
    await ask(memory, chat, said[:4], "Four.", SEMI)
    await ask(memory, chat, said, "Eight.", SEMI)
    said += said_by(("Mira", "Eight."), ("Sam", "Nine."))
    chat.user = "Sam"
    kept = await ask(memory, chat, said[5:], "Ten.", SEMI)
    told = [plain(text) for text in texts(kept)]
    assert told[:5] == [GREETING, "One.", "Two.", "Three.", "Four."]
    assert " ".join(told[5:]) == "Five. Six. Seven. Eight. Nine. Ten."


async def test_a_message_that_is_moved_stays_whatever_name_led_it(memory: Memory) -> None:
    """Nobody told the name: it is a part of the text that memory has."""
    chat, said = (
        Chat(["Mira"], user="Sam"),
        said_by(("Mira", GREETING), ("Alex", "My hat is blue."), ("Sam", "And?")),
    )
    await ask(memory, chat, said, "Two.")
    said += said_by(("Mira", "Two."), ("Sam", "Three."))
    kept = await ask(memory, chat, [said[0], *said[2:]], "Four.", moved=said[1:2])
    assert [plain(text) for text in texts(kept)][:3] == [GREETING, "My hat is blue.", "And?"]


async def test_a_message_under_a_name_that_nobody_told_is_no_note(memory: Memory) -> None:
    """Names lead all that is said; memory began the chat when Alex was the user no more."""
    chat, style = Chat(["Mira"], "chat-1", user="Sam"), replace(SEMI, names="content")
    said = said_by(("Mira", GREETING), ("Alex", "One."), ("Mira", "Two."), ("Sam", "Three."))
    await ask(memory, chat, said, "Four.", style)
    said += said_by(("Mira", "Four."), ("Sam", "Five."))
    await ask(memory, chat, said, "Six.", style)
    said += said_by(("Mira", "Six."), ("Sam", "Seven."))
    kept = await ask(memory, chat, said, "Eight.", style)
    numbers = ("One.", "Two.", "Three.", "Four.", "Five.", "Six.", "Seven.", "Eight.")
    assert [plain(text) for text in texts(kept)] == [GREETING, *numbers]


async def test_merged_messages_of_two_names_are_stored_once(memory: Memory) -> None:
    """What stood with Alex's name and without Sam's stands the other way round, once Alex is the user again."""
    chat, said = (
        Chat(["Mira"], "chat-1", user="Sam"),
        said_by(("Mira", GREETING), ("Alex", "One."), ("Sam", "Two.")),
    )
    await ask(memory, chat, said, "Three.", MERGE)
    chat.user, said = "Alex", [*said, *said_by(("Mira", "Three."), ("Alex", "Four."))]
    kept = await ask(memory, chat, said, "Five.", MERGE)
    stored = await memory.stored(kept.session.key)
    assert sum("Two." in message.text for message in stored) == 1


async def test_what_a_file_hides_is_known_by_whatever_name_led_it(memory: Memory) -> None:
    chat = Chat(["Mira"], "chat-1", name="chat-1", user="Sam")
    chat.said = said_by(("Mira", GREETING), ("Alex", "One."), ("Mira", "Two."), ("Sam", "Three."))
    kept = await ask(memory, chat, chat.said, "Four.")
    chat.said += said_by(("Mira", "Four."))
    chat.said[1].hidden = True
    report = await memory.take_file(written(chat, makes_id=False), "chat-1.jsonl")
    assert (report.added, report.hidden) == (0, 0)
    assert len(await memory.stored(kept.session.key)) == len(chat.said)


async def test_a_note_before_a_line_with_a_colon_is_still_a_note(memory: Memory) -> None:
    """What looks like a name is none: the line is found with the note and without."""
    first = [CARD, character(GREETING), user("Rule one: be kind.", INSTRUCTIONS)]
    await memory.turn(first, ["Aye."], chat_id="chat-1")
    later = [*first[:2], user(NOTE, "Rule one: be kind."), character("Aye."), user("And two?", INSTRUCTIONS)]
    kept = await memory.turn(later, ["Two."], chat_id="chat-1")
    assert texts(kept) == [GREETING, "Rule one: be kind.", "Aye.", "And two?", "Two."]


async def test_a_file_tells_who_said_what_was_first_shown_under_another_persona(memory: Memory) -> None:
    """No request had told the name before the message: memory took it for the present persona's."""
    chat = Chat(["Mira"], "chat-1", name="chat-1", user="Sam")
    chat.said = said_by(("Mira", GREETING), ("Alex", "One."), ("Mira", "Two."), ("Sam", "Three."))
    await ask(memory, chat, chat.said, "Four.")
    chat.said += said_by(("Mira", "Four."))
    report = await memory.take_file(written(chat, makes_id=False), "chat-1.jsonl")
    kept = await memory.kept("local", report.sessions[0].id)
    assert [message.speaker for message in kept.path] == ["Mira", "Alex", "Mira", "Sam", "Mira"]
    assert (await memory.take_file(written(chat, makes_id=False), "chat-1.jsonl")).added == 0


async def test_what_follows_two_personas_messages_is_the_present_ones(memory: Memory) -> None:
    """All stand in one row, behind the name of the first: what was between them is hidden; instructions end it."""
    chat, style = Chat(["Mira"], "chat-1"), replace(STRICT, post_history=True)
    said = said_by(("Mira", GREETING), ("Alex", "One."))
    await ask(memory, chat, said, "Two.", style)
    said += said_by(("Mira", "Two."), ("Alex", "Three."))
    await ask(memory, chat, said, "Four.", style)
    chat.user, said = "Sam", [*said, *said_by(("Mira", "Four."), ("Sam", "Five."))]
    await ask(memory, chat, said, "", style)
    kept = await ask(memory, chat, [*said[:4], *said[5:], *said_by(("Sam", "Six."))], "Seven.", style)
    assert [(message.speaker, message.text) for message in kept.path][-4:-1] == [
        ("Alex", "Three."),
        ("Sam", "Five."),
        ("Sam", "Six."),
    ]


async def test_messages_that_were_stored_as_one_are_one_under_the_name_of_a_former_persona(
    memory: Memory,
) -> None:
    """One of them is a phrase that was said before by itself."""
    chat = Chat(["Mira"], "chat-1", name="chat-1")
    chat.said = said_by(("Mira", GREETING), ("Alex", "Yes."))
    await ask(memory, chat, chat.said, "I see.", SEMI)
    chat.said += said_by(("Mira", "I see."), ("Alex", "One."), ("Alex", "Yes."), ("Alex", "Go on."))
    await ask(memory, chat, chat.said, "Well.", SEMI)
    chat.user = "Sam"
    chat.said += said_by(("Mira", "Well."), ("Sam", "Two."))
    kept = await ask(memory, chat, chat.said[2:], "Fine.", SEMI)
    said = [GREETING, "Yes.", "I see.", "One.\n\nYes.\n\nGo on.", "Well.", "Two.", "Fine."]
    assert [plain(text) for text in texts(kept)] == [plain(text) for text in said]


async def test_a_phrase_behind_a_former_personas_message_in_one_row_is_the_present_ones(
    memory: Memory,
) -> None:
    """Nobody answered that message; the phrase was said before, so that both are known."""
    chat = Chat(["Mira"], "chat-1", name="chat-1")
    chat.said = said_by(("Mira", GREETING), ("Alex", "Yes."))
    await ask(memory, chat, chat.said, "One.", SEMI)
    chat.user = "Sam"
    chat.said += said_by(("Mira", "One."), ("Sam", "Two."))
    await ask(memory, chat, chat.said, "", SEMI)
    chat.user = "Alex"
    chat.said += said_by(("Alex", "Yes."))
    kept = await ask(memory, chat, chat.said[2:], "Three.", SEMI)
    said = [(message.speaker, plain(message.text)) for message in kept.path]
    assert said[2:] == [("Mira", "One."), ("Sam", "Two."), ("Alex", "Yes."), ("Mira", "Three.")]


async def test_names_that_lead_messages_in_one_row_tell_who_nobody_was_known_to_be(memory: Memory) -> None:
    """No prompt named the user; the persona was left, and what was answered in between is deleted."""
    chat, nobody = Chat(["Mira"], "chat-1", user="Sam"), Style(mode="strict", main="nobody")
    said = said_by(("Mira", GREETING), ("Sam", "One."), ("Mira", "Two."), ("Sam", "Three."))
    await ask(memory, chat, said[:2], "Two.", nobody)
    kept = await ask(memory, chat, said, "Four.", nobody)
    chat.user = "Alex"
    shown = [*said[:2], *said[3:], *said_by(("Mira", "Four."), ("Alex", "Five."))]
    kept = await ask(memory, chat, shown, "Six.", nobody)
    assert texts(kept) == [GREETING, "One.", "Three.", "Four.", "Five.", "Six."]


async def test_a_chat_is_found_by_what_a_name_that_nobody_was_known_by_led(memory: Memory) -> None:
    """Memory knew the chat only since another persona was the user's; the first one is again, and writes no name."""
    chat = Chat(["Mira"], user="Sam")
    said = said_by(("Mira", GREETING), ("Alex", "One."), ("Mira", "Two."), ("Alex", "Three."))
    kept = await ask(memory, chat, said[:2], "Two.")
    chat.user = "Alex"
    again = await ask(memory, chat, said[1:], "Four.")
    assert again.session.session_id == kept.session.session_id
    assert [plain(text) for text in texts(again)] == [GREETING, "One.", "Two.", "Three.", "Four."]


async def test_what_a_name_that_is_told_later_led_is_found_by_its_meaning(memory: Memory) -> None:
    """Instructions stood behind it, and nobody was known by the name: none of it was certainly said."""
    chat = Chat(["Mira", "Tobias"], user="Sam")
    strict = Style(mode="strict", main="nobody", post_history=True, names="content", prefill=True)
    said = said_by(("Sam", "One."), ("Mira", "Two."))
    kept = await ask(memory, chat, said[:1], "Two.", strict)
    assert (kept.path[0].speaker, kept.path[0].unsettled) == ("", True)
    kept = await ask(memory, chat, said, " Three.", strict, kind="continue")
    assert (kept.path[0].speaker, kept.path[0].unsettled) == ("Sam", True)
    assert not any(math.isnan(score) for score, _ in await memory.found(kept.session, "One."))


async def test_a_name_leads_what_was_told_of_another_persona_where_it_is_merged(memory: Memory) -> None:
    """The extension told whose it is; then the present persona's message, nobody's answer between, joined it."""
    chat, merge = Chat(["Mira"], "chat-1", user="Sam"), Style(mode="merge", main="nobody")
    said = said_by(("Mira", GREETING), ("Alex", "One."), ("Mira", "Two."), ("Sam", "Three."))
    body = request(chat, said, merge, Wanted(speaker="Mira"), tag="extension")
    assert await memory.ask(body, {}, ["Four."], Markers()) is not None
    said += said_by(("Mira", "Four."))
    messages = [{"role": s.role, "content": s.text, "name": s.speaker} for s in [*said[:2], *said[3:]]]
    who = {"character": "Mira", "user_name": "Sam", "chat_file": "chat-1"}
    told = ChatEvent.model_validate({"type": "delete", "messages": messages} | who)
    assert await memory.tell("chat-1", told) is not None
    shown = [*said[1:2], *said[3:], *said_by(("Sam", "Five."))]
    kept = await memory.ask(
        request(chat, shown, merge, Wanted(speaker="Mira"), tag="extension"), {}, ["Six."], Markers()
    )
    assert kept is not None
    assert [plain(text) for text in texts(kept)] == [GREETING, "One.", "Three.", "Four.", "Five.", "Six."]


async def test_a_chat_is_found_by_one_message_that_nobody_was_known_to_have_said(memory: Memory) -> None:
    """Its speaker's name leads it now, for the user has another one; only replies and new messages are beside it."""
    chat, unnamed = Chat(["Mira"], user="Alex"), Style(main="character")
    said = said_by(("Mira", GREETING), ("Alex", "One."), ("Mira", "Two."), ("Alex", "Three."))
    kept = await ask(memory, chat, said, "Four.", unnamed)
    chat.user = "Sam"
    more = said_by(("Mira", "Four."), ("Sam", "Go on."), ("Sam", "I see."))
    again = await ask(memory, chat, [*said[2:], *more], "Five.", unnamed)
    assert again.session.session_id == kept.session.session_id
    assert [plain(text) for text in texts(again)] == [
        *(GREETING, "One.", "Two.", "Three.", "Four."),
        *("Go on.", "I see.", "Five."),
    ]


async def test_a_persona_that_was_never_stored_makes_no_group(memory: Memory) -> None:
    """Nothing had been answered while it was the user's; names lead all that is said."""
    chat, named = Chat(["Mira"], "chat-1"), Style(names="content", main="nobody")
    said = said_by(("Mira", GREETING), ("Sam", "One."), ("Sam", "Two."))
    for reply in ("Three.", "Four."):
        body = request(chat, said, named, Wanted(speaker="Mira"), tag="extension")
        kept = await memory.ask(body, {}, [reply], Markers())
        assert kept is not None
        assert not kept.session.is_group
        said += said_by(("Mira", reply))


async def test_another_users_chat_that_begins_with_the_same_phrase_is_another(memory: Memory) -> None:
    """The prompt tells who said it; the other chat's greeting is deleted."""
    chat, single = Chat(["Mira"], "chat-1", user="Sam"), Style(mode="single")
    said = said_by(("Mira", GREETING), ("Sam", "Nods."))
    first = await ask(memory, chat, said, "One.", single)
    messages = [{"role": "user", "content": "Nods."}, {"role": "assistant", "content": "One."}]
    await memory.tell("chat-1", ChatEvent.model_validate({"type": "delete", "messages": messages}))
    other = Chat(["Mira"])
    kept = await ask(memory, other, said_by(("Mira", GREETING), ("Alex", "Nods.")), "Two.", single)
    assert kept.session.session_id != first.session.session_id
    assert [message.speaker for message in kept.path] == ["Mira", "Alex", "Mira"]


@pytest.mark.parametrize(
    "style", [Style(mode="single"), replace(SEMI, names="content")], ids=["single", "semi"]
)
@pytest.mark.parametrize("who", ["Alex", "Mira"])
async def test_a_message_that_begins_with_an_empty_line_is_its_speakers(
    memory: Memory, style: Style, who: str
) -> None:
    """Its name is written before the empty line."""
    chat = Chat(["Mira"], "chat-1", user="Alex")
    said = said_by(
        ("Mira", GREETING), ("Alex", "One."), ("Mira", "Two."), ("Alex", "Three."), ("Mira", "Four.")
    )
    n = 1 if who == "Alex" else 2
    said[n] = Said(said[n].role, who, [f"\n\n{said[n].text}\n\nWell."])
    kept = await ask(memory, chat, [*said, *said_by(("Alex", "Five."))], "Six.", style)
    shown = [
        (message.speaker, without(message.speaker, message.text.strip()).split()) for message in kept.path
    ]
    assert shown[:-2] == [(one.speaker, one.text.split()) for one in said]
    assert shown[-2:] == [("Alex", ["Five."]), ("Mira", ["Six."])]


async def test_of_equal_answers_of_a_groups_members_the_one_that_is_deleted_goes(memory: Memory) -> None:
    """The prompt names who said each."""
    names = ("Mira", "Tobias", "Anna")
    chat, said = Chat([*names], "chat-1", user="Alex"), said_by(("Mira", GREETING), ("Alex", "Who comes?"))
    said += [Said("assistant", name, ["Nods."]) for name in names]
    await ask(memory, chat, said[:-1], "Nods.", speaker="Anna")
    del said[3]
    kept = await ask(memory, chat, [*said, *said_by(("Alex", "I go."))], "Bye.")
    assert [message.speaker for message in kept.path if message.text.endswith("Nods.")] == ["Mira", "Anna"]


async def test_what_the_user_said_to_another_character_too_makes_them_no_one_renamed(memory: Memory) -> None:
    """Three messages in the same words, and one short reply; memory sees the second chat late."""
    chats = {}
    for who in ("Mira", "Tobias"):
        answered = [("One.", f"{who} nods."), ("Two.", "..."), ("Three.", f"{who} laughs.")]
        said = [Said("assistant", who, [f"{who} waves."])]
        for asked, reply in answered:
            said += [Said("user", "Alex", [asked]), Said("assistant", who, [reply])]
        chats[who] = await ask(memory, Chat([who]), said[:-1], said[-1].text, speaker=who)
    assert chats["Mira"].session.key != chats["Tobias"].session.key
    assert {message.speaker for message in chats["Tobias"].path} == {"Tobias", "Alex"}


async def test_messages_under_a_name_that_nobody_told_are_no_note_in_a_chat_that_memory_begins(
    memory: Memory,
) -> None:
    """Most of what the user said is led by the present name."""
    chat, style = Chat(["Mira"], "chat-1", user="Sam"), replace(SEMI, names="content")
    said = said_by(
        ("Mira", GREETING), ("Alex", "One."), ("Alex", "Two."), ("Mira", "Three."), ("Sam", "Four.")
    )
    said += said_by(("Mira", "Five."), ("Sam", "Six."))
    kept = await ask(memory, chat, said, "Seven.", style)
    told = "\n".join(plain(text) for text in texts(kept))
    assert [number for number in ("One.", "Two.", "Three.", "Four.") if number not in told] == []


async def test_what_stands_before_a_former_personas_message_in_a_groups_first_row_is_said(
    memory: Memory,
) -> None:
    """Names lead what the members say and what the former persona said; nothing tells the user's."""
    chat, style = Chat(["Mira", "Tobias"], "chat-1"), replace(STRICT, main="character")
    said = said_by(("Mira", GREETING), ("Alex", "One."), ("Sam", "Two."), ("Alex", "Three."))
    kept = await ask(memory, chat, said, "Four.", style)
    told = "\n".join(texts(kept))
    assert [number for number in ("One.", "Two.", "Three.", "Four.") if number not in told] == []


async def test_what_follows_a_former_personas_message_in_a_groups_row_is_the_present_ones(
    memory: Memory,
) -> None:
    """Every row of the window has a name before it; what was said next under the former one is deleted."""
    chat = Chat(["Mira", "Tobias"], "chat-1")
    said = said_by(("Mira", GREETING), ("Alex", "One."))
    await ask(memory, chat, said, "", MERGE)
    told = [
        {"role": one.role, "content": one.text, "name": one.speaker}
        for one in [*said, *said_by(("Alex", "Two."))]
    ]
    await memory.tell("chat-1", ChatEvent.model_validate({"type": "open", "messages": told}))
    chat.user = "Sam"
    kept = await ask(memory, chat, [*said, *said_by(("Sam", "Four."))], "Five.", MERGE)
    assert [(m.speaker, plain(m.text)) for m in kept.path][1:-1] == [("Alex", "One."), ("Sam", "Four.")]
