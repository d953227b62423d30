"""The one place where errors become HTTP: OpenAI's error shape for everything that goes wrong."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from graph import errors

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Shape:
    """How a class of errors looks from outside."""

    status: int
    type: str
    code: str


SHAPES: dict[type[Exception], Shape] = {
    errors.PromptTooLong: Shape(400, "invalid_request_error", "context_length_exceeded"),
    errors.RequestTooLarge: Shape(413, "invalid_request_error", "request_too_large"),
    errors.BadRequest: Shape(400, "invalid_request_error", "bad_request"),
    errors.NotFound: Shape(404, "invalid_request_error", "not_found"),
    errors.ProviderBusy: Shape(429, "rate_limit_error", "rate_limit_exceeded"),
    errors.ProviderTimeout: Shape(504, "provider_error", "provider_timeout"),
    errors.ProviderRefused: Shape(400, "invalid_request_error", "provider_refused"),
    errors.ProviderDenied: Shape(502, "provider_error", "provider_denied"),
    errors.ContextOverflow: Shape(400, "invalid_request_error", "context_length_exceeded"),
    errors.Blocked: Shape(400, "invalid_request_error", "content_filter"),
    errors.ProviderUnavailable: Shape(502, "provider_error", "provider_unavailable"),
    errors.ProviderError: Shape(502, "provider_error", "provider_error"),
    errors.EmotionalRagError: Shape(500, "server_error", "internal_error"),
}
"""Looked up along an error's classes, the nearest first."""

UNEXPECTED = Shape(500, "server_error", "internal_error")


def shape_of(error: BaseException) -> Shape:
    """Status, type and code of an error."""
    return next((SHAPES[cls] for cls in type(error).__mro__ if cls in SHAPES), UNEXPECTED)


def body_of(error: BaseException, turn_id: str = "") -> dict[str, dict[str, str | None]]:
    """OpenAI's error object; an unexpected error tells no more than where to look."""
    shape = shape_of(error)
    if isinstance(error, errors.EmotionalRagError):
        message = str(error)
    else:
        where = f" as turn {turn_id}" if turn_id else ""
        message = f"Something unexpected went wrong in the server; its log has it{where}."
    return _body(message, shape.type, shape.code, getattr(error, "param", None))


def response_of(error: BaseException, turn_id: str = "") -> JSONResponse:
    """The whole answer to an error, `Retry-After` included."""
    headers: dict[str, str] = {}
    if isinstance(error, errors.ProviderBusy) and error.retry_after is not None:
        headers["retry-after"] = str(math.ceil(error.retry_after))
    return JSONResponse(body_of(error, turn_id), shape_of(error).status, headers)


def refusal(status: int, message: str, code: str) -> JSONResponse:
    """An answer to a request that no route takes."""
    return JSONResponse(_body(message, "invalid_request_error", code, None), status)


def as_bad_request(error: ValidationError | RequestValidationError) -> errors.BadRequest:
    """The first thing wrong with a request, its field as `messages[2].role`."""
    problem = error.errors()[0]
    if problem["loc"] == ("body",) or problem["type"] == "json_invalid":
        return errors.BadRequest("The body must be a JSON object, sent as Content-Type: application/json.")
    param = _param(problem["loc"])
    message = str(problem["msg"]).removeprefix("Value error, ").split(" or instance of ")[0]
    return errors.BadRequest(f"{param}: {message}" if param else message, param=param or None)


def install(app: FastAPI) -> None:
    """Make the application answer every failure in OpenAI's shape."""

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> JSONResponse:
        what = f"{request.method} {request.url.path}"
        if error.status_code == 404:
            return refusal(404, f"There is no {what} here.", "unknown_url")
        if error.status_code == 405:
            response = refusal(405, f"{what}: this method is not allowed here.", "method_not_allowed")
            response.headers.update(error.headers or {})
            return response
        return refusal(error.status_code, str(error.detail), "http_error")

    @app.exception_handler(RequestValidationError)
    async def _validation(request: Request, error: RequestValidationError) -> JSONResponse:
        return response_of(as_bad_request(error))

    @app.exception_handler(errors.EmotionalRagError)
    async def _ours(request: Request, error: errors.EmotionalRagError) -> JSONResponse:
        return response_of(error)

    @app.exception_handler(Exception)
    async def _unexpected(request: Request, error: Exception) -> JSONResponse:
        return response_of(error)


def _body(message: str, kind: str, code: str, param: str | None) -> dict[str, dict[str, str | None]]:
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def _param(location: tuple[int | str, ...]) -> str:
    """A pydantic location as a person writes it."""
    place = [part for part in location if part not in ("body", "query", "path")]
    out = ""
    for part in place:
        out += f"[{part}]" if isinstance(part, int) else f".{part}" if out else part
    return out
