"""Chat models. This module holds the words, the Protocol and the choice of provider."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from graph.settings import Settings


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


class Deltas(Protocol):
    """The steps of one answer; `aclose` ends the call to the provider, whatever it is waiting for."""

    def __aiter__(self) -> AsyncIterator[Delta]: ...

    async def __anext__(self) -> Delta: ...

    async def aclose(self) -> None: ...


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

    async def choose(self, model: str) -> str:
        """The name of the model that answers when `model` is asked for."""
        ...

    def stream(
        self, messages: Sequence[dict[str, Any]], *, model: str = "", sampling: dict[str, Any] | None = None
    ) -> Deltas:
        """Stream one answer to OpenAI-shaped messages.

        `model` is used when the provider offers it, otherwise the default. `sampling` holds the request's
        other fields as they came (n and stream excluded). Waits for a free place among the calls at once;
        retries with exponential backoff before the first delta only. Closing the iterator (`aclose`) closes
        the connection to the provider. Finish reason, usage and model come with the last delta.

        Raises the errors of `graph.errors`: ProviderError and below. An answer that a content filter stops
        after text was streamed raises Blocked too, after that text.
        """
        ...

    async def close(self) -> None: ...


async def open_chat(settings: Settings, *, base_delay: float = 0.5) -> ChatModel:
    """The model that `settings` ask for: LLM, else Gemini when its key is set, else the embedded one.

    `base_delay` is the wait before the first retry, in seconds. Raises SettingsError when a key, a package or
    the embedded weights are missing. A provider that is down does not stop the start.
    """
    provider, _, name = (settings.llm or "").partition(":")
    if provider == "openai":
        from models.chat_openai import open_openai

        return await open_openai(settings, name, base_delay=base_delay)
    if provider in ("gemini", "google_genai") or (not provider and settings.gemini_api_key):
        from models.chat_gemini import open_gemini

        return await open_gemini(settings, name or settings.gemini_model, base_delay=base_delay)
    if provider:
        from models.chat_any import open_any

        return await open_any(settings, provider, name, base_delay=base_delay)
    from models.chat_embedded import open_embedded

    return await open_embedded(settings, base_delay=base_delay)
