"""A fake of Gemini's REST interface; `python -m tests.fakes.gemini_server [PORT]` runs it by itself."""

from __future__ import annotations

import json
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

FINISH_REASONS = {"stop": "STOP", "length": "MAX_TOKENS", "content_filter": "SAFETY"}


class FakeGemini(FakeProvider):
    """See `tests.fakes.wire` for how it is scripted."""

    def __init__(self, port: int = 0) -> None:
        super().__init__(port)
        self.models: list[dict[str, Any]] = [{"name": "models/gemini-2.5-flash", "inputTokenLimit": 1048576}]
        """The entries of /models."""

    def is_call(self, request: Request) -> bool:
        return ":streamGenerateContent" in request.path

    def page(self, request: Request) -> Any:
        if request.path.partition("?")[0] != "/v1beta/models":
            return None
        return {"models": [{"supportedGenerationMethods": ["generateContent"], **one} for one in self.models]}

    def render(self, step: Step, request: Request) -> bytes:
        match step:
            case Say(text):
                return _candidate([{"text": text}])
            case Think(text):
                return _candidate([{"text": text, "thought": True}])
            case Call(arguments, _, identity, name):
                call = {"name": name, "args": json.loads(arguments)} | ({"id": identity} if identity else {})
                return _candidate([{"functionCall": call}])
            case Finish(reason):
                return _candidate([], finishReason=FINISH_REASONS.get(reason, reason))
            case Count(prompt, completion):
                return _candidate([], usage=(prompt, completion))
            case Event(data):
                return event(data)
            case Raw(data):
                return data
            case _:
                raise TypeError(f"no such step on this wire: {step}")


def blocked_prompt(reason: str = "SAFETY") -> list[Step]:
    """What Gemini answers to a prompt it will not take."""
    return [Event({"promptFeedback": {"blockReason": reason}, "modelVersion": "stub"})]


def _candidate(parts: list[dict[str, Any]], usage: tuple[int, int] | None = None, **fields: Any) -> bytes:
    content = {"role": "model", "parts": parts}
    body: dict[str, Any] = {
        "candidates": [{"index": 0, "content": content, **fields}],
        "modelVersion": "stub",
    }
    if usage:
        body["usageMetadata"] = {
            "promptTokenCount": usage[0],
            "candidatesTokenCount": usage[1],
            "totalTokenCount": sum(usage),
        }
    return event(body)


if __name__ == "__main__":
    serve(FakeGemini(int(sys.argv[1]) if len(sys.argv) > 1 else 0))
