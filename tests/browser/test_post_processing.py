"""SillyTavern's prompt post-processing glues texts together; memory keeps to what was said."""

from __future__ import annotations

import pytest

from tests.browser.front_end import POST_PROCESSING
from tests.browser.stage import Stage

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]  # the first test starts everything


@pytest.mark.parametrize("mode", POST_PROCESSING)
def test_a_chat_under_post_processing_is_remembered_message_by_message(stage: Stage, mode: str) -> None:
    stage.tavern.set_post_processing(mode)
    stage.tavern.send(f"I count the waves, in mode {mode}.")
    stage.tavern.send("Every seventh is higher.")
    assert stage.remembered()[:-2] == stage.shown()[:-2]
    assert stage.remembered()[-2][1].startswith("Every seventh is higher.")
    assert stage.remembered()[-1] == stage.shown()[-1]


@pytest.mark.parametrize("mode", POST_PROCESSING)
def test_a_message_under_post_processing_leaves_the_chat_what_it_was(stage: Stage, mode: str) -> None:
    stage.tavern.send(f"The fog is thick, before mode {mode}.")
    session = stage.memory.newest()
    stage.tavern.set_post_processing(mode)
    stage.tavern.send("I hear oars.")
    assert stage.memory.newest() == session
    stage.tavern.set_post_processing("")
    stage.tavern.send("Now they are gone.")
    assert stage.memory.newest() == session
    assert stage.remembered() == stage.shown()
