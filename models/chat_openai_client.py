"""ChatOpenAI without its own opinion of what is sent and received."""

from __future__ import annotations

from typing import Any

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk
from langchain_openai import ChatOpenAI

CARRIED = ("reasoning_content", "reasoning", "tool_calls", "refusal")
"""Fields of a delta, beside its content, that reach the user."""


class VerbatimChatOpenAI(ChatOpenAI):
    """ChatOpenAI that sends messages as they came and keeps what a delta holds beside its text."""

    def _get_request_payload(
        self, input_: LanguageModelInput, *, stop: list[str] | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        messages = self._convert_input(input_).to_messages()
        sent = [message.additional_kwargs["as_sent"] for message in messages]
        # what stands in `extra_body` the client library neither changes nor takes 15 ms to look through
        body = {**kwargs.pop("extra_body"), "messages": sent}
        return {**self._default_params, **kwargs, "messages": [], "extra_body": body}

    def _convert_chunk_to_generation_chunk(
        self,
        chunk: dict[str, Any],
        default_chunk_class: type,
        base_generation_info: dict[str, Any] | None,
    ) -> ChatGenerationChunk | None:
        converted = super()._convert_chunk_to_generation_chunk(chunk, AIMessageChunk, base_generation_info)
        delta = (chunk["choices"][0]["delta"] if chunk.get("choices") else None) or {}
        carried = {field: _without_none(delta[field]) for field in CARRIED if delta.get(field)}
        if converted and carried:
            converted.message.additional_kwargs["as_received"] = [carried]
        return converted


def _without_none(value: Any) -> Any:  # Any: JSON
    """The client library fills absent fields with None; this takes them out again."""
    if isinstance(value, list):
        return [_without_none(one) for one in value]
    if isinstance(value, dict):
        return {name: _without_none(one) for name, one in value.items() if one is not None}
    return value
