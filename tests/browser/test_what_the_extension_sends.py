"""With our extension each request carries its tag beside what the user wrote, and background prompts nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.browser.conftest import PICTURES, fresh
from tests.browser.stage import Stage

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]  # the first test starts everything
YAML = "top_k: 40 # theirs\nmetadata:\n  note: mine\n"


@pytest.fixture
def stage(extended_stage: Stage, request: pytest.FixtureRequest) -> Iterator[Stage]:
    """A new chat with Mira, with our extension."""
    yield from fresh(extended_stage, request)


def test_requests_carry_the_tag_and_what_the_user_wrote(stage: Stage) -> None:
    tavern = stage.tavern
    with stage.recorded(YAML) as asked:
        tavern.send("Good evening.")
        tavern.swipe_right()
        tavern.regenerate()
        tavern.continue_reply()
        tavern.impersonate()
        tavern.command("/gen Describe the weather.")
        tavern.command("/genraw Describe the weather.")
        tavern.test_message()
    kinds = ["normal", "swipe", "regenerate", "continue", "impersonate", "quiet", "raw", "test"]
    assert asked.tags("kind") == kinds
    assert asked.kinds == [kind if kind not in ("swipe", "regenerate") else "normal" for kind in kinds]
    assert [body["top_k"] for body in asked.bodies] == [40] * len(kinds)
    told = {*asked.tags("chat_id"), *asked.tags("character"), *asked.tags("note")}
    assert told == {tavern.chat_id(), "Mira", "mine"}
    assert stage.of_this_chat() == stage.spoken()


def test_a_group_request_names_the_speaker_and_the_members(stage: Stage) -> None:
    stage.tavern.new_group("Pier", "Mira", "Bram")
    with stage.recorded("") as asked:
        stage.tavern.send("Good evening, both.")
    assert sorted(asked.tags("character")) == ["Bram", "Mira"]
    assert asked.tags("chat_id") == [stage.tavern.chat_id()] * 2
    assert [sorted(members) for members in asked.tags("group_members")] == [["Bram", "Mira"]] * 2


def test_background_prompts_write_nothing(stage: Stage) -> None:
    with stage.told():
        stage.tavern.send("Good evening.")
    before = stage.memory.versions()
    stage.tavern.command("/genraw Describe the weather.")
    with stage.told():
        stage.tavern.command("/gen Describe the weather.")
    assert stage.memory.versions() == before


def test_its_panel_says_what_is_remembered_and_its_switches_work(stage: Stage) -> None:
    tavern, label = stage.tavern, "Tell the server which chat a request belongs to"
    with stage.told():
        tavern.send("Good evening.")
    with tavern.extensions_panel("Emotional RAG") as panel:
        panel.get_by_text("3 messages remembered").wait_for()
        panel.get_by_label(label).uncheck()
    with stage.recorded("") as asked:
        tavern.send("It rains.")
    with tavern.extensions_panel("Emotional RAG") as panel:
        panel.get_by_label(label).check()
        tavern.picture(PICTURES / "panel.png")
    assert "metadata" not in asked.bodies[0]
