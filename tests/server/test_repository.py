"""The extension is installed from the running server's address, and updated from there, as git clients do it."""

from __future__ import annotations

import asyncio
import gzip
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from server.sillytavern import repository
from server.sillytavern.repository import SOURCE
from tests.server.live import Live

ADDRESS = "emotional-rag.git"
FILES = {path.name: path.read_bytes() for path in SOURCE.iterdir()}


async def git(*arguments: str | Path) -> str:
    """What git prints; its own settings and hooks of this machine do not count."""
    env = os.environ | {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
    }
    process = await asyncio.create_subprocess_exec(
        "git", *map(str, arguments), env=env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    printed, _ = await process.communicate()
    assert process.returncode == 0, printed.decode()
    return printed.decode().strip()


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".git"}


@pytest.mark.parametrize("options", [["--depth", "1"], [], ["--depth", "1", "--branch", "main"]])
async def test_a_clone_holds_the_extension(live: Live, tmp_path: Path, options: Sequence[str]) -> None:
    await git("clone", *options, f"{live.url}/{ADDRESS}", tmp_path / "clone")
    assert files_in(tmp_path / "clone") == FILES


@pytest.mark.parametrize("options", [["--depth", "1"], []])
async def test_a_clone_is_updated_when_the_server_holds_another_version(
    live: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: Sequence[str]
) -> None:
    old, clone = tmp_path / "old", tmp_path / "clone"
    old.mkdir()
    for name, content in FILES.items():
        (old / name).write_bytes(content + b"\n")
    monkeypatch.setattr(repository, "SOURCE", old)
    await git("clone", *options, f"{live.url}/{ADDRESS}", clone)
    assert files_in(clone) == files_in(old)
    monkeypatch.undo()
    await git("-C", clone, "pull", "origin", "main")
    assert files_in(clone) == FILES
    before = await git("-C", clone, "rev-parse", "HEAD")
    await git("-C", clone, "pull", "origin", "main")
    assert await git("-C", clone, "rev-parse", "HEAD") == before
    await git("clone", f"{live.url}/{ADDRESS}", tmp_path / "whole")
    assert await git("-C", tmp_path / "whole", "rev-list", "--count", "HEAD") == "2"


async def test_a_repository_that_was_only_begun_is_made_anew(live: Live, tmp_path: Path) -> None:
    (live.resources.settings.db_path / repository.FOLDER / "objects").mkdir(parents=True)
    await git("clone", f"{live.url}/{ADDRESS}", tmp_path / "clone")
    assert files_in(tmp_path / "clone") == FILES


async def test_two_who_clone_at_once_are_served(live: Live, tmp_path: Path) -> None:
    clones = [tmp_path / name for name in "abcd"]
    await asyncio.gather(*(git("clone", f"{live.url}/{ADDRESS}", clone) for clone in clones))
    assert all(files_in(clone) == FILES for clone in clones)


@pytest.mark.parametrize(
    ("method", "path", "content", "headers"),
    [
        ("GET", "info/refs", b"", {}),
        ("GET", "info/refs?service=git-receive-pack", b"", {}),
        ("POST", "git-upload-pack", b"nonsense", {}),
        ("POST", "git-upload-pack", b"0032want 0123456789012345678901234567890123456789\n0000", {}),
        ("POST", "git-upload-pack", b"nonsense", {"content-encoding": "gzip"}),
        ("POST", "git-upload-pack", gzip.compress(b"x" * 5_000_000), {"content-encoding": "gzip"}),
    ],
)
async def test_what_is_no_request_of_gits_is_refused(
    live: Live, method: str, path: str, content: bytes, headers: dict[str, str]
) -> None:
    answer = await live.http.request(method, f"/{ADDRESS}/{path}", content=content, headers=headers)
    assert answer.status_code == 400 and answer.json()["error"]["message"]


async def test_nothing_else_of_the_repository_is_served(live: Live) -> None:
    for path in ("HEAD", "config", "objects/info/packs", "git-receive-pack", "../info/refs"):
        assert (await live.http.get(f"/{ADDRESS}/{path}")).status_code in (404, 405)
