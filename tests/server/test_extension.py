"""The extension for SillyTavern: its JavaScript under node, its files, and how it gets into a SillyTavern.

Its JavaScript reads YAML with SillyTavern's own library, so `make browser-test` runs that part.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from graph.errors import EmotionalRagError
from server.cli import main
from server.cli.extension import NAME, SOURCE, install
from tests.browser.sillytavern import INSTALLED

HERE = Path(__file__).parent / "extension"
YAML = INSTALLED / "node_modules" / "yaml"


@pytest.fixture
def sillytavern(tmp_path: Path) -> Path:
    """A SillyTavern's folders with the extension in it and the modules that it takes from there."""
    root = tmp_path / "SillyTavern"
    extensions = root / "public" / "scripts" / "extensions"
    (extensions / "regex").mkdir(parents=True)
    install(root)
    (root / "package.json").write_text('{"type": "module"}')
    library = json.dumps(str(YAML / "dist" / "index.js"))
    (root / "public" / "lib.js").write_text(f"export {{ default as yaml }} from {library};")
    (extensions / "regex" / "engine.js").write_text("export const getRegexedString = (text) => text;")
    (root / "public" / "scripts" / "chats.js").write_text(
        "export const appendFileContent = async (message, text) => text;"
    )
    return root


@pytest.mark.browser
@pytest.mark.parametrize("script", ["tag", "said", "report", "whole"])
def test_its_javascript(sillytavern: Path, script: str) -> None:
    extension = sillytavern / "public" / "scripts" / "extensions" / "third-party" / NAME
    command = [
        "node",
        "--test",
        "--test-force-exit",
        "--test-timeout=60000",
        str(HERE / f"{script}.test.mjs"),
    ]
    env = os.environ | {"EXTENSION": str(extension)}
    tested = subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert tested.returncode == 0, tested.stdout


def test_the_manifest_names_files_and_functions_that_are_there() -> None:
    manifest = json.loads((SOURCE / "manifest.json").read_text())
    for field in ("js", "css"):
        assert (SOURCE / manifest[field]).is_file()
    assert manifest["display_name"] and manifest["minimum_client_version"] == "1.19.0"
    script = (SOURCE / manifest["js"]).read_text()
    for function in manifest["hooks"].values():
        assert f"export async function {function}(" in script


def test_it_is_copied_for_everyone_or_into_the_users_folder_where_there_is_one(tmp_path: Path) -> None:
    root = tmp_path / "SillyTavern"
    (root / "public" / "scripts" / "extensions").mkdir(parents=True)
    assert install(root) == root / "public" / "scripts" / "extensions" / "third-party" / NAME
    user = root / "data" / "default-user"
    (user / "characters").mkdir(parents=True)
    (user / "settings.json").write_text("{}")
    assert install(root) == install(user) == user / "extensions" / NAME
    (user / "extensions" / NAME / "tag.js").write_text("an older copy")
    copied = {path.name: path.read_bytes() for path in install(user).iterdir()}
    assert copied == {path.name: path.read_bytes() for path in SOURCE.iterdir()}


def test_a_folder_that_is_no_sillytavern_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(EmotionalRagError, match=r"server\.js"):
        install(tmp_path)
    assert main(["extension", str(tmp_path)]) == 2
    assert str(tmp_path) in capsys.readouterr().err


def test_the_command_says_where_it_went(sillytavern: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["extension", str(sillytavern)]) == 0
    assert str(Path("third-party", NAME)) in capsys.readouterr().out
