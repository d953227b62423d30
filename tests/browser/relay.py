"""Stands between SillyTavern and our server and keeps what each said: every request's body, and its kind to us."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

PATIENCE = 60.0
HOP = frozenset({"host", "connection", "content-length", "transfer-encoding", "keep-alive"})
"""Headers that are about one connection."""


@dataclass(frozen=True, slots=True)
class Recording:
    """The chat completions that went through, oldest first."""

    url: str
    bodies: list[dict[str, Any]] = field(default_factory=list)  # Any: JSON
    kinds: list[str] = field(default_factory=list)
    """What our server took each of them for."""

    def tags(self, name: str) -> list[Any]:
        """One entry of each request's metadata; None where it has none."""
        return [body.get("metadata", {}).get(name) for body in self.bodies]


@contextmanager
def running_relay(target: str) -> Iterator[Recording]:
    """A relay on loopback to the server at `target`; ends with the block."""

    class Relay(BaseHTTPRequestHandler):
        def _pass_on(self) -> None:
            content = self.rfile.read(int(self.headers.get("content-length", 0)))
            sent = {name: value.strip() for name, value in self.headers.items() if name.lower() not in HOP}
            address = f"{target}{self.path}"
            with client.stream(self.command, address, headers=sent, content=content) as answer:
                if self.path.endswith("/chat/completions"):
                    recording.bodies.append(json.loads(content))
                    recording.kinds.append(answer.headers.get("x-turn-kind", ""))
                self.send_response(answer.status_code)
                for name, value in answer.headers.items():
                    if name.lower() not in HOP:
                        self.send_header(name, value)
                self.end_headers()
                for chunk in answer.iter_raw():
                    self.wfile.write(chunk)

        do_GET = do_POST = do_OPTIONS = _pass_on

        def log_message(self, format: str, *args: Any) -> None:  # Any: the base class's
            """Nothing is printed."""

    with (
        httpx.Client(trust_env=False, timeout=PATIENCE) as client,
        ThreadingHTTPServer(("127.0.0.1", 0), Relay) as server,
    ):
        recording = Recording(f"http://127.0.0.1:{server.server_port}/v1")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield recording
        finally:
            server.shutdown()
            thread.join()
