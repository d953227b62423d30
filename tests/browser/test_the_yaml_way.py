"""Without the extension: what the README says to type tells chat, character and kind."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.browser.conftest import card
from tests.browser.sillytavern import ROOT
from tests.browser.stage import Stage

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]  # the first test starts everything
RUTH = "Ruth O'Neil #1"
AXE = 'Al "The Axe": #1'


def readme() -> str:
    """The one YAML text of the README."""
    (text,) = re.findall(r"^```yaml\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)
    return str(text)


@pytest.fixture
def typed(stage: Stage) -> Iterator[Stage]:
    """The README's text stands in Include Body Parameters."""
    stage.tavern.include(readme())
    yield stage
    stage.tavern.include("")


def test_chat_character_and_user_are_told_whatever_their_names_hold(typed: Stage) -> None:
    tavern, memory = typed.tavern, typed.memory
    tavern.import_card(card(RUTH, f"{RUTH} sails alone.", "*She waves.* Hello."))
    tavern.open_character(RUTH)
    tavern.command(f"/persona-set mode=temp {AXE}")
    tavern.send("Good evening.")
    first = memory.session(memory.newest())
    tavern.swipe_right()
    tavern.send("Where to?")
    again = memory.session(memory.newest())
    tavern.new_chat()
    tavern.send("Good evening.")
    other = memory.session(memory.newest())
    tavern.command("/persona-set mode=temp Alex")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d \d+", first["chat_id"])
    assert (first["character"], first["user_name"]) == (RUTH, AXE)
    assert again["id"] == first["id"] and again["messages"] == 5
    assert other["chat_id"] and other["chat_id"] != first["chat_id"]


def test_a_branch_inherits_the_id_and_is_recognised_as_a_branch(typed: Stage) -> None:
    tavern, memory = typed.tavern, typed.memory
    tavern.send("Two paths lead to the village, says the sign.")
    tavern.send("I take the one by the shore.")
    tavern.send("It is wet.")
    tree, variable = memory.session(memory.newest())["tree_id"], tavern.command("/getvar memory_id")
    trunk = typed.spoken()
    tavern.branch(2)
    tavern.send("I take the one over the hill.")
    branch = typed.spoken()
    assert variable and tavern.command("/getvar memory_id") == variable
    assert memory.messages(memory.newest()) == branch
    assert trunk in memory.lines(tree)
    tavern.back_to_main_chat()
    tavern.send("The shore is full of seals.")
    assert memory.messages(memory.newest()) == typed.spoken() and len(typed.spoken()) == 9
    assert sorted(map(len, memory.lines(tree))) == [5, 9] and branch in memory.lines(tree)


def test_each_request_says_its_kind(stage: Stage) -> None:
    tavern = stage.tavern
    with stage.recorded(readme()) as asked:
        told = tavern.generate_in_every_way()
    assert asked.tags("gen_type")[:-1] == told[:-1]
    assert len(set(asked.tags("chat_id"))) == 1 and set(asked.tags("character")) == {"Mira"}
    assert asked.kinds == ["normal", "normal", "normal", "continue", "impersonate", "quiet", "raw"]
