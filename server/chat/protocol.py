"""OpenAI's chat protocol: what a request may be, and the objects that answer it."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import BaseModel, ConfigDict, Field, StrictBool, ValidationError, field_validator

from graph.errors import BadRequest
from graph.state import ChatMessage
from server.errors import as_bad_request

NOT_SAMPLING = frozenset({"messages", "model", "stream", "stream_options", "metadata"})
"""Fields that are this server's business; `metadata` is where a front-end names chat, kind and character."""
FINISH_REASONS = frozenset({"stop", "length", "tool_calls", "content_filter"})


class RequestMessage(BaseModel):
    """A message of a request, in OpenAI's shape; what else it holds goes through untouched."""

    model_config = ConfigDict(extra="allow")
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: Any = None  # checked below, with one message for all its shapes

    @field_validator("content")
    @classmethod
    def _is_text_or_parts(cls, value: object) -> object:
        parts = value if isinstance(value, list) else []
        if not isinstance(value, str | list | None) or not all(isinstance(part, dict) for part in parts):
            raise ValueError("must be a string or a list of parts")
        return value


class _StreamOptions(BaseModel):
    include_usage: bool | None = None


class _Body(BaseModel):
    """The fields this server reads itself; all others go through untouched."""

    model_config = ConfigDict(extra="allow")
    messages: list[RequestMessage] = Field(min_length=1)
    model: str | None = None
    stream: StrictBool | None = None
    stream_options: _StreamOptions | None = None
    n: int | None = Field(None, ge=1, le=8)
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A request that may be served; `body` is everything that came."""

    body: dict[str, Any]
    messages: list[ChatMessage]
    model: str
    stream: bool
    include_usage: bool
    sampling: dict[str, Any]
    """All other fields that were given, as they came."""


def parse(raw: bytes) -> ChatRequest:
    """Read a request's body; raises BadRequest naming the field."""
    body = _json(raw)
    try:
        checked = _Body.model_validate(body)
    except ValidationError as error:
        raise as_bad_request(error) from None
    options = checked.stream_options
    return ChatRequest(
        body=body,
        messages=body["messages"],
        model=checked.model or "",
        stream=bool(checked.stream),
        include_usage=bool(options and options.include_usage),
        sampling={k: v for k, v in body.items() if k not in NOT_SAMPLING and v is not None},
    )


def _json(raw: bytes) -> dict[str, Any]:
    try:
        body = json.loads(raw, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"The body is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise BadRequest("The body must be a JSON object.")
    return dict(without_surrogates(body)) if b"\\ud" in raw.lower() else body


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def without_surrogates(value: Any) -> Any:  # Any: JSON
    """Half a surrogate pair is legal in JSON but not in UTF-8; it becomes U+FFFD."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {without_surrogates(key): without_surrogates(item) for key, item in value.items()}
    return value


def finish(reason: str) -> str:
    """A finish reason in OpenAI's words."""
    return reason if reason in FINISH_REASONS else "stop"


@dataclass(frozen=True, slots=True)
class Envelope:
    """What all objects of one answer share."""

    id: str
    model: str
    created: int = field(default_factory=lambda: int(time.time()))

    def chunk(self, index: int, delta: Mapping[str, Any], reason: str | None = None) -> ChatCompletionChunk:
        """One step of a streamed choice; `delta` may carry `reasoning_content`, as DeepSeek's API does."""
        choice = {"index": index, "delta": dict(delta), "finish_reason": reason}
        return self._chunk([choice])

    def usage_chunk(self, usage: Mapping[str, int]) -> ChatCompletionChunk:
        """The last chunk of a stream whose request asked for usage: no choices."""
        return self._chunk([], usage=with_total(usage))

    def memories_chunk(self, memories: list[dict[str, Any]]) -> ChatCompletionChunk:
        """What is told of the memories: no choices either, so that clients pass over it (Any: JSON)."""
        return self._chunk([], memories=memories)

    def _chunk(self, choices: list[dict[str, Any]], **more: Any) -> ChatCompletionChunk:  # Any: JSON
        return ChatCompletionChunk.model_validate(
            {
                "id": self.id,
                "object": "chat.completion.chunk",
                "created": self.created,
                "model": self.model,
                "choices": choices,
                **more,
            }
        )

    def completion(
        self,
        choices: list[dict[str, Any]],
        usage: Mapping[str, int],
        memories: list[dict[str, Any]] | None = None,
    ) -> ChatCompletion:
        """A whole answer; each choice has index, message and finish_reason. `memories` where they are told."""
        told = {} if memories is None else {"memories": memories}
        return ChatCompletion.model_validate(
            {
                "id": self.id,
                "object": "chat.completion",
                "created": self.created,
                "model": self.model,
                "choices": choices,
                "usage": with_total(usage),
                **told,
            }
        )


def with_total(usage: Mapping[str, int]) -> dict[str, int]:
    """OpenAI's usage object; what the provider did not report is 0."""
    prompt, completion = usage.get("prompt_tokens", 0), usage.get("completion_tokens", 0)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
