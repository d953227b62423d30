"""A group is one chat: everyone's words are remembered once, with their names."""

from __future__ import annotations

import pytest

from tests.browser.stage import Stage

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]  # the first test starts everything


def spoken(stage: Stage) -> list[tuple[str, str]]:
    """Who said what in the session used last, without the name that SillyTavern puts before it in groups."""
    said = stage.memory.messages(stage.memory.newest())
    return [(one.speaker, one.text.removeprefix(f"{one.speaker}: ")) for one in said]


def test_everyone_in_a_group_is_remembered_by_name(stage: Stage) -> None:
    stage.tavern.new_group("The island", "Mira", "Bram")
    stage.tavern.send("Who saw the ship last night?")
    assert spoken(stage) == [(line.name, line.text) for line in stage.tavern.chat()]
    stage.tavern.send("Which flag did it fly?")
    assert spoken(stage) == [(line.name, line.text) for line in stage.tavern.chat()]
    assert len(spoken(stage)) == 8


def test_a_new_chat_of_a_group_begins_without_the_old_one(stage: Stage) -> None:
    stage.tavern.new_group("The harbour", "Bram", "Mira")
    stage.tavern.send("The nets are torn again.")
    stage.tavern.new_chat()
    stage.tavern.send("Who has seen my boots?")
    stage.tavern.send("They stood by the door.")
    assert spoken(stage) == [(line.name, line.text) for line in stage.tavern.chat()]
