"""Keeps web pages out: what a browser loads from elsewhere must not read or write the memory.

A request with an `Origin` is refused unless that origin is this machine. A page whose public name was made to
point here (DNS rebinding) sends no foreign origin but its own name as `Host`, so while the server listens on
loopback only names that nobody can register are taken. Front-ends such as SillyTavern call from their own
server and send no origin.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from server.errors import refusal

PRIVATE_SUFFIXES = (".localhost", ".local", ".internal", ".lan", ".home.arpa")


class LocalOnly:
    """ASGI middleware; `host` is the address the server listens on."""

    def __init__(self, app: ASGIApp, host: str) -> None:
        self._app = app
        self._check_host = is_loopback(host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (reason := self._objection(Headers(scope=scope))):
            await refusal(403, reason, "origin_not_allowed")(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _objection(self, headers: Headers) -> str:
        origin = headers.get("origin")
        if origin is not None and not is_loopback(host_of(origin)):
            return f"Requests from web pages are not taken here (origin {origin})."
        host = host_of(f"//{headers.get('host', '')}")
        if self._check_host and not is_private_name(host):
            return f"This server does not answer to the name {host}; use 127.0.0.1."
        return ""


def host_of(url: str) -> str:
    """The host of a URL, in lower case; empty where there is none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def is_loopback(host: str) -> bool:
    """Whether a name or address can only be this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_private_name(host: str) -> bool:
    """An address, or a name that cannot be registered on the internet."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return "." not in host or host.endswith(PRIVATE_SUFFIXES)
    return True
