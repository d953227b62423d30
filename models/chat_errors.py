"""What the client libraries raise, told apart by status and text, in the words of `graph.errors`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from time import time
from typing import Any
from urllib.parse import urlsplit

import httpx
from langchain_core.exceptions import (
    ContextOverflowError,
    ModelAPIError,
    ModelAuthenticationError,
    ModelConnectionError,
    ModelInvalidRequestError,
    ModelNotFoundError,
    ModelPermissionDeniedError,
    ModelRateLimitError,
    ModelTimeoutError,
)

from graph.errors import (
    Blocked,
    ContextOverflow,
    ProviderBusy,
    ProviderDenied,
    ProviderError,
    ProviderRefused,
    ProviderTimeout,
    ProviderUnavailable,
)

MESSAGE_LIMIT = 600
UNREADABLE = (ValueError, TypeError, LookupError, AttributeError)
"""What the client libraries raise over chunks of a wrong shape, besides errors of their own."""
KEY_LIKE = re.compile(r"\b(sk-|AIza|key-)[\w-]{8,}")
OVERFLOW = re.compile(
    r"context_length_exceeded|exceed_context_size|context[ _]length|context[ _]window|context size"
    r"|maximum number of tokens allowed|prompt is too long|exceeds? the (model's )?token limit"
    r"|reduce the length of the (messages|prompt|input)|too large for model",
    re.IGNORECASE,
)
FILTERED = re.compile(
    r"content_filter|content_policy|content management policy|requires moderation", re.IGNORECASE
)
BAD_GEMINI_KEY = re.compile(r"API key (not valid|expired)", re.IGNORECASE)
STATUS_OF_TYPE: tuple[tuple[type[Exception], int], ...] = (
    (ModelAuthenticationError, 401),
    (ModelPermissionDeniedError, 403),
    (ModelNotFoundError, 404),
    (ModelInvalidRequestError, 400),
    (ModelRateLimitError, 429),
)


@dataclass(frozen=True)
class Origin:
    """Who a provider is, for the words of its errors."""

    name: str
    address: str
    key_variable: str = "its key"
    secret: str = ""

    @property
    def place(self) -> str:
        """Host and port, without whatever else the address carries."""
        return urlsplit(self.address).netloc.rpartition("@")[2] or self.address

    def scrub(self, text: str) -> str:
        """`text` without keys, not longer than a user reads."""
        for secret in filter(None, (self.secret, urlsplit(self.address).password)):
            text = text.replace(secret, "***")
        return KEY_LIKE.sub("***", text)[:MESSAGE_LIMIT]


@dataclass(frozen=True)
class _Answer:
    """An error a provider sent; `status` None: inside a stream that had begun well."""

    status: int | None
    message: str
    body: Any  # whatever JSON, or text, the provider sent
    headers: Mapping[str, str]

    @property
    def words(self) -> str:
        """The message and the labels beside it; not the rest of the body, which may repeat the prompt."""
        inner = _inner(self.body)
        labels = [str(inner.get(label, "")) for label in ("code", "type", "status")]
        return " ".join([self.message, *labels])


@contextmanager
def provider_failures(origin: Origin) -> Iterator[None]:
    """Raise what a client library raises inside as ProviderError; what is no failure of a provider passes."""
    try:
        yield
    except ProviderError:
        raise
    except Exception as error:
        translated = provider_error(error, origin)
        if translated is None:
            raise
        raise translated from error


def provider_error(error: Exception, origin: Origin) -> ProviderError | None:
    """The ProviderError that `error` means; None when it does not come from a provider."""
    chain = _chain(error)
    if any(isinstance(link, (httpx.TimeoutException, ModelTimeoutError, TimeoutError)) for link in chain):
        return ProviderTimeout(f"{origin.name} at {origin.place} sent nothing for too long.")
    answers = [found for link in chain if (found := _answer(link))]
    if answers:
        return _from_answer(max(answers, key=lambda one: one.body is not None), origin)
    if isinstance(error, ContextOverflowError):
        return ContextOverflow(f"{origin.name}: {origin.scrub(str(error))}")
    return _from_connection(chain, origin)


def _chain(error: BaseException) -> list[BaseException]:
    links = [error]
    while (cause := links[-1].__cause__ or links[-1].__context__) and cause not in links:
        links.append(cause)
    return links


def _answer(error: BaseException) -> _Answer | None:
    """What the provider said, from the shapes of openai, anthropic, google.genai, ollama and LangChain."""
    body = getattr(error, "body", None) or getattr(error, "details", None)
    said = getattr(error, "status_code", None) or getattr(error, "code", None)
    status = int(said) if isinstance(said, int) or (isinstance(said, str) and said.isdigit()) else None
    if status is None:
        status = next((code for kind, code in STATUS_OF_TYPE if isinstance(error, kind)), None)
    if status is None and body is None:
        return None
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    return _Answer(status, _message(body) or str(error), body, headers)


def _inner(body: Any) -> dict[str, Any]:  # Any: whatever JSON the provider sent
    """The part of an error's body that holds message, code, type and status."""
    while isinstance(body, list) and body:
        body = body[0]
    if isinstance(body, dict):
        inner = body.get("error", body)
        return inner if isinstance(inner, dict) else {"message": inner}
    return {"message": body}


def _message(body: Any) -> str:  # Any: whatever JSON the provider sent
    inner = _inner(body)
    said = inner.get("message") or inner.get("detail")
    if isinstance(said, list):
        said = "; ".join(str(one.get("msg", "")) for one in said if isinstance(one, dict))
    return said if isinstance(said, str) else ""


def _from_answer(answer: _Answer, origin: Origin) -> ProviderError:
    status, words = answer.status, answer.words
    said = f"{origin.name}: {origin.scrub(answer.message)}"
    if status in (400, 403, None) and FILTERED.search(words):
        return Blocked(f"{origin.name} blocked the prompt: {origin.scrub(answer.message)}", "content_filter")
    if status in (400, 413, 422, None) and OVERFLOW.search(words):
        return ContextOverflow(said)
    if status in (401, 402, 403) or BAD_GEMINI_KEY.search(words):
        return ProviderDenied(f"{said} ({status}). Check {origin.key_variable}.")
    if status == 429 or (status is None and "rate_limit" in words):
        return ProviderBusy(said, _retry_after(answer))
    if status is None or status >= 500 or status == 408:
        return ProviderUnavailable(f"{said} ({status or 'in mid-stream'})")
    return ProviderRefused(said)


def _retry_after(answer: _Answer) -> float | None:
    """Seconds from `retry-after-ms`, `retry-after` (seconds or a date) or Google's RetryInfo."""
    if milliseconds := answer.headers.get("retry-after-ms"):
        return _number(milliseconds, 0.001)
    if after := answer.headers.get("retry-after"):
        try:
            return float(after)
        except ValueError:
            return _until(after)
    info = re.search(r'"retryDelay": "([\d.]+)s"', json.dumps(answer.body, default=str))
    return float(info[1]) if info else None


def _number(text: str, unit: float) -> float | None:
    try:
        return float(text) * unit
    except ValueError:
        return None


def _until(date: str) -> float | None:
    try:
        return max(0.0, parsedate_to_datetime(date).timestamp() - time())
    except ValueError:
        return None


def _from_connection(chain: list[BaseException], origin: Origin) -> ProviderUnavailable | None:
    reason = origin.scrub(str(chain[-1]) or type(chain[-1]).__name__)
    if any(isinstance(link, (httpx.ConnectError, ConnectionRefusedError)) for link in chain):
        return ProviderUnavailable(f"{origin.name} cannot be reached at {origin.place}: {reason}.")
    broken = (httpx.TransportError, httpx.StreamError, ModelConnectionError, ModelAPIError, OSError)
    if any(isinstance(link, broken) for link in chain):
        return ProviderUnavailable(f"{origin.name} at {origin.place} broke off: {reason}.")
    if any(isinstance(link, UNREADABLE) for link in chain):
        return ProviderUnavailable(f"{origin.name} at {origin.place} sent what cannot be read: {reason}.")
    return None
