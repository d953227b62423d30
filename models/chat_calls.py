"""Calls to a provider: how many at once, when to try again, and how to let go of one."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any, Protocol

from graph.errors import ProviderBusy, ProviderError, ProviderTimeout, ProviderUnavailable
from graph.settings import Settings
from models.chat import Delta, Deltas

DEFAULT_CONTEXT_TOKENS = 16384

# seconds
LONGEST_WAIT = 30.0
"""A provider that asks for more is not waited for."""
LISTING_KEPT = 300.0
FAILED_LISTING_KEPT = 30.0
CANCELLED_AGAIN = 0.02

RETRIED = (ProviderBusy, ProviderUnavailable, ProviderTimeout)

logger = logging.getLogger(__name__)


class Upstream(Protocol):
    """One provider, one try at a time."""

    name: str
    provider: str

    def attempt(
        self, messages: Sequence[dict[str, Any]], model: str, sampling: dict[str, Any]
    ) -> AsyncGenerator[Delta, None]:
        """One call; yields only deltas that carry something, raises ProviderError and below."""
        ...

    async def offered(self) -> list[str]:
        """The models' names; raises ProviderError."""
        ...

    async def window(self) -> int | None:
        """Context window of `name` in tokens, where it can be known; raises ProviderError."""
        ...

    async def close(self) -> None: ...


async def context_tokens(settings: Settings, upstream: Upstream) -> int:
    """CONTEXT_TOKENS, else what the provider or the model's profile says, else 16384."""
    if settings.context_tokens:
        return settings.context_tokens
    try:
        known = await upstream.window()
    except ProviderError as error:
        logger.warning("The context window of %s is not known yet: %s", upstream.name, error)
        known = None
    if known is None:
        logger.info("Taking %s tokens as the context window; set CONTEXT_TOKENS", DEFAULT_CONTEXT_TOKENS)
    return known or DEFAULT_CONTEXT_TOKENS


class LiveChat:
    """A ChatModel over an Upstream."""

    def __init__(
        self,
        upstream: Upstream,
        *,
        context_tokens: int,
        at_once: int,
        retries: int,
        base_delay: float,
    ) -> None:
        self.name = upstream.name
        self.provider = upstream.provider
        self.context_tokens = context_tokens
        self._upstream = upstream
        self._places = asyncio.Semaphore(at_once)
        self._retries = retries
        self._base_delay = base_delay
        self._offered: list[str] = []
        self._listed_until = 0.0
        self._listing = asyncio.Lock()

    async def models(self) -> list[str]:
        """The default and what else the provider offers; the last known list when it does not answer."""
        async with self._listing:
            if time.monotonic() >= self._listed_until:
                await self._list_models()
        return [self.name, *(name for name in self._offered if name != self.name)]

    async def _list_models(self) -> None:
        kept = LISTING_KEPT
        try:
            self._offered = await self._upstream.offered()
        except ProviderError as error:
            logger.warning("The models of %s could not be listed: %s", self.provider, error)
            kept = FAILED_LISTING_KEPT
        self._listed_until = time.monotonic() + kept

    def stream(
        self, messages: Sequence[dict[str, Any]], *, model: str = "", sampling: dict[str, Any] | None = None
    ) -> Deltas:
        """See ChatModel. The call begins with the first step that is asked for."""
        return _ClosableDeltas(self._tries(messages, model, sampling or {}))

    async def _tries(
        self, messages: Sequence[dict[str, Any]], model: str, sampling: dict[str, Any]
    ) -> AsyncGenerator[Delta, None]:
        async with self._places:
            chosen = await self.choose(model)
            failures = 0
            while True:
                started = False
                try:
                    async for delta in self._upstream.attempt(messages, chosen, sampling):
                        started = True
                        yield delta
                    return
                except RETRIED as error:
                    delay = self._delay(error, failures)
                    if started or delay is None:
                        raise
                    logger.warning("%s Trying again in %.1f s.", error, delay)
                failures += 1
                await asyncio.sleep(delay)

    async def choose(self, model: str) -> str:
        """The model that answers when this one is asked for: itself where it is offered, else the default."""
        wanted = model.removeprefix("models/")
        if wanted in ("", self.name):
            return self.name
        offered = self._offered or await self.models()
        return wanted if wanted in offered else self.name

    def _delay(self, error: ProviderError, failures: int) -> float | None:
        """Seconds to wait after this many earlier failures of the call; None: give up."""
        asked = error.retry_after if isinstance(error, ProviderBusy) else None
        if failures >= self._retries or (asked or 0.0) > LONGEST_WAIT:
            return None
        backoff: float = self._base_delay * 2**failures
        return max(asked or 0.0, backoff * random.uniform(1.0, 1.1))

    async def close(self) -> None:
        await self._upstream.close()


class _ClosableDeltas:
    """Deltas read by a task of their own, so that `aclose` cancels whatever the call is waiting for.

    Cancelling reaches the innermost read and closes the connection there and then; closing a suspended
    chain of async generators would leave that to the garbage collector. A cancelled `anext` ends the call
    too, as it does with a generator.
    """

    def __init__(self, source: AsyncGenerator[Delta, None]) -> None:
        self._source = source
        self._arrived: asyncio.Queue[Delta | Exception | None] = asyncio.Queue()
        self._reader: asyncio.Task[None] | None = None
        self._ended = False

    def __aiter__(self) -> AsyncIterator[Delta]:
        return self

    async def __anext__(self) -> Delta:
        if self._ended:
            raise StopAsyncIteration
        if self._reader is None:
            self._reader = asyncio.create_task(self._read())
        try:
            item = await self._arrived.get()
        except asyncio.CancelledError:
            self._ended = True
            self._reader.cancel()
            raise
        if isinstance(item, Delta):
            return item
        self._ended = True
        if item is None:
            raise StopAsyncIteration
        raise item

    async def _read(self) -> None:
        try:
            async for delta in self._source:
                self._arrived.put_nowait(delta)
            self._arrived.put_nowait(None)
        except Exception as error:  # handed to whoever reads the answer
            self._arrived.put_nowait(error)

    async def aclose(self) -> None:
        """End the call; returns when the connection is closed. A waiting `anext` finds the answer's end."""
        self._ended = True
        if self._reader is None:
            await self._source.aclose()
            return
        while not self._reader.done():  # a library may lose a cancellation: Python 3.11's wait_for does
            self._reader.cancel()
            await asyncio.wait([self._reader], timeout=CANCELLED_AGAIN)
        self._arrived.put_nowait(None)
