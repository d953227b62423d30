"""One SillyTavern, one browser and one server for all tests here; a fresh chat a test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import sync_playwright

from tests.browser.front_end import FrontEnd
from tests.browser.our_server import running_server
from tests.browser.provider import running_provider
from tests.browser.sillytavern import ROOT, running_sillytavern
from tests.browser.stage import Stage

CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"]
PICTURES = ROOT / "build" / "browser"
PATIENCE = 30_000
"""Milliseconds that a condition on the page may take to come true."""


def card(name: str, description: str, greeting: str) -> dict[str, Any]:  # Any: a character card
    """A card with post-history instructions, as most shared cards have."""
    data = {
        "name": name,
        "description": description,
        "personality": "patient, dry",
        "scenario": "A storm keeps everyone on the island.",
        "first_mes": greeting,
        "mes_example": "",
        "creator_notes": "",
        "system_prompt": "",
        "post_history_instructions": f"Stay with {name}'s voice.",
        "alternate_greetings": [],
        "tags": [],
        "creator": "",
        "character_version": "1",
        "extensions": {},
    }
    return {"spec": "chara_card_v2", "spec_version": "2.0", "data": data}


CARDS = [
    card(
        "Mira", "Mira keeps the lighthouse of Skerry.", "*The lamp turns.* Come in, {{user}}, you are soaked."
    ),
    card("Bram", "Bram mends the nets of Skerry's fishermen.", "*Bram looks up.* Evening."),
]


@pytest.fixture(scope="session")
def running_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with ExitStack() as stack:
        provider = stack.enter_context(running_provider())
        memory = stack.enter_context(running_server(tmp_path_factory.mktemp("server"), provider.url))
        folder = tmp_path_factory.mktemp("sillytavern")
        url = stack.enter_context(running_sillytavern(folder, f"{memory.url}/v1"))
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
def stage(running_stage: Stage, request: pytest.FixtureRequest) -> Iterator[Stage]:
    """A new chat with Mira."""
    tavern, failed = running_stage.tavern, request.session.testsfailed
    tavern.set_streaming(True)
    tavern.set_post_processing("")
    tavern.type("")
    tavern.open_character("Mira")
    tavern.new_chat()
    yield running_stage
    tavern.picture(PICTURES / f"{request.node.name}.png")
    if request.session.testsfailed > failed:
        tavern.load()  # whatever stands open or is under way must not disturb the next test
