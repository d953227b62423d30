"""The README's YAML beside our extension: one session a chat, under the id that the YAML gives it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.browser.processes import eventually
from tests.browser.stage import Stage
from tests.browser.test_the_yaml_way import readme

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]  # the first test starts everything
EXTENDED = True


@pytest.fixture
def typed(stage: Stage) -> Iterator[Stage]:
    """A new chat, begun after the README's text was typed into Include Body Parameters."""
    stage.tavern.include(readme())
    stage.tavern.new_chat()
    yield stage
    stage.tavern.include("")


def check(stage: Stage) -> None:
    """Memory under the YAML's id becomes what the chat shows without another request."""
    shown, chat_id = stage.spoken(), stage.tavern.command("/getvar memory_id")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d \d+", chat_id)
    assert eventually(lambda: stage.memory.messages(chat_id), shown) == shown


def test_events_go_to_the_session_of_the_requests(typed: Stage) -> None:
    tavern, before = typed.tavern, typed.memory.versions()
    for text in ("My cat is called Pumpernickel.", "The password is swordfish."):
        tavern.send(text)
        check(typed)
    for act in (
        tavern.swipe_right,
        lambda: tavern.edit(3, "There is no password."),
        lambda: tavern.hide(1),
        tavern.delete_last,
        lambda: tavern.send("Good night."),
    ):
        act()
        check(typed)
    (new,) = typed.memory.versions().keys() - before.keys()
    assert typed.memory.session(new)["chat_id"] == tavern.command("/getvar memory_id")
    assert typed.memory.of_chat(tavern.chat_id()) == []


def test_a_branch_and_its_origin_are_each_what_they_show(typed: Stage) -> None:
    tavern = typed.tavern
    for text in ("Two paths lead to the village.", "I take the one by the shore.", "It is wet."):
        tavern.send(text)
        check(typed)
    tavern.branch(2)
    check(typed)
    tavern.send("I take the one over the hill.")
    check(typed)
    tavern.back_to_main_chat()
    check(typed)
    tavern.send("The shore is full of seals.")
    check(typed)
    assert len(typed.spoken()) == 9
