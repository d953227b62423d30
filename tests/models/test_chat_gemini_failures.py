"""Gemini when it fails or refuses: what the user is told, and what is tried again."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

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
from models.chat import Delta
from tests.fakes.chats import HELLO, opened, read, text
from tests.fakes.gemini_server import FakeGemini, blocked_prompt
from tests.fakes.wire import Count, Cut, Event, Fail, Finish, Hang, Raw, Say, says

KEY = "AIzaAVerySecretKey-1234567890"


@pytest.fixture
async def fake() -> AsyncIterator[FakeGemini]:
    async with FakeGemini() as server:
        yield server


def ours(fake: FakeGemini, **more: Any) -> dict[str, Any]:
    return {"gemini_api_key": KEY, "gemini_base_url": fake.url, **more}


async def failure(fake: FakeGemini, *behaviours: Any, **settings: Any) -> ProviderError:
    """What a call raises that meets these behaviours."""
    fake.script(*behaviours)
    async with opened(**ours(fake, provider_retries=len(behaviours) - 1, **settings)) as chat:
        with pytest.raises(ProviderError) as raised:
            await read(chat)
    return raised.value


def google_error(status: int, message: str, label: str = "INVALID_ARGUMENT", **more: Any) -> Fail:
    return Fail(status, {"error": {"code": status, "message": message, "status": label, **more}})


async def test_a_blocked_prompt_is_blocked_with_its_reason(fake: FakeGemini) -> None:
    error = await failure(fake, blocked_prompt("PROHIBITED_CONTENT"))
    assert isinstance(error, Blocked)
    assert error.reason == "PROHIBITED_CONTENT"
    assert "prompt" in str(error)


@pytest.mark.parametrize("reason", ["SAFETY", "RECITATION", "PROHIBITED_CONTENT", "BLOCKLIST", "SPII"])
async def test_a_blocked_answer_is_blocked_with_or_without_text(fake: FakeGemini, reason: str) -> None:
    fake.script([Finish(reason), Count()], [Say("She "), Finish(reason), Count()])
    async with opened(**ours(fake)) as chat:
        with pytest.raises(Blocked) as raised:
            await read(chat)
        assert raised.value.reason == reason

        heard = []
        with pytest.raises(Blocked):
            async for delta in chat.stream(HELLO):
                heard.append(delta)
        assert heard == [Delta(text="She ")]


async def test_429_then_success_is_an_answer(fake: FakeGemini) -> None:
    fake.script(google_error(429, "quota", "RESOURCE_EXHAUSTED"), says("Hello"))
    async with opened(**ours(fake)) as chat:
        assert text(await read(chat)) == "Hello"
    assert len(fake.calls) == 2


async def test_a_used_up_quota_is_busy_and_says_when_to_come_back(fake: FakeGemini) -> None:
    info = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.5s"}]
    fake.script(google_error(429, "You exceeded your quota", "RESOURCE_EXHAUSTED", details=info))
    async with opened(**ours(fake)) as chat:
        with pytest.raises(ProviderBusy, match="You exceeded your quota") as raised:
            await read(chat)
    assert raised.value.retry_after == 34.5
    assert len(fake.calls) == 1


@pytest.mark.parametrize(
    "behaviour",
    [
        google_error(500, "internal", "INTERNAL"),
        Fail(503, "<html>"),
        [Cut()],
        [Raw(b"data: {not json\n\n")],
        [Finish("MALFORMED_FUNCTION_CALL")],
        [],
    ],
)
async def test_failures_before_the_first_token_are_tried_again(fake: FakeGemini, behaviour: Any) -> None:
    assert isinstance(await failure(fake, behaviour, behaviour), ProviderUnavailable)
    assert len(fake.calls) == 2
    fake.script(behaviour, says("Hello"))
    async with opened(**ours(fake)) as chat:
        assert text(await read(chat)) == "Hello"


@pytest.mark.parametrize(
    "end", [Cut(), Raw(b"data: {not json\n\n"), Event({"error": {"code": 503, "message": "overloaded"}})]
)
async def test_a_stream_that_breaks_after_its_first_token_is_not_repeated(fake: FakeGemini, end: Any) -> None:
    fake.script([Say("Once"), end])
    async with opened(**ours(fake)) as chat:
        heard = []
        with pytest.raises(ProviderUnavailable):
            async for delta in chat.stream(HELLO):
                heard.append(delta)
    assert heard == [Delta(text="Once")]
    assert len(fake.calls) == 1


@pytest.mark.parametrize(
    "behaviour",
    [
        google_error(400, f"API key not valid: {KEY}. Please pass a valid API key."),
        google_error(403, f"Consumer {KEY} has been suspended", "PERMISSION_DENIED"),
    ],
)
async def test_a_rejected_key_names_the_variable_and_never_the_key(fake: FakeGemini, behaviour: Fail) -> None:
    error = await failure(fake, behaviour)
    assert isinstance(error, ProviderDenied)
    assert "GEMINI_API_KEY" in str(error)
    assert KEY not in str(error)


async def test_a_refused_request_says_what_the_provider_said(fake: FakeGemini) -> None:
    error = await failure(fake, google_error(400, "Penalty is not enabled for this model"))
    assert isinstance(error, ProviderRefused)
    assert str(error) == "Gemini: Penalty is not enabled for this model"
    assert isinstance(await failure(fake, google_error(404, "no such model", "NOT_FOUND")), ProviderRefused)


async def test_a_prompt_over_the_window_is_an_overflow(fake: FakeGemini) -> None:
    said = "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."
    assert isinstance(await failure(fake, google_error(400, said)), ContextOverflow)


async def test_silence_is_a_timeout_before_the_first_token_and_after(fake: FakeGemini) -> None:
    fake.script([Hang()], [Say("Once"), Hang()])
    async with opened(**ours(fake, provider_idle_timeout=0.1, provider_retries=1)) as chat:
        with pytest.raises(ProviderTimeout):
            await read(chat)
    await asyncio.gather(*(call.left.wait() for call in fake.calls))


async def test_a_refused_connection_names_the_address() -> None:
    async with FakeGemini() as gone:
        address = gone.url
    async with opened(gemini_api_key=KEY, gemini_base_url=address, provider_retries=1) as chat:
        with pytest.raises(ProviderUnavailable, match=address.split("/")[2]):
            await read(chat)
        assert await chat.models() == ["gemini-2.5-flash"]
