"""Reads a request's headers."""

from __future__ import annotations

from fastapi import Request


def read_headers(request: Request) -> dict[str, str]:
    """Values by lower-case name, the first of each: UTF-8, as clients write what they have there; Latin-1,
    which HTTP once had, where that is none."""
    return {name.decode("latin-1").lower(): _text(value) for name, value in reversed(request.headers.raw)}


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
