"""Replays captured requests through our server and prints how each was understood.

`python -m benchmarks.replay CAPTURES [--untagged] [--json build/bench/replay.json]`
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

import httpx
from rich.console import Console
from rich.table import Table

from benchmarks.captures import Capture, Confusion, confusion, digest, mistakes, read_captures, without_tag
from benchmarks.figures import keep
from benchmarks.provider import MODEL, Answer, Provider, running

ROOT = Path(__file__).parent.parent
START_SECONDS = 120.0
KINDS = ("normal", "continue", "impersonate", "quiet", "raw", "test")
_SET_BY_CLIENT = {"authorization", "content-length", "host", "connection", "accept-encoding"}


@dataclass(frozen=True, slots=True)
class Line:
    """How one capture went."""

    n: int
    label: str
    expected: str
    kind: str
    session_id: str
    change: str
    messages: int | None
    """On the session's path afterwards."""
    status: str
    """The HTTP status, `error` when the stream broke off with one, `stopped` when the client left."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables; 1 when a normal turn was taken for a quiet one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("captures", type=Path, help="folder of captured requests")
    parser.add_argument("--untagged", action="store_true", help="send them without their tags")
    parser.add_argument("--json", type=Path, help="where the figures go")
    options = parser.parse_args(arguments)
    captures = read_captures(options.captures)
    if not captures:
        parser.error(f"no captured requests (*.json) in {options.captures}")
    lines = replay(captures, untagged=options.untagged)
    tables = {
        "without the tag": confusion(captures, tagged=False),
        "with the tag": confusion(captures, tagged=True),
    }
    _show(lines, tables, digest(options.captures))
    if options.json:
        figures = {"sha256": digest(options.captures), "requests": [asdict(line) for line in lines]}
        keep(figures | {"kinds": tables}, options.json)
    return int(any(("normal", "quiet") in mistakes(table) for table in tables.values()))


def replay(captures: Sequence[Capture], *, untagged: bool) -> list[Line]:
    """Send the captures in order to a server of ours over an empty data folder."""
    with running(lambda body: Answer()) as provider, our_server(provider.base_url) as url:
        with httpx.Client(base_url=url, timeout=60) as client:
            following = [*captures[1:], None]
            return [
                _send(capture, _answer(capture, after), client, provider, untagged)
                for capture, after in zip(captures, following, strict=True)
            ]


@contextmanager
def our_server(provider_url: str) -> Iterator[str]:
    """Run `emotional-rag serve` over a temporary folder; its address."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "sessions"
        settings = {
            "DB_PATH": str(data),
            "CHROMADB_PATH": str(Path(folder) / "chroma"),
            "LLM": f"openai:{MODEL}",
            "OPENAI_BASE_URL": provider_url,
            "OPENAI_API_KEY": "none",
            "PROVIDER_RETRIES": "0",
            "PORT": "0",
            "PYTHONPATH": str(ROOT),
        }
        command = [sys.executable, "-m", "server.cli", "serve"]
        with (Path(folder) / "log").open("w+") as log:
            server = subprocess.Popen(command, cwd=folder, env=os.environ | settings, stdout=log, stderr=log)
            try:
                yield _address(server, data / ".lock", Path(log.name))
            finally:
                server.terminate()
                server.wait()


def _address(server: subprocess.Popen[bytes], lock: Path, log: Path) -> str:
    """Where the server listens, once it does; raises RuntimeError when it ended or takes too long."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and server.poll() is None:
        held = lock.read_text() if lock.exists() else ""
        if held and (url := json.loads(held).get("url")):
            return str(url)
        time.sleep(0.1)
    raise RuntimeError(f"The server did not start:\n{log.read_text()}")


# one request


def _answer(capture: Capture, after: Capture | None) -> Answer:
    """What the provider answered at capture, as the capture's name or the request `after` it tells."""
    if capture.name.startswith("abort"):
        return Answer("word word word word word word word word", holds=True)
    if "midstream_error" in capture.name:
        return Answer("Half a", error={"error": {"message": "Stub fails in mid-stream"}})
    if failed := re.search(r"err(?P<status>\d{3})-(?P<form>\w+)", capture.name):
        message = f"Stub fails with {failed['status']}"
        forms = {
            "openai": {"error": {"message": message, "type": "stub", "code": None}},
            "string": {"error": message},
            "detail": {"detail": message},
            "message": {"message": message},
        }
        return Answer(status=int(failed["status"]), error=forms.get(failed["form"], message))
    shown = _shown_reply(capture, after) if after else ""
    stub = f'Stub reply {capture.n}: "I remember," she says softly. *smiles*'
    return Answer(shown if shown and "Stub reply" not in shown else stub)


def _shown_reply(capture: Capture, after: Capture) -> str:
    """What the next request shows behind the last user message of this one, if it is a reply."""
    asked = [m["content"] for m in (capture.body or {}).get("messages", []) if m["role"] == "user"][-1:]
    later = (after.body or {}).get("messages", [])
    replies = (b for a, b in pairwise(later) if a["role"] == "user" and [a["content"]] == asked)
    return next((str(reply["content"]) for reply in replies if reply["role"] == "assistant"), "")


def _send(capture: Capture, answer: Answer, client: httpx.Client, provider: Provider, untagged: bool) -> Line:
    provider.script = lambda body: answer
    body = without_tag(capture.body) if untagged and capture.body else capture.body
    headers = {name: value for name, value in capture.headers.items() if name.lower() not in _SET_BY_CLIENT}
    response, status = None, "stopped"
    patience = httpx.Timeout(60, read=capture.closed_after_s or 60)
    try:
        request = client.build_request(
            capture.method, capture.path, json=body, headers=headers, timeout=patience
        )
        response = client.send(request, stream=True)
        said = response.read()
        status = "error" if said.startswith(b'data: {"error"') or b'\n\ndata: {"error"' in said else ""
        status = status or str(response.status_code)
    except httpx.ReadTimeout:
        time.sleep(0.5)  # the server stores what it had sent
    finally:
        if response is not None:
            response.close()
    return _line(capture, client, response.headers if response is not None else httpx.Headers(), status)


def _line(capture: Capture, client: httpx.Client, headers: httpx.Headers, status: str) -> Line:
    session = headers.get("x-session-id", "")
    shown = client.get(f"/v1/sessions/{session}") if session else None
    return Line(
        n=capture.n,
        label=capture.name,
        expected=capture.expected if capture.body else "",
        kind=headers.get("x-turn-kind", ""),
        session_id=unquote(session),
        change=headers.get("x-turn-change", ""),
        messages=shown.json()["messages"] if shown is not None and shown.is_success else None,
        status=status,
    )


# the tables


def _show(lines: Sequence[Line], tables: dict[str, Confusion], sha256: str) -> None:
    console = Console(width=None if sys.stdout.isatty() else 120)
    table = Table("n", "label", "kind", "session", "change", "messages", "status", box=None)
    for line in lines:
        kind = line.kind if line.kind in ("", line.expected) else f"{line.kind} (is {line.expected})"
        messages = "" if line.messages is None else str(line.messages)
        table.add_row(str(line.n), line.label, kind, line.session_id[:12], line.change, messages, line.status)
    console.print(table)
    for title, confused in tables.items():
        console.print(_confusion_table(title, confused))
        for (expected, kind), count in mistakes(confused).items():
            console.print(f"{count} {expected} taken for {kind}: {', '.join(confused[expected][kind])}")
    console.print(f"sha256 of the captures: {sha256}")


def _confusion_table(title: str, confused: Confusion) -> Table:
    table = Table("is \\ taken for", *KINDS, title=f"Kinds {title}", title_justify="left")
    for expected in KINDS:
        row = confused.get(expected, {})
        table.add_row(expected, *(str(len(row[kind])) if kind in row else "" for kind in KINDS))
    return table


if __name__ == "__main__":
    sys.exit(main())
