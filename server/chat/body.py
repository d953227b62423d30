"""Reads a request's body, up to a limit."""

from __future__ import annotations

from fastapi import Request

from graph.errors import RequestTooLarge

MB = 1024 * 1024


async def read_body(request: Request, max_mb: int) -> bytes:
    """The whole body; raises RequestTooLarge as soon as it is known to be larger than `max_mb`."""
    limit = max_mb * MB
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        raise _too_large(max_mb)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise _too_large(max_mb)
    return bytes(body)


def _too_large(max_mb: int) -> RequestTooLarge:
    return RequestTooLarge(
        f"The request is larger than {max_mb} MB. Send less, or raise MAX_BODY_MB and start again."
    )
