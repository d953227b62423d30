"""Without any extension: after the next request our memory is the chat that SillyTavern shows."""

from __future__ import annotations

import pytest

from tests.browser.stage import Stage

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]  # the first test starts everything


def test_a_message_and_its_reply_are_remembered(stage: Stage) -> None:
    stage.tavern.send("The ferry was cancelled.")
    assert stage.remembered() == stage.shown()
    stage.tavern.send("So I walked along the dam.")
    assert stage.remembered() == stage.shown()
    assert len(stage.shown()) == 5


def test_the_same_holds_without_streaming(stage: Stage) -> None:
    stage.tavern.set_streaming(False)
    stage.tavern.send("Is the radio still broken?")
    stage.tavern.send("Then nobody knows that I am here.")
    assert stage.remembered() == stage.shown()


def test_a_swipe_takes_the_place_of_the_reply_before(stage: Stage) -> None:
    stage.tavern.send("Who built this tower?")
    stage.tavern.swipe_right()
    assert stage.remembered() == stage.shown()
    stage.tavern.send("And who lit it first?")
    assert stage.remembered() == stage.shown()


def test_after_a_swipe_back_the_first_reply_counts_again(stage: Stage) -> None:
    stage.tavern.send("What is that bell for?")
    first = stage.shown()[-1]
    stage.tavern.swipe_right()
    stage.tavern.swipe_left()
    stage.tavern.send("Does it ring by itself?")
    assert stage.remembered() == stage.shown()
    assert stage.remembered()[2] == first


def test_after_swiping_to_and_fro_the_reply_on_show_counts(stage: Stage) -> None:
    stage.tavern.send("May I climb up?")
    for step in (stage.tavern.swipe_right, stage.tavern.swipe_right, stage.tavern.swipe_left):
        step()
    stage.tavern.send("How many steps are there?")
    assert stage.remembered() == stage.shown()


def test_a_regenerated_reply_takes_the_place_of_the_reply_before(stage: Stage) -> None:
    stage.tavern.send("Tell me about the wreck.")
    stage.tavern.regenerate()
    assert stage.remembered() == stage.shown()
    stage.tavern.send("Was anyone saved?")
    assert stage.remembered() == stage.shown()


def test_an_edited_message_of_the_user_is_remembered_as_edited(stage: Stage) -> None:
    stage.tavern.send("My name is Alexandra.")
    stage.tavern.send("I come from the mainland.")
    stage.tavern.edit(1, "My name is Alexis.")
    stage.tavern.send("Can you keep a secret?")
    assert stage.remembered() == stage.shown()
    assert stage.remembered()[1] == ("user", "My name is Alexis.")


def test_an_edited_reply_is_remembered_as_edited(stage: Stage) -> None:
    stage.tavern.send("What do you fear?")
    stage.tavern.edit(2, "*She hesitates.* Fog. Only fog.")
    stage.tavern.send("Why fog?")
    assert stage.remembered() == stage.shown()
    assert stage.remembered()[2] == ("assistant", "*She hesitates.* Fog. Only fog.")


def test_an_edited_greeting_is_remembered_as_edited(stage: Stage) -> None:
    stage.tavern.send("Is there anything to eat?")
    stage.tavern.edit(0, "*The lamp is dark.* Who is there?")
    stage.tavern.send("It smells of soup.")
    assert stage.remembered() == stage.shown()


def test_a_deleted_reply_is_forgotten(stage: Stage) -> None:
    stage.tavern.send("I found a key on the stairs.")
    stage.tavern.send("It does not fit the door.")
    stage.tavern.delete_last()
    stage.tavern.send("Maybe it fits the chest.")
    assert stage.remembered() == stage.shown()


def test_a_deleted_exchange_is_forgotten(stage: Stage) -> None:
    stage.tavern.send("The wind is turning.")
    stage.tavern.send("I will leave at dawn.")
    stage.tavern.delete_from(3)
    stage.tavern.send("I will stay another day.")
    assert stage.remembered() == stage.shown()
    assert ("user", "I will leave at dawn.") not in stage.remembered()


def test_a_message_deleted_from_the_middle_is_forgotten(stage: Stage) -> None:
    stage.tavern.send("There is a boat on the rocks.")
    stage.tavern.send("It has no name.")
    stage.tavern.delete_one(2)
    stage.tavern.send("Its sails are red.")
    assert stage.remembered() == stage.shown()


def test_a_continued_reply_takes_the_place_of_the_shorter_one(stage: Stage) -> None:
    stage.tavern.send("Read me a page of the logbook.")
    stage.provider.will_say("and in the night", " the light went out.")
    stage.tavern.continue_reply()
    stage.tavern.send("Who wrote that?")
    assert stage.remembered() == stage.shown()
    assert stage.remembered()[2][1].endswith("the light went out.")


def test_a_hidden_message_is_absent_until_it_is_shown_again(stage: Stage) -> None:
    stage.tavern.send("I am afraid of the sea.")
    stage.tavern.send("Do not tell the others.")
    stage.tavern.hide(1)
    stage.tavern.send("What were we talking about?")
    assert stage.remembered() == stage.shown()
    assert ("user", "I am afraid of the sea.") not in stage.remembered()
    stage.tavern.unhide(1)
    stage.tavern.send("Ah, now I remember.")
    assert stage.remembered() == stage.shown()
    assert ("user", "I am afraid of the sea.") in stage.remembered()


@pytest.mark.parametrize("role", ["user", "assistant"])
def test_a_note_in_a_speakers_role_is_gone_once_the_chat_is_shown_without_it(stage: Stage, role: str) -> None:
    stage.tavern.send("Is it far to the mainland?")
    stage.tavern.command(f"/inject id=storm position=chat depth=1 role={role} The storm grows.")
    for text in ("Can you see it from here?", "And at night?"):
        stage.tavern.send(text)
        assert stage.remembered() == [*stage.shown()[:-2], (role, "The storm grows."), *stage.shown()[-2:]]
    stage.tavern.command("/flushinject storm")
    stage.tavern.send("Good night.")
    assert stage.remembered() == stage.shown()


def test_a_branch_goes_its_own_way_and_the_chat_it_left_stays_as_it_was(stage: Stage) -> None:
    stage.tavern.send("Two paths lead to the village.")
    stage.tavern.send("I take the one by the shore.")
    trunk = stage.shown()
    stage.tavern.branch(2)
    stage.tavern.send("I take the one over the hill.")
    assert stage.remembered() == stage.shown()
    assert len(stage.shown()) == 5
    stage.tavern.back_to_main_chat()
    assert stage.shown() == trunk
    stage.tavern.send("The shore is full of seals.")
    assert stage.remembered() == stage.shown()


def test_two_chats_with_the_same_beginning_never_mix(stage: Stage) -> None:
    stage.tavern.send("Hello again, Mira.")
    stage.tavern.send("I bring oil for the lamp.")
    first = stage.memory.newest()
    before = stage.memory.messages(first)
    stage.tavern.new_chat()
    stage.tavern.send("Good evening, Mira.")
    stage.tavern.send("I bring bad news.")
    assert stage.remembered() == stage.shown()
    assert stage.memory.newest() != first
    assert stage.memory.messages(first) == before


def test_what_the_stop_button_left_is_remembered(stage: Stage) -> None:
    stage.tavern.send("Do you know a long story?")
    stage.provider.will_hang_after("Once,", " when the lamp", " still burned oil,")
    stage.tavern.begin("Then begin.")
    stage.tavern.stop_after("oil,")
    stage.provider.await_left()
    stage.tavern.send("Go on tomorrow.")
    assert stage.remembered() == stage.shown()
    assert stage.remembered()[4] == ("assistant", "Once, when the lamp still burned oil,")


@pytest.mark.parametrize("streaming", [True, False])
def test_a_reply_stopped_before_its_first_word_is_not_remembered(stage: Stage, streaming: bool) -> None:
    stage.tavern.set_streaming(streaming)
    stage.tavern.send(f"Streaming is {streaming}. Can you hear me?")
    calls = len(stage.provider.prompts())
    stage.provider.will_hang_after()
    stage.tavern.begin("Say nothing.")
    stage.provider.await_call(calls + 1)
    stage.tavern.stop()
    stage.provider.await_left()
    stage.tavern.send("Thank you.")
    assert stage.remembered() == stage.shown()


def test_a_refused_message_is_remembered_once_it_is_answered(stage: Stage) -> None:
    stage.tavern.send("The cellar is locked.")
    stage.provider.will_refuse("The provider is out of credit.")
    stage.tavern.send("What is down there?")
    assert "The provider is out of credit." in stage.tavern.complaint()
    stage.tavern.regenerate()
    assert stage.remembered() == stage.shown()
    stage.tavern.send("I hear something move.")
    assert stage.remembered() == stage.shown()
