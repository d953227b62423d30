"""Gemini, through langchain-google-genai."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from typing import Any

import httpx
from google.genai import Client
from google.genai.types import HttpOptions
from langchain_core.messages import AIMessageChunk
from langchain_google_genai import ChatGoogleGenerativeAI
from pydantic import SecretStr

from graph.errors import Blocked, ProviderRefused, ProviderUnavailable, SettingsError
from graph.settings import Settings
from models.chat import Delta
from models.chat_calls import LiveChat, context_tokens
from models.chat_errors import Origin, provider_failures
from models.chat_gemini_fields import gemini_field, with_gemini_parts
from models.chat_langchain import ChunkReader, Ending, IgnoredFields, to_langchain
from models.chat_turns import Message, alternate

ADDRESS = "https://generativelanguage.googleapis.com"
BROKEN_ANSWERS = ("MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "OTHER", "MALFORMED_RESPONSE")
WHOLE_ANSWERS = ("STOP", "MAX_TOKENS", "FINISH_REASON_UNSPECIFIED")
"""Finish reasons; every one that is neither broken nor whole is a content filter's."""
CONTINUE = "[Continue your last message without repeating its original content.]"
LISTING_TIMEOUT = 5.0
CONNECT_TIMEOUT = 10.0


async def open_gemini(settings: Settings, name: str, *, base_delay: float) -> LiveChat:
    """Gemini under its own key; raises SettingsError without one."""
    if settings.gemini_api_key is None:
        raise SettingsError(f"LLM={settings.llm} needs GEMINI_API_KEY.")
    upstream = GeminiUpstream(
        name,
        base_url=settings.gemini_base_url,
        key=settings.gemini_api_key.get_secret_value(),
        idle_timeout=settings.provider_idle_timeout,
    )
    return LiveChat(
        upstream,
        context_tokens=await context_tokens(settings, upstream),
        at_once=settings.max_concurrent_calls,
        retries=settings.provider_retries,
        base_delay=base_delay,
    )


class GeminiUpstream:
    """An Upstream over ChatGoogleGenerativeAI."""

    provider = "gemini"

    def __init__(self, name: str, *, base_url: str | None, key: str, idle_timeout: float) -> None:
        self.name = name.removeprefix("models/")
        self._origin = Origin("Gemini", base_url or ADDRESS, "GEMINI_API_KEY", key)
        self._http = _http_client(idle_timeout)
        self._model = ChatGoogleGenerativeAI(
            model=self.name,
            api_key=SecretStr(key),
            base_url=base_url,
            temperature=None,
            max_retries=1,
            vertexai=False,
        )
        self._client = Client(
            api_key=key,
            vertexai=False,
            http_options=HttpOptions(base_url=base_url, httpx_async_client=self._http),
        )
        self._model.client = self._client
        self._ignored = IgnoredFields("Gemini")
        self._without_prefill: set[str] = set()

    async def attempt(
        self, messages: Sequence[dict[str, Any]], model: str, sampling: dict[str, Any]
    ) -> AsyncGenerator[Delta, None]:
        """One call; a model that refuses to lengthen its own message is asked to, now and from then on."""
        turns = [with_gemini_parts(turn) for turn in alternate(messages)]
        if not turns:
            raise ProviderRefused("The prompt has no text.")
        fields = self._fields(sampling, model)
        try:
            async for delta in self._answer(turns, model, fields):
                yield delta
        except (ProviderRefused, ProviderUnavailable) as error:
            if turns[-1]["role"] != "assistant" or "prefill" not in str(error):
                raise
            self._without_prefill.add(model)
        else:
            return
        async for delta in self._answer(turns, model, fields):
            yield delta

    async def _answer(
        self, turns: list[Message], model: str, fields: dict[str, Any]
    ) -> AsyncGenerator[Delta, None]:
        if model in self._without_prefill and turns[-1]["role"] == "assistant":
            turns = [*turns, {"role": "user", "content": CONTINUE}]
        reader, ending, verdict, called = ChunkReader(), Ending(), _Verdict(), False
        chunks = self._named(model).astream(to_langchain(turns), **fields)
        with provider_failures(self._origin):
            async for chunk in chunks:
                verdict.hear(chunk)
                content = ending.hold(reader.read(chunk))
                called = called or bool(content.tool_calls)
                if content != Delta():
                    yield content
        verdict.speak()
        yield replace(ending.delta, finish_reason="tool_calls") if called else ending.delta

    def _named(self, model: str) -> ChatGoogleGenerativeAI:
        return self._model if model == self.name else self._model.model_copy(update={"model": model})

    def _fields(self, sampling: dict[str, Any], model: str) -> dict[str, Any]:
        """The request's fields in Gemini's words; what Gemini does not know is named once in the log."""
        fields: dict[str, Any] = {"automatic_function_calling": {"disable": True}}
        for name, value in sampling.items():
            translated = gemini_field(name, value, sampling, model)
            if translated is None:
                self._ignored.say(name)
            else:
                fields |= translated
        return fields

    async def offered(self) -> list[str]:
        return list(await self._listing())

    async def window(self) -> int | None:
        """From the model's profile, else from the listing of models."""
        profile = (self._model.profile or {}).get("max_input_tokens")
        return profile or (await self._listing()).get(self.name)

    async def _listing(self) -> dict[str, int | None]:
        with provider_failures(self._origin):
            async with asyncio.timeout(LISTING_TIMEOUT):
                pager = await self._client.aio.models.list(config={"page_size": 1000})
                return {
                    (model.name or "").removeprefix("models/"): model.input_token_limit
                    async for model in pager
                    if "generateContent" in (model.supported_actions or ["generateContent"])
                }

    async def close(self) -> None:
        await self._model.aclose()
        await self._client.aio.aclose()
        self._client.close()
        await self._http.aclose()


def _http_client(idle_timeout: float) -> httpx.AsyncClient:
    """A client that times out between bytes; google.genai's own timeout covers the whole answer."""

    async def between_bytes(request: httpx.Request) -> None:
        request.extensions["timeout"] = httpx.Timeout(idle_timeout, connect=CONNECT_TIMEOUT).as_dict()

    return httpx.AsyncClient(event_hooks={"request": [between_bytes]}, follow_redirects=True)


class _Verdict:
    """What Gemini said about prompt and answer beside the text: it raises nothing of itself."""

    def __init__(self) -> None:
        self._prompt_blocked = ""
        self._finish = ""

    def hear(self, chunk: AIMessageChunk) -> None:
        metadata = chunk.response_metadata
        reason = (metadata.get("prompt_feedback") or {}).get("block_reason")
        self._prompt_blocked = self._prompt_blocked or str(getattr(reason, "value", reason) or "")
        self._finish = self._finish or metadata.get("finish_reason") or ""

    def speak(self) -> None:
        """Raise what stood against the answer, once all of it was read."""
        if self._prompt_blocked:
            raise Blocked(f"Gemini blocked the prompt ({self._prompt_blocked}).", self._prompt_blocked)
        if not self._finish:
            raise ProviderUnavailable("Gemini broke off the answer.")
        if self._finish in BROKEN_ANSWERS:
            raise ProviderUnavailable(f"Gemini broke off the answer ({self._finish}).")
        if self._finish not in WHOLE_ANSWERS:
            raise Blocked(f"Gemini blocked its answer ({self._finish}).", self._finish)
