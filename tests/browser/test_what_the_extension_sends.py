"""With our extension each request carries its tag beside what the user wrote, and background prompts nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.browser.conftest import PICTURES
from tests.browser.front_end import POST_PROCESSING
from tests.browser.stage import Stage

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]  # the first test starts everything
EXTENDED = True
REPORT = "Tell it at once when messages are swiped"
YAML = "top_k: 40 # theirs\nmetadata:\n  note: mine\n"


@contextmanager
def silent(stage: Stage) -> Iterator[None]:
    """Our server is told nothing beside the requests."""
    with stage.tavern.extensions_panel("Emotional RAG") as panel:
        panel.get_by_label(REPORT).uncheck()
    yield
    with stage.tavern.extensions_panel("Emotional RAG") as panel:
        panel.get_by_label(REPORT).check()


def test_requests_carry_the_tag_and_what_the_user_wrote(stage: Stage) -> None:
    tavern = stage.tavern
    with stage.recorded(YAML) as asked:
        told = tavern.generate_in_every_way()
        tavern.test_message()
    kinds = [*told, "test"]
    assert asked.tags("kind") == kinds
    assert asked.kinds == [kind if kind not in ("swipe", "regenerate") else "normal" for kind in kinds]
    assert asked.tags("window") == ["whole"] * 6 + [None, None]
    assert [body["top_k"] for body in asked.bodies] == [40] * len(kinds)
    told = {word for tag in ("chat_id", "chat_file", "character", "note") for word in asked.tags(tag)}
    assert told == {tavern.chat_id(), "Mira", "mine"}
    assert stage.of_this_chat() == stage.spoken()


@pytest.mark.parametrize("mode", ["", *POST_PROCESSING])
@pytest.mark.parametrize("role", ["user", "assistant"])
def test_notes_in_a_speakers_role_are_told_from_the_chat(stage: Stage, role: str, mode: str) -> None:
    tavern = stage.tavern
    with silent(stage):
        tavern.set_post_processing(mode)
        tavern.command(f"/inject id=storm position=chat depth=1 role={role} The storm grows.")
        tavern.command("/note-role user | /note-depth 2 | /note Tell of the sea.")
        for text in ("Good evening.", "It rains.\n\nAnd it storms.", "Who is there?"):
            tavern.send(text)
            assert stage.remembered() == stage.shown()
            prompt = "\n".join(message["content"] for message in stage.provider.prompts()[-1])
            assert "The storm grows." in prompt and "Tell of the sea." in prompt
        tavern.command("/flushinject storm")
        tavern.command("/note ")


@pytest.mark.parametrize("mode", ["", *POST_PROCESSING])
def test_the_oldest_messages_that_are_hidden_are_absent_from_the_next_request_on(
    stage: Stage, mode: str
) -> None:
    tavern = stage.tavern
    with silent(stage):
        tavern.set_post_processing(mode)
        tavern.send("Good evening.")
        tavern.send("How is the lamp?")
        for index in range(3):
            tavern.hide(index)
        tavern.send("It rains.")
        assert stage.of_this_chat() == stage.spoken()
        for index in range(1, 3):
            tavern.unhide(index)
        tavern.swipe_right()
        assert stage.of_this_chat() == stage.spoken()
        tavern.delete_one(0)
        tavern.delete_one(0)
        tavern.send("And the sea?")
    assert stage.of_this_chat() == stage.spoken()


def test_prompts_in_the_users_role_are_told_from_the_chat(stage: Stage) -> None:
    tavern = stage.tavern
    with silent(stage):
        for identifier in ("main", "jailbreak"):
            tavern.set_prompt_role(identifier, "user")
        for text in ("Good evening.", "It rains.", "Who is there?"):
            tavern.send(text)
            assert stage.remembered() == stage.shown()
            prompt = stage.provider.prompts()[-1]
            assert [prompt[n]["role"] for n in (0, -1)] == ["user", "user"]
            assert prompt[-1]["content"] == "Stay with Mira's voice."
        for identifier in ("main", "jailbreak"):
            tavern.set_prompt_role(identifier, "system")


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
