"""With our extension memory is SillyTavern's chat after each action, before the next request."""

from __future__ import annotations

import pytest

from tests.browser.front_end import POST_PROCESSING
from tests.browser.processes import eventually
from tests.browser.stage import Stage

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]  # the first test starts everything
EXTENDED = True


def check(stage: Stage) -> None:
    """Memory becomes what the chat shows, speakers included, without another request."""
    shown = stage.spoken()
    assert eventually(stage.of_this_chat, shown) == shown


def test_what_is_sent_and_answered_is_remembered(stage: Stage) -> None:
    stage.tavern.send("Good evening.")
    check(stage)
    stage.tavern.set_streaming(False)
    stage.tavern.send("It rains.")
    check(stage)
    assert len(stage.of_this_chat()) == 5


def test_the_reply_on_show_is_remembered(stage: Stage) -> None:
    stage.tavern.send("Who built this tower?")
    for act in (
        stage.tavern.swipe_right,
        stage.tavern.swipe_left,
        stage.tavern.swipe_right,
        stage.tavern.swipe_right,
        stage.tavern.regenerate,
    ):
        act()
        check(stage)


def test_edited_messages_are_remembered_as_edited(stage: Stage) -> None:
    stage.tavern.send("My name is Alexandra.")
    for index, text in enumerate(["Who is there?", "My name is Alexis.", "*She hesitates.* Fog. Only fog."]):
        stage.tavern.edit(index, text)
        check(stage)
        assert stage.of_this_chat()[index].text == text


def test_what_is_given_to_another_persona_is_remembered_as_its(stage: Stage) -> None:
    stage.tavern.send("My boat leaks.")
    for user in ("Ruth", "Alex"):
        stage.tavern.command(f"/persona-set mode=temp {user}")
        stage.tavern.command("/persona-sync")
        check(stage)
        assert stage.of_this_chat()[1].speaker == user
        stage.tavern.send(f"I am {user} now.")
        check(stage)


def test_deleted_messages_are_forgotten(stage: Stage) -> None:
    for text in ("I found a key.", "It fits no door.", "Maybe a chest."):
        stage.tavern.send(text)
    stage.tavern.delete_last()
    check(stage)
    stage.tavern.delete_one(2)
    check(stage)
    stage.tavern.delete_one(0)
    check(stage)
    stage.tavern.delete_from(2)
    check(stage)
    assert [one.text for one in stage.of_this_chat()] == ["I found a key.", "It fits no door."]


def test_a_continued_reply_takes_the_place_of_the_shorter_one(stage: Stage) -> None:
    stage.tavern.send("Read me a page of the logbook.")
    stage.provider.will_say("and in the night", " the light went out.")
    stage.tavern.continue_reply()
    check(stage)
    assert stage.of_this_chat()[-1].text.endswith("the light went out.")
    assert len(stage.of_this_chat()) == 3


def test_an_impersonation_is_remembered_once_it_is_sent(stage: Stage) -> None:
    stage.tavern.send("You look tired.")
    check(stage)
    stage.provider.will_say("I could watch the lamp.")
    with stage.told():
        stage.tavern.impersonate()
    check(stage)
    assert len(stage.of_this_chat()) == 3
    stage.tavern.send(stage.tavern.draft())
    check(stage)
    assert stage.of_this_chat()[3].text == "I could watch the lamp."


def test_hidden_messages_are_absent_until_they_are_shown_again(stage: Stage) -> None:
    stage.tavern.send("I am afraid of the sea.")
    for act in (stage.tavern.hide, stage.tavern.unhide):
        act(1)
        check(stage)
    for command in ("/hide 0-2", "/unhide 1-2", "/unhide 0"):
        stage.tavern.command(command)
        check(stage)


def test_a_branch_is_remembered_when_it_is_opened_and_its_origin_stays(stage: Stage) -> None:
    stage.tavern.send("Two paths lead to the village.")
    stage.tavern.send("I take the one by the shore.")
    check(stage)
    origin, whole = stage.tavern.chat_id(), stage.of_this_chat()
    stage.tavern.branch(2)
    assert stage.tavern.chat_id() != origin
    check(stage)
    stage.tavern.send("I take the one over the hill.")
    check(stage)
    assert stage.memory.messages(origin) == whole
    stage.tavern.back_to_main_chat()
    assert stage.tavern.chat_id() == origin
    check(stage)
    stage.tavern.send("The shore is full of seals.")
    check(stage)


def test_two_chats_with_the_same_beginning_never_mix(stage: Stage) -> None:
    stage.tavern.send("Hello again, Mira.")
    check(stage)
    first, before = stage.tavern.chat_id(), stage.of_this_chat()
    stage.tavern.new_chat()
    stage.tavern.send("Hello again, Mira.")
    check(stage)
    assert stage.memory.messages(first) == before


def test_what_the_stop_button_left_is_remembered(stage: Stage) -> None:
    stage.tavern.send("Do you know a long story?")
    stage.provider.will_hang_after("Once,", " when the lamp", " still burned oil,")
    stage.tavern.begin("Then begin.")
    stage.tavern.stop_after("oil,")
    check(stage)
    assert stage.of_this_chat()[-1].text == "Once, when the lamp still burned oil,"
    stage.tavern.send("Go on tomorrow.")
    check(stage)


@pytest.mark.parametrize("streaming", [True, False])
def test_a_reply_stopped_before_its_first_word_is_not_remembered(stage: Stage, streaming: bool) -> None:
    stage.tavern.set_streaming(streaming)
    stage.tavern.send("Can you hear me?")
    calls = len(stage.provider.calls())
    stage.provider.will_hang_after()
    stage.tavern.begin("Say nothing.")
    stage.provider.await_call(calls + 1)
    stage.tavern.stop()
    check(stage)
    stage.tavern.send("Thank you.")
    check(stage)


def test_a_refused_message_is_remembered_though_nothing_answered_it(stage: Stage) -> None:
    stage.tavern.send("The cellar is locked.")
    stage.provider.will_refuse("The provider is out of credit.")
    stage.tavern.send("What is down there?")
    assert "The provider is out of credit." in stage.tavern.complaint()
    check(stage)
    stage.tavern.regenerate()
    check(stage)


@pytest.mark.parametrize("mode", POST_PROCESSING)
def test_a_chat_under_post_processing_is_remembered_message_by_message(stage: Stage, mode: str) -> None:
    stage.tavern.send("The fog is thick.")
    stage.tavern.set_post_processing(mode)
    for text in ("I count the waves.", "Every seventh is higher."):
        stage.tavern.send(text)
        check(stage)
    for act in (
        stage.tavern.swipe_right,
        stage.tavern.continue_reply,
        lambda: stage.tavern.edit(3, "I count the gulls."),
        lambda: stage.tavern.delete_one(4),
        stage.tavern.regenerate,
        lambda: stage.tavern.hide(1),
        lambda: stage.tavern.send("Every ninth is white."),
    ):
        act()
        check(stage)


def test_a_group_is_remembered_with_its_speakers(stage: Stage) -> None:
    stage.tavern.new_group("Harbour", "Mira", "Bram")
    stage.tavern.send("Good evening, both.")
    check(stage)
    assert {one.speaker for one in stage.of_this_chat()[-2:]} == {"Mira", "Bram"}
    for act in (
        stage.tavern.swipe_right,
        lambda: stage.tavern.edit(3, "Hm."),
        stage.tavern.swipe_left,
        stage.tavern.delete_last,
        lambda: stage.tavern.send("The nets are torn."),
        stage.tavern.regenerate,
        lambda: stage.tavern.hide(1),
    ):
        act()
        check(stage)
