"""Chat models. This module holds the words, the Protocol and the choice of provider."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the provider reported them."""

    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True)
class Delta:
    """One step of a streamed answer; what is empty did not come with this step."""

    text: str = ""
    reasoning: str = ""
    tool_calls: Sequence[dict[str, Any]] = field(default=())
    """In OpenAI's streaming shape: index, id, type, function{name, arguments}."""
    finish_reason: str = ""
    """stop, length, tool_calls or content_filter."""
    usage: Usage | None = None
    model: str = ""


class ChatModel(Protocol):
    """A language model behind one interface."""

    name: str
    """The default model's name."""
    provider: str
    """gemini, embedded, or init_chat_model's provider name."""
    context_tokens: int
    """The window of the default model, CONTEXT_TOKENS if set."""

    async def models(self) -> list[str]:
        """The names the provider offers, the default first; kept for a while."""
        ...

    def stream(
        self, messages: Sequence[dict[str, Any]], *, model: str = "", sampling: dict[str, Any] | None = None
    ) -> AsyncIterator[Delta]:
        """Stream one answer to OpenAI-shaped messages.

        `sampling` holds the request's other fields as they came (n and stream excluded). Waits for a free place
        among the calls at once; retries with exponential backoff before the first delta only. Closing the
        iterator (`aclose`) closes the connection to the provider. Raises the errors of `graph.errors`:
        ProviderError and below.
        """
        ...

    async def close(self) -> None: ...
