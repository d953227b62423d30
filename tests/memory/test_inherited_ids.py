"""An id that a branch inherits from its origin, or that every chat is sent with, names several lines."""

from __future__ import annotations

from memory.whose import Whose
from server.sessions.protocol import ChatEvent
from tests.memory.messages import CARD, GREETING, character, texts, user
from tests.truth.memory_under_test import Memory

HI = ("a:Welcome.", "u:hi")
LONG = (*HI, "a:r0", "u:one", "a:r1", "u:two", "a:r2", "u:three")


async def test_a_branch_and_its_origin_with_one_id_go_on_side_by_side(front_end):
    await front_end.send(*LONG, reply="a:r3", chat_id="chat")
    branch = await front_end.send(*HI, "a:r0", "u:other", reply="a:b1", chat_id="chat")
    assert await front_end.path(branch.session_id) == [*HI, "a:r0", "u:other", "a:b1"]
    back = await front_end.send(*LONG, "a:r3", "u:four", reply="a:r4", chat_id="chat")
    assert await front_end.path(back.session_id) == [*LONG, "a:r3", "u:four", "a:r4"]
    on = await front_end.send(*HI, "a:r0", "u:other", "a:b1", "u:more", reply="a:b2", chat_id="chat")
    assert await front_end.path(on.session_id) == [*HI, "a:r0", "u:other", "a:b1", "u:more", "a:b2"]


async def test_what_was_deleted_in_the_origin_before_the_branch_stays_deleted_there(front_end):
    """Its place has fallen out of the window when the origin goes on."""
    await front_end.send(*LONG, reply="a:r3", chat_id="chat")
    deleted = [*HI, "a:r0", *LONG[4:], "a:r3", "u:four"]
    await front_end.send(*deleted, reply="a:r4", chat_id="chat")
    await front_end.send(*HI, "u:other", reply="a:b1", chat_id="chat")
    back = await front_end.send(*deleted[-4:], "a:r4", "u:five", reply="a:r5", chat_id="chat")
    assert await front_end.path(back.session_id) == [*deleted, "a:r4", "u:five", "a:r5"]


async def test_chats_that_have_nothing_but_an_id_in_common_keep_apart(front_end):
    one = ["a:Welcome.", "u:my cat", "a:yes", "u:is Tom", "a:nice"]
    other = ["a:Enter.", "u:my dog", "a:oh", "u:is Rex", "a:good"]
    for shown in (3, 5):
        for chat in (one, other):
            sent = await front_end.send(*chat[: shown - 1], reply=chat[shown - 1], chat_id="chat")
            assert await front_end.path(sent.session_id) == chat[:shown]


async def test_messages_deleted_from_the_end_leave_the_session_its_id(front_end):
    """The line that was left has no id and is left behind, as without ids."""
    await front_end.send(*LONG, reply="a:r3", chat_id="chat")
    await front_end.send(*HI, "a:r0", "u:other", reply="a:b1", chat_id="chat")
    assert await front_end.path("chat") == [*HI, "a:r0", "u:other", "a:b1"]
    page = await front_end.transcript.sessions("local")
    assert sorted((s.chat_id, s.left_behind) for s in page.sessions) == [("", True), ("chat", False)]


async def test_a_message_edited_or_swiped_leaves_no_line(front_end):
    await front_end.send(*LONG, reply="a:r3", chat_id="chat")
    await front_end.send(*LONG, reply="a:r4", chat_id="chat")
    await front_end.send(*LONG[:-1], "u:three, rather", reply="a:r5", chat_id="chat")
    assert (await front_end.transcript.sessions("local")).total == 1


async def test_an_origin_that_lost_its_end_goes_on_with_its_own_beginning(front_end):
    """Its beginning was edited in the branch, and has fallen out of the window."""
    await front_end.send(*LONG, reply="a:r3", chat_id="chat")
    await front_end.send("a:Come in.", "u:hi", reply="a:b1", chat_id="chat")
    on = await front_end.send("u:hi", "a:r0", "u:one", "a:r1", "u:other", reply="a:r2", chat_id="chat")
    assert await front_end.path(on.session_id) == [*HI, "a:r0", "u:one", "a:r1", "u:other", "a:r2"]


async def test_an_id_goes_on_with_one_line_at_a_time(front_end):
    """Of a branch and its origin with one id either may be the chat as it was before it was overwritten."""
    await front_end.send(*LONG, reply="a:r3", chat_id="chat")
    for chat in ([*HI, "a:r0", "u:other"], [*LONG, "a:r3", "u:four"], [*HI, "a:r0", "u:other", "a:b"]):
        sent = await front_end.send(*chat, reply="a:b", chat_id="chat")
        page = await front_end.transcript.sessions("local")
        assert [s.session_id for s in page.sessions if not s.left_behind] == [sent.session_id]
        assert (await front_end.find("u:hi", "a:r0", chat_id="chat")).session_id == sent.session_id


async def test_a_line_of_the_same_id_and_another_character_is_not_left(front_end):
    mira, tobias = Whose("Mira"), Whose("Tobias")
    await front_end.send(*LONG, reply="a:r3", chat_id="chat", whose=mira)
    other = await front_end.send(*LONG[:4], "u:mine", reply="a:t", chat_id="chat", whose=tobias)
    assert other.forked_from
    page = await front_end.transcript.sessions("local")
    assert sorted((s.character, s.left_behind) for s in page.sessions) == [("Mira", False), ("Tobias", False)]
    back = await front_end.find(*LONG[:4], "u:mine", "a:t", "u:more", chat_id="chat", whose=mira)
    assert back.session.character == "Mira"


async def test_a_files_name_is_one_chat_whatever_its_window_shows(front_end):
    """No branch has it: another tab, or a backup that was brought back, shows another line of the same chat."""
    chat = {"chat_id": "file", "exact": True}
    first = await front_end.send(*LONG, reply="a:r3", **chat)
    for shown in ([*HI, "a:r0", "u:other"], [*LONG, "a:r3", "u:four"], ["u:three", "a:r3", "u:five"]):
        sent = await front_end.send(*shown, reply="a:b", **chat)
        assert sent.session_id == first.session_id
        assert (await front_end.path(first.session_id))[-len(shown) - 1 :] == [*shown, "a:b"]
        assert (await front_end.transcript.sessions("local")).total == 1
    assert await front_end.path(first.session_id) == [*LONG, "a:r3", "u:five", "a:b"]


async def test_a_groups_file_is_one_chat_too_when_all_that_it_showed_is_hidden(front_end):
    group = {"chat_id": "file", "whose": Whose("Mira", is_group=True)}
    await front_end.send(*LONG, reply="a:r3", exact=True, **group)
    await front_end.send("a:Nobody is here.", "u:hello?", reply="a:Me.", exact=True, **group)
    assert (await front_end.transcript.sessions("local")).total == 1
    await front_end.send("a:Another group.", "u:anybody?", reply="a:Us.", **group)
    assert (await front_end.transcript.sessions("local")).total == 2


async def test_a_branch_from_a_phrase_that_is_said_again_leaves_its_origin_as_it_was(front_end):
    """It begins at the first place of the phrase, not with what was hidden between the first and the last."""
    origin = ["a:Welcome.", "u:tell me", "a:r0", "u:one", "a:r1", "u:tell me", "a:r2", "u:two", "a:r3"]
    await front_end.send(*origin[:-1], reply=origin[-1], chat_id="chat")
    await front_end.send(*origin[:2], "u:other", reply="a:b1", chat_id="chat")
    back = await front_end.send(*origin[2:], "u:three", reply="a:r4", chat_id="chat")
    assert await front_end.path(back.session_id) == [*origin, "u:three", "a:r4"]


async def test_a_branch_that_had_no_request_of_its_own_has_what_its_origin_had(front_end):
    """Another branch, of the same id, began earlier; in the origin two messages were deleted while it was live."""
    chat = [*LONG, "a:r3", "u:four", "a:r4", "u:five"]
    await front_end.send(*LONG, reply="a:r3", chat_id="origin", exact=True)
    await front_end.send(*chat[:4], *chat[6:-2], reply="a:r4", chat_id="origin", exact=True)
    await front_end.send(*LONG[:4], "a:other", "u:else", reply="a:b", chat_id="branch")
    sent = await front_end.send(*chat[-5:], reply="a:r5", chat_id="branch")
    assert await front_end.path(sent.session_id) == [*chat[:4], *chat[6:], "a:r5"]


async def test_a_message_that_is_moved_stays_where_its_chat_is_taken_up_again(memory: Memory) -> None:
    """Another line had the id in between, and an extension shows the message in the system prompt."""
    before = [character(GREETING), user("One."), character("Two."), character("The key is blue.")]
    origin = [*before, user("Three."), character("Four.")]
    await memory.turn([CARD, *origin[:-1]], ["Four."], chat_id="chat-1")
    branch = [*before, user("Five."), character("Six."), user("Seven.")]
    await memory.turn([CARD, *branch], ["Eight."], chat_id="chat-1")
    moved = {"role": "system", "content": "Past events:\nThe key is blue."}
    window = [CARD, moved, *before[:3], *origin[4:], user("Nine.")]
    kept = await memory.turn(window, ["Ten."], chat_id="chat-1")
    assert texts(kept) == [m["content"] for m in [*origin, user("Nine."), character("Ten.")]]


async def test_a_branch_without_an_id_is_of_the_line_that_has_most_of_it(memory: Memory) -> None:
    """It shows two messages of a line, and of another one in the same tree the first of them."""
    first, later = [character(GREETING), user("One.")], [user("One."), user("Three.")]
    await memory.turn([CARD, *first], ["Two."], chat_id="chat-1")
    await memory.turn([CARD, *first, character("Two."), user("Three.")], ["Four."], chat_id="chat-2")
    hidden = ChatEvent.model_validate({"type": "hide", "messages": later})
    await memory.tell("chat-2", hidden)
    await memory.turn([CARD, *later, user("Five.")], ["Six."], chat_id="chat-2")
    kept = await memory.turn([CARD, *later], ["Seven."])
    assert texts(kept) == ["One.", "Three.", "Seven."]


async def test_a_phrase_that_a_line_says_twice_is_not_what_it_shares_with_another(memory: Memory) -> None:
    """That has the phrase before a message which no other line holds, and its greeting was edited since."""
    begun = [character(GREETING), user("Go on."), character("One.")]
    await memory.turn([CARD, *begun, user("Two.")], ["Three."], chat_id="chat-1")
    origin = [*begun, user("Go on.")]
    await memory.turn([CARD, *origin], ["Four."], chat_id="chat-1")
    await memory.turn([CARD, *origin, character("Four."), user("Five.")], ["Six."], chat_id="chat-1")
    other = [character("Another beginning."), user("Go on."), character("One, rather."), user("Two.")]
    kept = await memory.turn([CARD, *other, user("Seven.")], ["Eight."], chat_id="chat-1")
    assert texts(kept) == [m["content"] for m in [*other, user("Seven."), character("Eight.")]]


async def test_a_phrase_and_the_reply_to_it_are_the_line_that_has_both(memory: Memory) -> None:
    """A branch with the chat's id said the phrase twice and was shown last; the chat was hidden but for the two."""
    origin = [user("I see."), user("One.")]
    await memory.turn([CARD, *origin], ["Two."], chat_id="chat-1")
    branch = [user("I see."), user("I see.")]
    await memory.turn([CARD, *branch], ["Three."], chat_id="chat-1")
    await memory.turn([CARD, *branch, character("Three."), user("Six.")], ["Seven."], chat_id="chat-1")
    back = [user("I see."), character("Two."), user("Four.")]
    kept = await memory.turn([CARD, *back], ["Five."], chat_id="chat-1")
    assert texts(kept) == ["I see.", "Two.", "Four.", "Five."]


async def test_a_phrase_that_is_new_is_not_what_tells_the_line(memory: Memory) -> None:
    """The chat's end is shown, and a phrase that only the branch with its id has said so far."""
    begun = [character(GREETING), user("One.")]
    origin = [*begun, character("Two."), user("Three.")]
    await memory.turn([CARD, *origin], ["Four."], chat_id="chat-1")
    branch = [*begun, character("Five."), user("Six.")]
    await memory.turn([CARD, *branch], ["Seven."], chat_id="chat-1")
    await memory.turn([CARD, *branch, character("Seven."), user("Go on.")], ["Eight."], chat_id="chat-1")
    back = [*origin[3:], character("Four."), user("Go on.")]
    kept = await memory.turn([CARD, *back], ["Nine."], chat_id="chat-1")
    assert texts(kept) == [GREETING, "One.", "Two.", "Three.", "Four.", "Go on.", "Nine."]


async def test_of_two_messages_of_the_same_words_one_is_moved(memory: Memory) -> None:
    """The other one is hidden, and an extension shows the later one in the system prompt, without its blank line."""
    said = [
        character(GREETING),
        user("I see.\n\nWell."),
        character("One."),
        user("Two."),
        character("Three."),
    ]
    said = [*said, user("I see.\n\nWell."), character("Four."), user("Five.")]
    await memory.turn([CARD, *said], ["Six."], chat_id="chat-1")
    moved = {"role": "system", "content": "Past events:\nAlex: I see.\nWell."}
    window = [CARD, moved, said[0], *said[2:5], *said[6:], character("Six."), user("Seven.")]
    kept = await memory.turn(window, ["Eight."], chat_id="chat-1")
    shown = [*said[:1], *said[2:], character("Six."), user("Seven."), character("Eight.")]
    assert texts(kept) == [m["content"] for m in shown]


async def test_an_unanswered_message_that_is_deleted_makes_no_branch(memory: Memory) -> None:
    """No id tells the chat, and its window is short."""
    said = [user("One."), character("Two."), user("Three.")]
    first = await memory.turn([CARD, *said, user("Four.")], [])
    kept = await memory.turn([CARD, *said[1:]], ["Five."])
    assert kept.session.session_id == first.session.session_id
    assert texts(kept) == ["One.", "Two.", "Three.", "Five."]
