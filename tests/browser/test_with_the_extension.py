"""With our extension in SillyTavern nothing is guessed, and memory is right before the next request."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from playwright.sync_api import Request, sync_playwright

from server.cli.extension import install
from tests.browser.conftest import CARDS, CHROMIUM, FLAGS, PATIENCE, PICTURES, Stage, card
from tests.browser.front_end import FrontEnd
from tests.browser.our_server import running_server
from tests.browser.provider import running_provider
from tests.browser.sillytavern import running_sillytavern

pytestmark = pytest.mark.browser
WITHOUT = """\
metadata:
  chat_id: |-
    {{if !.memory_id}}{{setvar::memory_id::{{isodate}} {{isotime}} {{roll::1d999999}}}}{{/if}}{{.memory_id}}
  gen_type: |-
    {{lastGenerationType}}
  character: |-
    {{char}}
  user_name: |-
    {{user}}
  group: |-
    {{group}}
"""
"""What the README says for SillyTavern without the extension."""
RUTH = "Ruth O'Neil #1"
AXE = 'Al "The Axe": #1'
YAML = "top_k: 40 # theirs\nmetadata:\n  note: mine\n"


@pytest.fixture(scope="session")
def extended_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with ExitStack() as stack:
        provider = stack.enter_context(running_provider())
        memory = stack.enter_context(running_server(tmp_path_factory.mktemp("server"), provider.url))
        folder = tmp_path_factory.mktemp("sillytavern")
        url = stack.enter_context(running_sillytavern(folder, f"{memory.url}/v1"))
        install(folder / "data" / "default-user")
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        stack.callback(browser.close)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(PATIENCE)
        tavern = FrontEnd(page, url)
        for one in CARDS:
            tavern.import_card(one)
        yield Stage(tavern, memory, provider)


@pytest.fixture
def stage(extended_stage: Stage, request: pytest.FixtureRequest) -> Iterator[Stage]:
    """A new chat with Mira."""
    tavern, failed = extended_stage.tavern, request.session.testsfailed
    tavern.type("")
    tavern.open_character("Mira")
    tavern.new_chat()
    yield extended_stage
    tavern.picture(PICTURES / f"{request.node.name}.png")
    if request.session.testsfailed > failed:
        tavern.load()


def chat_id(stage: Stage) -> str:
    return str(stage.tavern.page.evaluate("SillyTavern.getContext().getCurrentChatId()"))


def held(stage: Stage, name: str) -> list[tuple[str, str]]:
    """Role and text of what our server holds of a chat; nothing where it has no session.

    In a group the name stands before the text where a request brought it so.
    """
    try:
        found = stage.memory.messages(quote(name, safe=""))
    except httpx.HTTPStatusError:
        return []
    return [(one.role, one.text.removeprefix(f"{one.speaker}: ")) for one in found]


def newest(stage: Stage) -> dict[str, Any]:  # Any: JSON
    """The session used last."""
    answer = httpx.get(f"{stage.memory.url}/v1/sessions/{stage.memory.newest()}", trust_env=False)
    return dict(answer.raise_for_status().json())


def settles(stage: Stage) -> None:
    """Memory becomes what the chat shows, without a request."""
    until = time.monotonic() + 10
    while True:
        remembered = held(stage, chat_id(stage))
        if remembered == stage.shown() or time.monotonic() > until:
            assert remembered == stage.shown()
            return
        time.sleep(0.05)


def test_after_each_action_memory_is_the_chat(stage: Stage) -> None:
    tavern = stage.tavern
    for text in ("Good evening.", "It rains."):
        tavern.send(text)
        settles(stage)
    tavern.swipe_right()
    settles(stage)
    tavern.swipe_left()
    settles(stage)
    tavern.regenerate()
    settles(stage)
    tavern.edit(1, "Good morning.")
    settles(stage)
    tavern.edit(2, "Morning. You are early.")
    settles(stage)
    tavern.hide(1)
    settles(stage)
    tavern.unhide(1)
    settles(stage)
    tavern.continue_reply()
    settles(stage)
    calls = len(stage.memory.versions())
    tavern.impersonate()
    settles(stage)
    assert len(stage.memory.versions()) == calls
    tavern.type("")
    tavern.command("/hide 0-2")
    settles(stage)
    tavern.command("/unhide 0-2")
    settles(stage)
    tavern.delete_one(2)
    settles(stage)
    tavern.delete_last()
    settles(stage)
    tavern.send("Are you there?")
    settles(stage)


def test_a_branch_is_remembered_when_it_is_opened(stage: Stage) -> None:
    tavern = stage.tavern
    for text in ("Good evening.", "It rains."):
        tavern.send(text)
    origin, whole = chat_id(stage), stage.shown()
    tavern.branch(2)
    settles(stage)
    assert chat_id(stage) != origin
    tavern.send("Another road.")
    settles(stage)
    assert held(stage, origin) == whole


def test_a_group_is_remembered_with_its_speakers(stage: Stage) -> None:
    tavern = stage.tavern
    tavern.new_group("Harbour", "Mira", "Bram")
    tavern.send("Good evening, both.")
    settles(stage)
    tavern.edit(len(tavern.chat()) - 1, "Hm.")
    settles(stage)
    remembered = stage.memory.messages(quote(chat_id(stage), safe=""))
    assert {one.speaker for one in remembered if one.role == "assistant"} == {"Mira", "Bram"}


def test_requests_carry_the_tag_and_what_the_user_wrote(stage: Stage) -> None:
    tavern = stage.tavern
    include = "yaml => { SillyTavern.getContext().chatCompletionSettings.custom_include_body = yaml; }"
    sent: list[dict[str, Any]] = []

    def seen(request: Request) -> None:
        if request.url.endswith("/api/backends/chat-completions/generate"):
            sent.append(request.post_data_json)

    tavern.page.on("request", seen)
    tavern.page.evaluate(include, YAML)
    tavern.send("Good evening.")
    tavern.swipe_right()
    tavern.continue_reply()
    tavern.impersonate()
    tavern.type("")
    tavern.command("/gen Describe the weather.")
    tavern.command("/genraw Describe the weather.")
    tavern.page.evaluate("$('#test_api_button').trigger('click')")
    tavern.rest.until("$('#toast-container .toast-success').length > 0")
    tavern.page.evaluate(include, "")
    tavern.page.remove_listener("request", seen)
    assert all(json.loads(body["custom_include_body"])["top_k"] == 40 for body in sent)
    tags = [json.loads(body["custom_include_body"])["metadata"] for body in sent]
    kinds = ["normal", "swipe", "continue", "impersonate", "quiet", "raw", "test"]
    assert [tag["kind"] for tag in tags] == kinds
    assert {(tag["chat_id"], tag["character"], tag["note"]) for tag in tags} == {
        (chat_id(stage), "Mira", "mine")
    }


def test_background_prompts_write_nothing(stage: Stage) -> None:
    tavern = stage.tavern
    tavern.send("Good evening.")
    settles(stage)
    before = stage.memory.versions()
    tavern.command("/gen Describe the weather.")
    tavern.command("/genraw Describe the weather.")
    time.sleep(1.5)
    assert stage.memory.versions() == before


def test_the_yaml_way_tells_chat_and_character_without_the_extension(stage: Stage) -> None:
    tavern = stage.tavern
    configure = """([yaml, on]) => {
        const context = SillyTavern.getContext();
        context.chatCompletionSettings.custom_include_body = yaml;
        context.extensionSettings.emotional_rag = { tag: on, report: on };
    }"""
    tavern.page.evaluate(configure, [WITHOUT, False])
    tavern.import_card(card(RUTH, f"{RUTH} sails alone.", "*She waves.* Hello."))
    tavern.open_character(RUTH)
    tavern.command(f"/persona-set mode=temp {AXE}")
    tavern.send("Good evening.")
    first = newest(stage)
    tavern.swipe_right()
    tavern.send("Where to?")
    again = newest(stage)
    tavern.new_chat()
    tavern.send("Good evening.")
    other = newest(stage)
    tavern.command("/persona-set mode=temp Alex")
    tavern.page.evaluate(configure, ["", True])
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d \d+", first["chat_id"])
    assert (first["character"], first["user_name"]) == (RUTH, AXE)
    assert again["id"] == first["id"] and again["messages"] == 5
    assert other["chat_id"] and other["chat_id"] != first["chat_id"]
