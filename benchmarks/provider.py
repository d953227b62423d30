"""A small OpenAI-compatible provider on loopback: answers at once as a script says, keeps the prompts."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

MODEL = "stub-model"

Body = dict[str, Any]  # Any: JSON


@dataclass(frozen=True, slots=True)
class Answer:
    """What the provider says to one request."""

    text: str = ""
    status: int = 200
    error: object = None
    """With a status other than 200 the response's body: JSON, or a string for plain text. With 200 it is sent
    in mid-stream, after the text."""
    holds: bool = False
    """After the text nothing more comes until the client goes away."""
    prompt_tokens: int | None = None
    """What is reported as the prompt's length; None: a quarter of its characters."""


Script = Callable[[Body], Answer]
"""The answer to a request's body; runs in the provider's thread."""


@dataclass(slots=True)
class Provider:
    """A running provider."""

    base_url: str
    """Ends in /v1."""
    script: Script
    """May be exchanged at any time."""
    requests: list[Body] = field(default_factory=list)
    """Every chat completion request, in the order of arrival."""


@contextmanager
def running(script: Script) -> Iterator[Provider]:
    """Serve on a free loopback port, in a thread of its own, until the block ends."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        provider = Provider(f"http://127.0.0.1:{listener.getsockname()[1]}/v1", script)
        config = uvicorn.Config(_app(provider), lifespan="off", log_config=None, access_log=False)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield provider
        finally:
            server.should_exit = True
            server.force_exit = True
            thread.join()


def _app(provider: Provider) -> Starlette:
    async def chat(request: Request) -> Response:
        body: Body = await request.json()
        provider.requests.append(body)
        answer = provider.script(body)
        if answer.status != 200:
            plain = isinstance(answer.error, str)
            kind = PlainTextResponse if plain else JSONResponse
            return kind(answer.error, status_code=answer.status)
        if body.get("stream"):
            return StreamingResponse(_events(body, answer), media_type="text/event-stream")
        if answer.holds:
            await _gone(request)
        return JSONResponse(_completion(body, answer))

    async def models(_: Request) -> JSONResponse:
        return JSONResponse({"object": "list", "data": [{"id": MODEL, "object": "model"}]})

    routes = [Route("/v1/chat/completions", chat, methods=["POST"]), Route("/v1/models", models)]
    return Starlette(routes=routes)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _events(body: Body, answer: Answer) -> AsyncIterator[str]:
    for piece in re.findall(r"\s*\S+\s*$|\s*\S+", answer.text):
        delta = {"role": "assistant", "content": piece}
        yield _event(body, [{"index": 0, "delta": delta, "finish_reason": None}])
    if answer.holds:
        await asyncio.Event().wait()
    if answer.error is not None:
        yield f"data: {json.dumps(answer.error)}\n\n"
        return
    yield _event(body, [{"index": 0, "delta": {}, "finish_reason": "stop"}])
    if (body.get("stream_options") or {}).get("include_usage"):
        yield _event(body, [], usage=_usage(body, answer))
    yield "data: [DONE]\n\n"


def _event(body: Body, choices: list[Body], **more: object) -> str:
    chunk = {"id": "chatcmpl-stub", "object": "chat.completion.chunk", "created": 0, "choices": choices}
    return f"data: {json.dumps(chunk | {'model': body.get('model', MODEL)} | more)}\n\n"


def _completion(body: Body, answer: Answer) -> Body:
    message = {"role": "assistant", "content": answer.text}
    return {
        "id": "chatcmpl-stub",
        "object": "chat.completion",
        "created": 0,
        "model": body.get("model", MODEL),
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": _usage(body, answer),
    }


def _usage(body: Body, answer: Answer) -> Body:
    """As the answer says, or a quarter of the characters, as a tokenizer would have it roughly."""
    prompt = sum(len(str(message.get("content") or "")) for message in body["messages"]) // 4
    prompt = prompt if answer.prompt_tokens is None else answer.prompt_tokens
    completion = len(answer.text) // 4
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
