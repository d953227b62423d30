"""Between OpenAI's shapes and LangChain's neutral ones."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolCall,
    ToolMessage,
)

from models.chat import Delta, Usage
from models.chat_turns import Message

FINISH_REASONS = {
    "length": "length",
    "max_tokens": "length",
    "tool_calls": "tool_calls",
    "tool_use": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "refusal": "content_filter",
    "error": "error",
}
"""Providers' words for OpenAI's; any other means stop."""

logger = logging.getLogger(__name__)


def to_langchain(turns: Sequence[Message]) -> list[BaseMessage]:
    """The messages of `alternate` as LangChain's."""
    return [_to_langchain(turn) for turn in turns]


def _to_langchain(turn: Message) -> BaseMessage:
    content = turn["content"]
    match turn["role"]:
        case "system":
            return SystemMessage(content)
        case "assistant":
            return AIMessage(content, tool_calls=[_tool_call(call) for call in turn.get("tool_calls") or ()])
        case "tool":
            return ToolMessage(content, tool_call_id=str(turn["tool_call_id"]))
        case _:
            return HumanMessage(content)


def _tool_call(call: dict[str, Any]) -> ToolCall:
    function = call.get("function") or {}
    written = function.get("arguments") or "{}"
    try:
        arguments = json.loads(written)
    except ValueError:
        arguments = written
    if not isinstance(arguments, dict):
        arguments = {"arguments": arguments}
    name, identity = function.get("name", ""), str(call.get("id", ""))
    return ToolCall(name=name, args=arguments, id=identity, type="tool_call")


class ChunkReader:
    """Turns the chunks of one answer into deltas: numbers the tool calls, adds up the usage."""

    def __init__(self) -> None:
        self._calls: list[object] = []
        self._prompt_tokens = 0
        self._completion_tokens = 0

    def read(self, chunk: AIMessageChunk) -> Delta:
        """What `chunk` carries; LangChain's usage is per chunk, a Delta's is the sum so far."""
        text, reasoning = "", ""
        for block in chunk.content_blocks:
            if block["type"] == "text":
                text += block["text"]
            elif block["type"] == "reasoning":
                reasoning += block.get("reasoning", "")
        metadata = chunk.response_metadata
        reason = str(
            metadata.get("finish_reason") or metadata.get("stop_reason") or metadata.get("done_reason") or ""
        ).lower()
        return Delta(
            text=text,
            reasoning=reasoning,
            tool_calls=tuple(self._fragment(dict(call)) for call in chunk.tool_call_chunks),
            finish_reason=FINISH_REASONS.get(reason, "stop") if reason else "",
            usage=self._usage(chunk),
            model=str(metadata.get("model_name") or ""),
        )

    def _fragment(self, call: dict[str, Any]) -> dict[str, Any]:
        index = call.get("index")
        key = call.get("id") if index is None else index
        fragment: dict[str, Any] = {"index": self._number(key)}
        if call.get("id"):
            fragment |= {"id": call["id"], "type": "function"}
        function = {"name": call.get("name"), "arguments": call.get("args")}
        return fragment | {"function": {part: value for part, value in function.items() if value is not None}}

    def _number(self, key: object) -> int:
        """0 for the first call of the answer, 1 for the next; providers count otherwise."""
        if key not in self._calls:
            self._calls.append(key)
        return self._calls.index(key)

    def _usage(self, chunk: AIMessageChunk) -> Usage | None:
        if not chunk.usage_metadata:
            return None
        self._prompt_tokens += chunk.usage_metadata["input_tokens"]
        self._completion_tokens += chunk.usage_metadata["output_tokens"]
        return Usage(self._prompt_tokens, self._completion_tokens)


class Ending:
    """The end of an answer, held back until its content is out and nothing is found against it."""

    def __init__(self) -> None:
        self.delta = Delta()

    def hold(self, delta: Delta) -> Delta:
        """Keep finish reason, usage and model; returns the content."""
        self.delta = Delta(
            finish_reason=delta.finish_reason or self.delta.finish_reason,
            usage=delta.usage or self.delta.usage,
            model=delta.model or self.delta.model,
        )
        return replace(delta, finish_reason="", usage=None, model="")


class IgnoredFields:
    """Says once a name that a request's field is not passed on."""

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._named: set[str] = set()

    def say(self, name: str) -> None:
        if name not in self._named:
            self._named.add(name)
            logger.info("%s has no field %r; it is ignored", self._provider, name)
