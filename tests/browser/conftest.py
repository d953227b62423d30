"""One browser for all tests here, a SillyTavern and a server for those with and those without our extension."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright
from playwright.sync_api import Error as PlaywrightError

from server.cli.extension import install
from tests.browser.front_end import FrontEnd
from tests.browser.our_server import running_server
from tests.browser.provider import running_provider
from tests.browser.sillytavern import ROOT, running_sillytavern
from tests.browser.stage import Stage

CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"]
PICTURES = ROOT / "build" / "browser"
PATIENCE = 60_000
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
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def plain_stage(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Stage]:
    with running_stage(tmp_path_factory, browser, extended=False) as stage:
        yield stage


@pytest.fixture(scope="session")
def extended_stage(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Stage]:
    with running_stage(tmp_path_factory, browser, extended=True) as stage:
        yield stage


@pytest.fixture
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """A new chat with Mira, with our extension where the module says EXTENDED."""
    extended = getattr(request.module, "EXTENDED", False)
    yield from fresh(request.getfixturevalue("extended_stage" if extended else "plain_stage"), request)


@contextmanager
def running_stage(folders: pytest.TempPathFactory, browser: Browser, *, extended: bool) -> Iterator[Stage]:
    """A SillyTavern of its own, with or without our extension, a server of ours and a provider."""
    with ExitStack() as stack:
        provider = stack.enter_context(running_provider())
        memory = stack.enter_context(running_server(folders.mktemp("server"), provider.url))
        folder = folders.mktemp("sillytavern")
        url = stack.enter_context(running_sillytavern(folder, f"{memory.url}/v1"))
        if extended:
            install(folder / "data" / "default-user")
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        stack.callback(page.close)
        page.set_default_timeout(PATIENCE)
        tavern = FrontEnd(page, url)
        for one in CARDS:
            tavern.import_card(one)
        yield Stage(tavern, memory, provider)


def fresh(stage: Stage, request: pytest.FixtureRequest) -> Iterator[Stage]:
    """The stage with a new chat with Mira; afterwards a picture of what became of it."""
    tavern, failed = stage.tavern, request.session.testsfailed
    try:
        begin(tavern)
    except PlaywrightError:
        tavern.load()
        raise
    yield stage
    tavern.picture(PICTURES / f"{request.node.name}.png")
    if request.session.testsfailed > failed:
        tavern.load()  # whatever stands open or is under way must not disturb the next test


def begin(tavern: FrontEnd) -> None:
    """A new chat with Mira, under the settings that the tests take for granted."""
    tavern.set_streaming(True)
    tavern.set_post_processing("")
    tavern.type("")
    tavern.open_character("Mira")
    tavern.new_chat()
