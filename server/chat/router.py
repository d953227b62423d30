"""POST /v1/chat/completions and GET /v1/models, each with a chat id in the path too."""

from __future__ import annotations

import asyncio
import time
import uuid
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from openai.types import Model
from starlette.types import Receive

from graph.errors import NotFound
from graph.resources import Resources
from graph.state import Turn
from memory import assignment
from memory.whose import Whose
from models.chat import ChatModel
from nodes.reconcile import prompt_of
from server import errors
from server.chat.body import read_body
from server.chat.headers import read_headers
from server.chat.options import explains, turn_context
from server.chat.protocol import ChatRequest, Envelope, parse
from server.chat.serving import Run, Turns
from server.chat.streaming import Chunks, Failed, remaining, whole
from server.dependencies import OWNER, OurResources, OurTurns
from server.sillytavern import Interpretation, interpret, markers_of, told_whose

READABLE = " !#$&'()*+,/:;=?@[]"

router = APIRouter()


@router.post("/v1/chat/completions")
async def chat_completions(request: Request, resources: OurResources, turns: OurTurns) -> Response:
    """Answer as the character, and remember."""
    return await _answer(request, resources, turns, chat_id="")


@router.post("/c/{chat_id:name}/v1/chat/completions")
async def chat_completions_of(
    chat_id: str, request: Request, resources: OurResources, turns: OurTurns
) -> Response:
    """The same, in the chat that the path names."""
    return await _answer(request, resources, turns, chat_id)


@router.get("/v1/models")
async def models(resources: OurResources) -> JSONResponse:
    """The models that may be asked for, the default first."""
    offered = await resources.chat.models()
    data = [_model(resources.chat, name) for name in offered]
    return JSONResponse({"object": "list", "data": data})


@router.get("/c/{chat_id:name}/v1/models")
async def models_of(chat_id: str, resources: OurResources) -> JSONResponse:
    """The same: which models there are does not depend on the chat."""
    return await models(resources)


@router.get("/v1/models/{model:path}")
async def model(model: str, resources: OurResources) -> JSONResponse:
    """One of them, or 404."""
    if model not in await resources.chat.models():
        raise NotFound(f"There is no model {model!r} here.")
    return JSONResponse(_model(resources.chat, model))


def _model(chat: ChatModel, name: str) -> dict[str, Any]:
    described = Model(id=name, created=int(time.time()), object="model", owned_by=chat.provider)
    return described.model_dump(exclude_unset=True)


async def _answer(request: Request, resources: Resources, turns: Turns, chat_id: str) -> Response:
    settings = resources.settings
    asked = parse(await read_body(request, settings.max_body_mb))
    headers = read_headers(request)
    meant = interpret(asked.body, headers, chat_id, markers_of(settings))
    context = turn_context(asked.body, headers, settings, OWNER)
    explain = explains(asked.body, headers)
    turn = turn_of(asked, meant)
    whose = told_whose(asked.body, headers)
    of_session = session_request(turn, whose, exact=meant.is_exact, may_be_raw=meant.may_be_raw)
    if turn.person and not turn.chat_id and [row.role for row in of_session.window] == ["user"]:
        turn.user_name = turn.person
    run, task = turns.start(turn, of_session, context, streamed=asked.stream, explain=explain)
    watcher = asyncio.create_task(_watch(request.receive, run))
    task.add_done_callback(lambda _: watcher.cancel())
    envelope = Envelope(f"chatcmpl-{turn.turn_id}", await resources.chat.choose(asked.model))
    if asked.stream:
        return await _streamed(run, Chunks(envelope, include_usage=asked.include_usage))
    return await _in_one(run, envelope)


def turn_of(asked: ChatRequest, meant: Interpretation) -> Turn:
    """What a request asks of the graph."""
    return Turn(
        messages=asked.messages,
        kind=meant.kind,
        again=meant.again,
        turn_id=uuid.uuid4().hex,
        chat_id=meant.chat_id,
        character=meant.character,
        user_name=meant.user_name,
        names=list(meant.names),
        is_group=meant.is_group,
        is_whole=meant.is_whole,
        person=meant.user,
        avatar=meant.avatar,
        spoken=meant.spoken,
        model=asked.model,
        sampling=asked.sampling,
    )


def session_request(
    turn: Turn, whose: Whose, *, exact: bool = False, may_be_raw: bool = False
) -> assignment.Request:
    """What is known of a turn's session."""
    prompt = prompt_of(turn)
    users = {row.speaker for row in prompt.window if row.role == "user"} | {turn.user_name}
    others = {*turn.names} - users - {turn.character} if turn.character else set()
    return assignment.Request(
        owner=OWNER,
        window=prompt.window,
        prompt=prompt,
        chat_id=turn.chat_id,
        user=turn.person,
        character=turn.character,
        continues=turn.kind == "continue",
        again=turn.again,
        whose=whose,
        exact=exact,
        may_be_raw=may_be_raw,
        is_group=turn.is_group,
        shows_group=turn.is_group or bool(others),
    )


async def _watch(receive: Receive, run: Run) -> None:
    """Await the moment the client goes away; after the answer was sent this changes nothing."""
    while (await receive())["type"] != "http.disconnect":
        pass
    run.client_left()


async def _streamed(run: Run, chunks: Chunks) -> Response:
    """Headers leave with the first event, so that an early error still has its own status."""
    first = await run.events.get()
    if isinstance(first, Failed):
        return errors.response_of(first.error, run.turn.turn_id)
    lines = remaining(first, run.events, chunks, run.turn.turn_id)
    headers = _headers(run) | {"cache-control": "no-cache", "x-accel-buffering": "no"}
    return StreamingResponse(lines, media_type="text/event-stream", headers=headers)


async def _in_one(run: Run, envelope: Envelope) -> Response:
    answer = await whole(run.events, envelope)
    if isinstance(answer, Failed):
        return errors.response_of(answer.error, run.turn.turn_id)
    return Response(
        answer.model_dump_json(exclude_unset=True), media_type="application/json", headers=_headers(run)
    )


def _headers(run: Run) -> dict[str, str]:
    """How the request was understood; ids are percent-encoded where a header cannot carry them."""
    known = {
        "x-session-id": quote(run.turn.session_id, safe=READABLE),
        "x-turn-id": run.turn.turn_id,
        "x-turn-kind": run.turn.kind,
        "x-turn-change": run.change,
    }
    return {name: value for name, value in known.items() if value}
