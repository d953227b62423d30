"""What SillyTavern asks for in the background leaves every session as it was."""

from __future__ import annotations

import pytest

from tests.browser.stage import Stage

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]  # the first test starts everything


def test_impersonation_writes_into_the_input_box_and_into_no_session(stage: Stage) -> None:
    stage.tavern.send("You look tired.")
    before = stage.memory.versions()
    stage.provider.will_say("I could watch the lamp", " while you sleep.")
    stage.tavern.impersonate()
    assert stage.tavern.draft() == "I could watch the lamp while you sleep."
    assert stage.memory.versions() == before
    assert stage.remembered() == stage.shown()


@pytest.mark.parametrize(
    "command", ["/gen Name three sounds of the sea.", "/genraw Name three fish."], ids=["gen", "genraw"]
)
def test_a_background_prompt_leaves_every_session_as_it_was(stage: Stage, command: str) -> None:
    stage.tavern.send("What do you hear at night?")
    before = stage.memory.versions()
    stage.provider.will_say("Surf, gulls, rain.")
    assert stage.tavern.command(command) == "Surf, gulls, rain."
    assert stage.memory.versions() == before
    stage.tavern.send("And in winter?")
    assert stage.remembered() == stage.shown()
