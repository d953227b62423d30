"""Our server as its users run it, and what it says it remembers."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from graph.settings import Settings
from tests.browser.processes import await_start, running


@dataclass(frozen=True, slots=True)
class Remembered:
    """One message of a session's path."""

    role: str
    speaker: str
    text: str


class Memory:
    """Reads sessions and messages over HTTP."""

    def __init__(self, url: str) -> None:
        self.url = url

    def versions(self) -> dict[str, int]:
        """The version of every session: equal ones mean that nothing was written."""
        return {session["id"]: session["version"] for session in self._get("", limit=1000)}

    def newest(self) -> str:
        """The id of the session that was used last."""
        return str(self._get("", limit=1)[0]["id"])

    def session(self, name: str) -> dict[str, Any]:  # Any: JSON
        """A session as the API shows it, by its id or its chat's."""
        answer = httpx.get(f"{self.url}/v1/sessions/{quote(name, safe='')}", trust_env=False, timeout=20)
        return dict(answer.raise_for_status().json())

    def of_chat(self, chat_id: str) -> list[tuple[str, str]]:
        """Id and character of every session that has a chat's id."""
        sessions = self._get("", limit=1000)
        return [(one["id"], one["character"]) for one in sessions if one["chat_id"] == chat_id]

    def lines(self, tree_id: str) -> list[list[Remembered]]:
        """The messages of every session that grew from one beginning."""
        sessions = self._get("", limit=1000)
        return [self.messages(one["id"]) for one in sessions if one["tree_id"] == tree_id]

    def messages(self, name: str) -> list[Remembered]:
        """A session's messages, oldest first, texts stripped, by its id or its chat's; none of an unknown one."""
        try:
            found = self._get(f"/{quote(name, safe='')}/messages", limit=1000)
        except httpx.HTTPStatusError as error:
            if error.response.status_code != HTTPStatus.NOT_FOUND:
                raise
            return []
        return [Remembered(one["role"], one["speaker"], one["content"].strip()) for one in found]

    def _get(self, path: str, **query: int) -> list[dict[str, Any]]:  # Any: JSON objects
        answer = httpx.get(f"{self.url}/v1/sessions{path}", params=query, trust_env=False, timeout=20)
        return list(answer.raise_for_status().json()["data"])


@contextmanager
def running_server(folder: Path, provider: str) -> Iterator[Memory]:
    """Our server over an empty data folder, asking `provider` for answers."""
    ours = {name.upper() for name in Settings.model_fields}
    env = {name: value for name, value in os.environ.items() if name not in ours}
    env |= {
        "DB_PATH": str(folder / "sessions"),
        "CHROMADB_PATH": str(folder / "chroma"),
        "PORT": "0",
        "LLM": "openai:stub-model",
        "OPENAI_BASE_URL": provider,
        "OPENAI_API_KEY": "none",
    }
    log = folder / "server.log"
    command = [sys.executable, "-m", "server.cli", "serve"]
    with running(command, folder=folder, log=log, env=env) as process:
        yield Memory(await_start(process, log, lambda: _address(folder / "sessions" / ".lock")))


def _address(lock: Path) -> str | None:
    """Where the server listens, once it does: it writes that into its lock file."""
    try:
        return json.loads(lock.read_text()).get("url") or None
    except (FileNotFoundError, json.JSONDecodeError):
        return None
