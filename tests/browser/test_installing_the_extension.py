"""The extension is installed from our running server's address, in SillyTavern's own dialog, and works."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from server.cli.extension import SOURCE
from tests.browser.conftest import fresh, running_stage
from tests.browser.processes import eventually
from tests.browser.sillytavern import PACKAGE
from tests.browser.stage import Stage

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]  # the first test starts everything
NAME = "emotional-rag"


@pytest.fixture
def stage(
    tmp_path_factory: pytest.TempPathFactory, browser: Browser, request: pytest.FixtureRequest
) -> Iterator[Stage]:
    """A SillyTavern that has never seen our extension."""
    with running_stage(tmp_path_factory, browser, extended=False) as stage:
        yield from fresh(stage, request)


CLONE = """
import fs from 'node:fs';
import git from 'isomorphic-git';
import http from 'isomorphic-git/http/node';
const [url, dir] = process.argv.slice(1);
await git.clone({ fs, http, dir, url, depth: 1, singleBranch: true });
"""
"""As SillyTavern does where git is not installed (src/git/client.js)."""


def test_where_git_is_not_installed_sillytaverns_own_takes_it_too(plain_stage: Stage, tmp_path: Path) -> None:
    address = f"{plain_stage.memory.url}/{NAME}.git"
    command = ["node", "--input-type=module", "--eval", CLONE, address, str(tmp_path)]
    cloned = subprocess.run(command, cwd=PACKAGE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert cloned.returncode == 0, cloned.stdout
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.name != ".git"}
    assert files == {path.name: path.read_bytes() for path in SOURCE.iterdir()}


def test_it_is_installed_by_its_address_follows_the_chat_and_is_up_to_date(stage: Stage) -> None:
    tavern, address = stage.tavern, f"{stage.memory.url}/{NAME}.git"
    tavern.install_extension(address)
    tavern.load()
    tavern.open_character("Mira")
    with stage.recorded("") as asked, stage.told():
        tavern.send("Good evening.")
    assert asked.tags("chat_id") == [tavern.chat_id()] and asked.tags("kind") == ["normal"]
    tavern.edit(1, "Good morning.")
    assert eventually(stage.of_this_chat, stage.spoken()) == stage.spoken()
    known = tavern.ask("/api/extensions/version", {"extensionName": NAME})
    assert known["isUpToDate"] is True and known["remoteUrl"] == address
    assert tavern.ask("/api/extensions/update", {"extensionName": NAME})["isUpToDate"] is True
