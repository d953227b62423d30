"""With our extension a duplicated character, whose chat has the original's file name, has memories of its own."""

from __future__ import annotations

import pytest

from tests.browser.conftest import card
from tests.browser.our_server import Remembered
from tests.browser.processes import eventually
from tests.browser.stage import Stage

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]  # the first test starts everything
EXTENDED = True


def of(stage: Stage, avatar: str) -> list[Remembered]:
    """What memory holds of the character's chat that has the open chat's name."""
    return stage.memory.messages(f"{avatar.removesuffix('.png')}/{stage.tavern.chat_id()}")


def test_a_duplicates_chat_of_the_originals_name_is_another(stage: Stage) -> None:
    tavern, shown = stage.tavern, {}
    tavern.import_card(card("Wren", "Wren mends clocks.", "*Wren looks up.* Mind the springs."))
    tavern.open_character("Wren")
    tavern.send("My watch stopped at noon.")
    tavern.send("Can you mend it?")
    name, copy = tavern.chat_id(), tavern.duplicate_character()
    for avatar, said in ((copy, "The giraffe is tall."), ("Wren.png", "Is it mended?"), (copy, "How tall?")):
        with stage.told():
            tavern.open_character(avatar)
        assert tavern.chat_id() == name
        tavern.send(said)
        with stage.told():
            tavern.swipe_right()
        with stage.told():
            tavern.swipe_left()
        shown[avatar] = stage.spoken()
        assert eventually(lambda avatar=avatar: of(stage, avatar), shown[avatar]) == shown[avatar]
    assert {avatar: of(stage, avatar) for avatar in shown} == shown
    sessions = stage.memory.of_chat(name)
    assert [character for _, character in sessions] == ["Wren", "Wren"]
    assert shown["Wren.png"][1].text == "My watch stopped at noon."
    left = stage.memory.session(f"Wren/{name}")["id"]
    tavern.delete_character(copy)
    assert eventually(lambda: stage.memory.of_chat(name), [(left, "Wren")]) == [(left, "Wren")]
    assert stage.memory.messages(left) == shown["Wren.png"]
    tavern.open_character("Wren.png")
    tavern.delete_character("Wren.png")
    assert eventually(lambda: stage.memory.of_chat(name), []) == []
