"""A real SillyTavern with its own configuration and data folder, connected to our server."""

from __future__ import annotations

import json
import os
import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.browser.processes import await_start, running

ROOT = Path(__file__).resolve().parents[2]
INSTALLED = ROOT / "build" / "sillytavern"
PACKAGE = INSTALLED / "node_modules" / "sillytavern"
USER = "Alex"

CONFIG: dict[str, Any] = {  # Any: a tree of settings; what is absent has SillyTavern's default
    "listen": False,
    "browserLaunch": {"enabled": False},
    "enableDownloadableTokenizers": False,
    "enableServerPluginsAutoUpdate": False,
    "extensions": {"autoUpdate": False, "models": {"autoDownload": False}},
    "backups": {"chat": {"enabled": False}},
    "logging": {"enableAccessLog": False},
}


@contextmanager
def running_sillytavern(folder: Path, endpoint: str) -> Iterator[str]:
    """SillyTavern's address; it lives in `folder` and talks to the OpenAI-compatible `endpoint`."""
    port = _free_port()
    _seed(folder, endpoint)
    log = folder / "sillytavern.log"
    # server.js and not the `sillytavern` command, which ignores both folders
    command = ["node", str(PACKAGE / "server.js"), "--configPath", str(folder / "config.yaml")]
    command += ["--dataRoot", str(folder / "data"), "--port", str(port)]
    url = f"http://127.0.0.1:{port}/"
    # its compiled libraries are kept for one revision of the repository that it believes to be in: for ours
    env = os.environ | {"GIT_CEILING_DIRECTORIES": str(PACKAGE.parent)}
    with running(command, folder=folder, log=log, env=env) as process:
        await_start(process, log, lambda: _answers(url))
        yield url


def _answers(url: str) -> bool | None:
    try:
        return httpx.get(url, trust_env=False).is_success or None
    except httpx.TransportError:
        return None


def _seed(folder: Path, endpoint: str) -> None:
    """Write configuration and settings; the compiled libraries are kept between runs."""
    (folder / "config.yaml").write_text(json.dumps(CONFIG))  # JSON is YAML
    compiled = INSTALLED / "compiled"
    compiled.mkdir(exist_ok=True)
    user = folder / "data" / "default-user"
    user.mkdir(parents=True)
    (folder / "data" / "_webpack").symlink_to(compiled)
    (user / "settings.json").write_text(json.dumps(_settings(endpoint)))


def _settings(endpoint: str) -> dict[str, Any]:
    """SillyTavern's own defaults, past the first run, connected on load, and without animations."""
    settings: dict[str, Any] = json.loads((PACKAGE / "default" / "content" / "settings.json").read_text())
    settings |= {"firstRun": False, "username": USER, "main_api": "openai"}
    settings["power_user"] |= {
        "auto_connect": True,
        "reduced_motion": True,
        "expand_message_actions": True,
    }
    settings["oai_settings"] |= {
        "chat_completion_source": "custom",
        "custom_url": endpoint,
        "custom_model": "stub-model",
    }
    return settings


def _free_port() -> int:
    """A port below the range that outgoing connections take theirs from."""
    for port in random.sample(range(20_000, 30_000), 100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
    raise RuntimeError("no free port")
