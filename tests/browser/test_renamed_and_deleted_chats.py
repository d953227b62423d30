"""With our extension a renamed chat goes on as it was, and memory of a chat that is deleted is deleted."""

from __future__ import annotations

import pytest

from tests.browser.conftest import card
from tests.browser.processes import eventually
from tests.browser.stage import Stage

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]  # the first test starts everything
EXTENDED = True
FORGET = "When a chat is deleted here"


def begun(stage: Stage, text: str) -> str:
    """The id of the open chat once memory holds what was sent and answered in it."""
    stage.tavern.send(text)
    check(stage)
    return stage.tavern.chat_id()


def check(stage: Stage) -> None:
    """Memory becomes what the chat shows without another request."""
    shown = stage.spoken()
    assert eventually(stage.of_this_chat, shown) == shown


def becomes(stage: Stage, chat_id: str, sessions: list[tuple[str, str]]) -> None:
    """The sessions of a chat's id, each with its character, become these."""
    assert eventually(lambda: stage.memory.of_chat(chat_id), sessions) == sessions


def test_a_renamed_chat_goes_on_as_the_session_it_was(stage: Stage) -> None:
    old = begun(stage, "My cat is called Pumpernickel.")
    begun(stage, "He is orange.")
    before, session = stage.memory.versions(), stage.memory.session(old)["id"]
    stage.tavern.command("/renamechat Night: at the sea?")
    assert stage.tavern.chat_id() == "Night at the sea"
    becomes(stage, "Night at the sea", [(session, "Mira")])
    check(stage)
    begun(stage, "Good night.")
    stage.tavern.swipe_right()
    check(stage)
    becomes(stage, old, [])
    assert stage.memory.versions().keys() == before.keys()


def test_a_chat_renamed_back_and_forth_leaves_its_names_to_others(stage: Stage) -> None:
    old = begun(stage, "The bell has no clapper.")
    session = stage.memory.session(old)["id"]
    stage.tavern.command("/renamechat The bell")
    becomes(stage, "The bell", [(session, "Mira")])
    stage.tavern.new_chat()
    stage.tavern.command(f"/renamechat {old}")
    begun(stage, "Who rings?")
    assert [found for found, _ in stage.memory.of_chat(old)] != [session]
    becomes(stage, "The bell", [(session, "Mira")])


@pytest.mark.parametrize("where", ["open", "listed"])
def test_memory_of_a_deleted_chat_is_deleted(stage: Stage, where: str) -> None:
    kept = begun(stage, "The gulls are back.")
    stage.tavern.new_chat()
    gone = begun(stage, "The password is swordfish.")
    (there,) = stage.memory.of_chat(kept)
    if where == "open":
        stage.tavern.delete_chat()
    else:
        stage.tavern.delete_recent_chat(gone)
    becomes(stage, gone, [])
    becomes(stage, kept, [there])


def test_memory_of_a_deleted_chat_is_kept_where_the_user_says_so(stage: Stage) -> None:
    gone = begun(stage, "Remember the reef.")
    with stage.tavern.extensions_panel("Emotional RAG") as panel:
        panel.get_by_label(FORGET).uncheck()
    stage.tavern.delete_chat()
    with stage.tavern.extensions_panel("Emotional RAG") as panel:
        panel.get_by_label(FORGET).check()
    begun(stage, "What was it?")  # whatever would have been told is told by now
    assert len(stage.memory.of_chat(gone)) == 1


def test_a_chat_renamed_in_the_list_of_recent_chats_is_the_same(stage: Stage) -> None:
    old = begun(stage, "The tide is late.")
    session = stage.memory.session(old)["id"]
    stage.tavern.rename_recent_chat(old, "Tide: late")
    becomes(stage, "Tide late", [(session, "Mira")])
    becomes(stage, old, [])


def test_a_renamed_character_keeps_every_chat_and_a_deleted_one_none(stage: Stage) -> None:
    tavern, memory = stage.tavern, stage.memory
    tavern.import_card(card("Sable", "Sable draws maps.", "*Sable unrolls a map.*"))
    tavern.open_character("Sable")
    first = begun(stage, "Hi.")
    tavern.new_chat()
    second = begun(stage, "Where are we?")
    sessions = {chat: memory.session(chat)["id"] for chat in (first, second)}
    assert tavern.command("/rename-char Sabine") == "true"
    for chat, session in sessions.items():
        becomes(stage, chat, [(session, "Sabine")])
    assert tavern.chat_id() == second
    begun(stage, "And now?")
    becomes(stage, second, [(sessions[second], "Sabine")])
    tavern.delete_character("Sabine")
    for chat in sessions:
        becomes(stage, chat, [])


def test_a_groups_chats_are_renamed_and_deleted_too(stage: Stage) -> None:
    stage.tavern.new_group("The quay", "Mira", "Bram")
    old = begun(stage, "Good evening, both.")
    session = stage.memory.session(old)["id"]
    stage.tavern.command("/renamechat Quay: one")
    assert stage.tavern.chat_id() == "Quay one"
    begun(stage, "Still here?")
    assert [found for found, _ in stage.memory.of_chat("Quay one")] == [session]
    becomes(stage, old, [])
    stage.tavern.delete_chat()
    becomes(stage, "Quay one", [])
