"""Every other provider that init_chat_model knows, Anthropic and Ollama as extras of this package."""

from __future__ import annotations

import asyncio
import shlex
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from langchain.chat_models import init_chat_model
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.runnables import Runnable
from pydantic import SecretStr

from graph.errors import Blocked, ProviderRefused, SettingsError
from graph.settings import Settings
from models.chat import Delta
from models.chat_calls import LiveChat, context_tokens
from models.chat_errors import Origin, provider_failures
from models.chat_langchain import ChunkReader, Ending, IgnoredFields, to_langchain
from models.chat_turns import alternate

EXTRAS = {"anthropic": "langchain_anthropic", "ollama": "langchain_ollama"}
FIELD_NAMES = {
    "max_tokens": ("max_tokens", "max_output_tokens", "num_predict"),
    "max_completion_tokens": ("max_tokens", "max_output_tokens", "num_predict"),
    "repetition_penalty": ("repeat_penalty",),
}
"""The names providers' classes have for fields of OpenAI's; a field not named here keeps its name."""


async def open_any(settings: Settings, provider: str, name: str, *, base_delay: float) -> LiveChat:
    """LLM=PROVIDER:NAME; raises SettingsError when the package or the key is missing."""
    upstream = AnyUpstream(
        _model(provider, name), provider, name, idle_timeout=settings.provider_idle_timeout
    )
    return LiveChat(
        upstream,
        context_tokens=await context_tokens(settings, upstream),
        at_once=settings.max_concurrent_calls,
        retries=settings.provider_retries,
        base_delay=base_delay,
    )


def _model(provider: str, name: str) -> BaseChatModel:
    package = EXTRAS.get(provider)
    if package and find_spec(package) is None:
        raise SettingsError(f"LLM={provider}:{name} needs a package: {install_command(provider)}")
    try:
        model = init_chat_model(name, model_provider=provider)
        if "max_retries" in type(model).model_fields:  # retries are LiveChat's
            model = init_chat_model(name, model_provider=provider, max_retries=0)
    except ImportError as error:
        raise SettingsError(f"LLM={provider}:... needs a package. {error}") from error
    except Exception as error:  # providers' classes raise types of their own
        raise SettingsError(f"LLM={provider}:{name} cannot be used: {error}") from error
    keys = [variable for variable in model.lc_secrets.values() if variable.endswith("_API_KEY")]
    if keys and not any(_secret(getattr(model, attribute, None)) for attribute in model.lc_secrets):
        raise SettingsError(f"LLM={provider}:... needs {' or '.join(keys)} in the environment.")
    return model


def install_command(extra: str) -> str:
    """What installs one of our extras into the environment that runs."""
    root = Path(__file__).parents[1]
    return shlex.join([sys.executable, "-m", "pip", "install", "-e", f"{root}[{extra}]"])


def _secret(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value or "")


class AnyUpstream:
    """An Upstream over a chat model of LangChain's."""

    def __init__(self, model: BaseChatModel, provider: str, name: str, *, idle_timeout: float) -> None:
        self.name = name
        self.provider = provider
        self._model = model
        self._idle_timeout = idle_timeout
        secrets = model.lc_secrets
        self._origin = Origin(
            provider,
            str(getattr(model, "base_url", None) or provider),
            next(iter(secrets.values()), "its key"),
            next((_secret(getattr(model, attribute, None)) for attribute in secrets), ""),
        )
        self._ignored = IgnoredFields(provider)

    async def attempt(
        self, messages: Sequence[dict[str, Any]], model: str, sampling: dict[str, Any]
    ) -> AsyncGenerator[Delta, None]:
        """One call."""
        turns = alternate(messages, user_first=True)
        if not turns:
            raise ProviderRefused("The prompt has no text.")
        stop = [sampling["stop"]] if isinstance(sampling.get("stop"), str) else sampling.get("stop")
        reader, ending = ChunkReader(), Ending()
        chunks = self._prepared(sampling).astream(to_langchain(turns), stop=stop)
        with provider_failures(self._origin):
            async for chunk in _not_idle(chunks, self._idle_timeout):
                content = ending.hold(reader.read(chunk))
                if content != Delta():
                    yield content
        if ending.delta.finish_reason == "content_filter":
            raise Blocked(
                f"{self._origin.name} stopped the answer with its content filter.", "content_filter"
            )
        yield ending.delta

    def _prepared(self, sampling: dict[str, Any]) -> Runnable[LanguageModelInput, AIMessage]:
        """The model with the request's tools and the fields its class has; others are named in the log."""
        known = type(self._model).model_fields
        update = {}
        for name, value in sampling.items():
            field = next((one for one in FIELD_NAMES.get(name, (name,)) if one in known), None)
            if field and value is not None:
                update[field] = value
            elif name not in ("stop", "tools", "tool_choice"):
                self._ignored.say(name)
        model = self._model.model_copy(update=update)
        if not sampling.get("tools"):
            return model
        choice = sampling.get("tool_choice")
        if isinstance(choice, dict):
            choice = choice.get("function", {}).get("name")
        return model.bind_tools(sampling["tools"], tool_choice=choice)

    async def offered(self) -> list[str]:
        return [self.name]

    async def window(self) -> int | None:
        return (self._model.profile or {}).get("max_input_tokens")

    async def close(self) -> None:
        """LangChain's models share the clients of their packages; there is nothing of ours to close."""


async def _not_idle(chunks: AsyncIterator[AIMessage], seconds: float) -> AsyncGenerator[AIMessageChunk, None]:
    """The chunks; raises TimeoutError when one takes longer than `seconds`."""
    while True:
        try:
            async with asyncio.timeout(seconds):
                chunk = await anext(chunks)
        except StopAsyncIteration:
            return
        if isinstance(chunk, AIMessageChunk):
            yield chunk
