"""Whatever speaks OpenAI's protocol: OpenAI, OpenRouter, llama.cpp, KoboldCpp, the embedded model."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import httpx
from langchain_core.messages import AIMessageChunk, ChatMessage
from pydantic import SecretStr

from graph.errors import Blocked, ProviderRefused, ProviderUnavailable, SettingsError
from graph.settings import Settings
from models.chat import Delta, Usage
from models.chat_calls import LiveChat, context_tokens
from models.chat_errors import Origin, provider_failures
from models.chat_langchain import FINISH_REASONS, Ending
from models.chat_openai_client import VerbatimChatOpenAI
from models.chat_turns import text_of

OFFICIAL = "https://api.openai.com/v1"
NAMES = {OFFICIAL: "OpenAI", "embedded": "The embedded model"}
OWN_FIELDS = ("model", "messages", "stream", "stream_options", "n")
"""What a call sets itself; the rest of a request goes through as it came."""
WINDOW_FIELDS = ("context_length", "max_model_len", "max_context_length", "n_ctx")
CONNECT_TIMEOUT = 10.0
LISTING_TIMEOUT = 5.0

logger = logging.getLogger(__name__)


async def open_openai(settings: Settings, name: str, *, base_delay: float) -> LiveChat:
    """LLM=openai:NAME; raises SettingsError when neither a key nor another address is set."""
    key = settings.openai_api_key
    if key is None and settings.openai_base_url is None:
        raise SettingsError("LLM=openai:... needs OPENAI_API_KEY, or OPENAI_BASE_URL of a local server.")
    upstream = OpenAIUpstream(
        name,
        base_url=settings.openai_base_url or OFFICIAL,
        key=key.get_secret_value() if key else "",
        idle_timeout=settings.provider_idle_timeout,
    )
    return LiveChat(
        upstream,
        context_tokens=await context_tokens(settings, upstream),
        at_once=settings.max_concurrent_calls,
        retries=settings.provider_retries,
        base_delay=base_delay,
    )


class OpenAIUpstream:
    """An Upstream over ChatOpenAI."""

    def __init__(
        self,
        name: str,
        *,
        base_url: str,
        key: str,
        idle_timeout: float,
        provider: str = "openai",
        key_variable: str = "OPENAI_API_KEY",
        trust_env: bool = True,
    ) -> None:
        self.name = name
        self.provider = provider
        timeout = httpx.Timeout(idle_timeout, connect=CONNECT_TIMEOUT, pool=None)
        self.http = httpx.AsyncClient(timeout=timeout, trust_env=trust_env, follow_redirects=True)
        self._origin = Origin(
            NAMES.get(base_url if base_url == OFFICIAL else provider, "The model server"),
            base_url,
            key_variable,
            key,
        )
        self._model = VerbatimChatOpenAI(
            model=name,
            base_url=base_url,
            api_key=SecretStr(key or "none"),
            http_async_client=self.http,
            timeout=timeout,
            max_retries=0,
            use_responses_api=False,
            stream_chunk_timeout=None,
        )
        self._stream_usage = True

    async def attempt(
        self, messages: Sequence[dict[str, Any]], model: str, sampling: dict[str, Any]
    ) -> AsyncGenerator[Delta, None]:
        """One call; a server that refuses `stream_options` is asked again without, now and from then on."""
        body = self._body(sampling)
        try:
            async for delta in self._answer(messages, model, body):
                yield delta
        except ProviderRefused as error:
            if not self._stream_usage or "stream_options" not in str(error):
                raise
            logger.info("%s refuses stream_options; going on without usage", self._origin.name)
            self._stream_usage = False
        else:
            return
        async for delta in self._answer(messages, model, body):
            yield delta

    def _body(self, sampling: dict[str, Any]) -> dict[str, Any]:
        body = {field: value for field, value in sampling.items() if field not in OWN_FIELDS}
        official = self._origin.place == urlsplit(OFFICIAL).netloc
        if official and "max_tokens" in body:  # deprecated there, refused by the newer models
            limit = body.pop("max_tokens")
            body.setdefault("max_completion_tokens", limit)
        return body

    async def _answer(
        self, messages: Sequence[dict[str, Any]], model: str, body: dict[str, Any]
    ) -> AsyncGenerator[Delta, None]:
        sent = [
            ChatMessage(
                role=message["role"],
                content=text_of(message.get("content")),
                additional_kwargs={"as_sent": message},
            )
            for message in messages
        ]
        chunks = self._model.astream(sent, model=model, stream_usage=self._stream_usage, extra_body=body)
        ending, answered = Ending(), False
        with provider_failures(self._origin):
            async for chunk in chunks:
                content = ending.hold(self._delta(chunk))
                if content != Delta():
                    answered = True
                    yield content
        yield self._checked(ending.delta, answered)

    def _checked(self, ending: Delta, answered: bool) -> Delta:
        """The answer's last delta; raises when the answer ended badly."""
        name, reason = self._origin.name, ending.finish_reason
        if reason == "content_filter":
            raise Blocked(f"{name} stopped the answer with its content filter.", reason)
        if reason == "error":
            raise ProviderUnavailable(f"{name} broke off the answer with an error.")
        if not reason and not answered:
            raise ProviderUnavailable(f"{name} ended the stream without an answer.")
        if not reason:
            logger.warning("%s ended the stream without a finish reason", name)
        return replace(ending, finish_reason=reason or "stop")

    def _delta(self, chunk: AIMessageChunk) -> Delta:
        received: list[dict[str, Any]] = chunk.additional_kwargs.get("as_received") or [{}]
        carried = received[0]
        reason = chunk.response_metadata.get("finish_reason")
        usage = chunk.usage_metadata
        return Delta(
            text=str(chunk.text) + carried.get("refusal", ""),
            reasoning=carried.get("reasoning_content") or carried.get("reasoning") or "",
            tool_calls=carried.get("tool_calls") or (),
            finish_reason=FINISH_REASONS.get(reason, "stop") if reason else "",
            usage=Usage(usage["input_tokens"], usage["output_tokens"]) if usage else None,
            model=chunk.response_metadata.get("model_name") or "",
        )

    async def offered(self) -> list[str]:
        return [entry["id"] for entry in await self._listing()]

    async def window(self) -> int | None:
        """From the listing of models, else llama.cpp's /props, else the model's profile."""
        profile = (self._model.profile or {}).get("max_input_tokens")
        if self._origin.address == OFFICIAL and profile:
            return profile
        listing = await self._listing()
        entry = next((one for one in listing if one["id"] == self.name), None)
        if entry is None and len(listing) == 1:
            entry = listing[0]
        return _window(entry or {}) or await self._served_window() or profile

    async def _listing(self) -> list[dict[str, Any]]:
        with provider_failures(self._origin):
            page = await self._model.root_async_client.models.list(timeout=LISTING_TIMEOUT)
            return [entry.to_dict() for entry in page.data]

    async def _served_window(self) -> int | None:
        """llama.cpp's window; None when the server has no /props."""
        props = self._origin.address.rstrip("/").removesuffix("/v1") + "/props"
        with suppress(httpx.HTTPError, ValueError):
            served = (await self.http.get(props, timeout=LISTING_TIMEOUT)).json()
            if isinstance(served, dict):
                return _window(served.get("default_generation_settings") or {})
        return None

    async def close(self) -> None:
        await self.http.aclose()


def _window(entry: Mapping[str, Any]) -> int | None:
    """The context window in a listing's entry, or in llama.cpp's `meta` of it."""
    meta = entry.get("meta")
    places = (entry, meta) if isinstance(meta, dict) else (entry,)
    found = (place.get(field) for place in places for field in WINDOW_FIELDS)
    return next((value for value in found if isinstance(value, int) and value > 0), None)
