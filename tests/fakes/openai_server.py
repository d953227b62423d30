"""A fake of OpenAI's chat completions; `python -m tests.fakes.openai_server [PORT]` runs it by itself."""

from __future__ import annotations

import sys
from typing import Any

from tests.fakes.wire import (
    Call,
    Count,
    Event,
    FakeProvider,
    Finish,
    Raw,
    Request,
    Say,
    Step,
    Think,
    event,
    serve,
)


class FakeOpenAI(FakeProvider):
    """See `tests.fakes.wire` for how it is scripted."""

    def __init__(self, port: int = 0) -> None:
        super().__init__(port)
        self.models: list[dict[str, Any]] = [{"id": "stub-model"}]
        """The entries of /models."""
        self.props: dict[str, Any] | None = None
        """What /props answers, as llama.cpp does; None: 404."""
        self.reasoning_field = "reasoning_content"

    @property
    def url(self) -> str:
        return f"{self.origin}/v1"

    def is_call(self, request: Request) -> bool:
        return request.path == "/v1/chat/completions"

    def page(self, request: Request) -> Any:
        if request.path == "/v1/models":
            entries = [
                {"object": "model", "created": 0, "owned_by": "stub", **entry} for entry in self.models
            ]
            return {"object": "list", "data": entries}
        return self.props if request.path == "/props" else None

    def render(self, step: Step, request: Request) -> bytes:
        match step:
            case Say(text):
                return self._delta(request, {"role": "assistant", "content": text})
            case Think(text):
                return self._delta(request, {self.reasoning_field: text})
            case Call():
                return self._delta(request, {"tool_calls": [_fragment(step)]})
            case Finish(reason):
                return self._delta(request, {}, reason)
            case Count(prompt, completion):
                return self._usage(request, prompt, completion)
            case Event(data):
                return event(data)
            case Raw(data):
                return data
            case _:
                raise TypeError(f"no such step on this wire: {step}")

    def ending(self, request: Request) -> bytes:
        return b"data: [DONE]\n\n"

    def _chunk(self, request: Request) -> dict[str, Any]:
        return {
            "id": f"chatcmpl-{len(self.calls)}",
            "object": "chat.completion.chunk",
            "created": 0,
            "model": request.body["model"],
        }

    def _delta(self, request: Request, delta: dict[str, Any], reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return event(self._chunk(request) | {"choices": [choice]})

    def _usage(self, request: Request, prompt: int, completion: int) -> bytes:
        if not (request.body.get("stream_options") or {}).get("include_usage"):
            return b""
        usage = {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
        }
        return event(self._chunk(request) | {"choices": [], "usage": usage})


def _fragment(call: Call) -> dict[str, Any]:
    function = {"name": call.name} if call.name else {}
    begun = {"id": call.id, "type": "function"} if call.id else {}
    return {"index": call.index, **begun, "function": {**function, "arguments": call.arguments}}


if __name__ == "__main__":
    serve(FakeOpenAI(int(sys.argv[1]) if len(sys.argv) > 1 else 0))
