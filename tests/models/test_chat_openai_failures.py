"""LLM=openai when the server fails: what the user is told, and what is tried again."""

import asyncio
import logging
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
    SettingsError,
)
from models.chat import Delta
from tests.fakes.chats import HELLO, opened, read, text
from tests.fakes.openai_server import FakeOpenAI
from tests.fakes.wire import Count, Cut, Event, Fail, Finish, Hang, Raw, Say, says

KEY = "sk-a-very-secret-key-1234567890"


@pytest.fixture
async def fake() -> AsyncIterator[FakeOpenAI]:
    async with FakeOpenAI() as server:
        yield server


def ours(fake: FakeOpenAI, **more: Any) -> dict[str, Any]:
    return {"llm": "openai:stub-model", "openai_base_url": fake.url, **more}


async def failure(fake: FakeOpenAI, *behaviours: Any, **settings: Any) -> ProviderError:
    """What a call raises that meets these behaviours."""
    fake.script(*behaviours)
    async with opened(**ours(fake, provider_retries=len(behaviours) - 1, **settings)) as chat:
        with pytest.raises(ProviderError) as raised:
            await read(chat)
    return raised.value


async def test_429_then_success_is_an_answer(fake: FakeOpenAI) -> None:
    fake.script(Fail(429, {"error": {"message": "slow down"}}, {"retry-after": "0"}), says("Hello"))
    async with opened(**ours(fake)) as chat:
        assert text(await read(chat)) == "Hello"
    assert len(fake.calls) == 2


@pytest.mark.parametrize("behaviour", [Fail(500, "oops"), Fail(503), [Cut()], [Raw(b"data: {not json\n\n")]])
async def test_failures_before_the_first_token_are_tried_again(fake: FakeOpenAI, behaviour: Any) -> None:
    fake.script(behaviour, behaviour, says("Hello"))
    async with opened(**ours(fake)) as chat:
        assert text(await read(chat)) == "Hello"


async def test_429_to_the_end_is_busy_and_says_when_to_come_back(fake: FakeOpenAI) -> None:
    limit = Fail(429, {"error": {"message": "slow down"}}, {"retry-after": "0.01"})
    error = await failure(fake, limit, limit)
    assert isinstance(error, ProviderBusy)
    assert error.retry_after == 0.01
    assert "slow down" in str(error)


async def test_a_provider_that_asks_for_a_long_wait_is_not_waited_for(fake: FakeOpenAI) -> None:
    fake.script(Fail(429, {"error": {"message": "tomorrow"}}, {"retry-after": "3600"}))
    async with opened(**ours(fake)) as chat:
        with pytest.raises(ProviderBusy):
            await read(chat)
    assert len(fake.calls) == 1


async def test_500_to_the_end_is_unavailable(fake: FakeOpenAI) -> None:
    error = await failure(fake, Fail(500, {"error": {"message": "boiler out"}}), Fail(502, "<html>"))
    assert isinstance(error, ProviderUnavailable)


@pytest.mark.parametrize("status", [401, 402, 403])
async def test_a_rejected_key_names_the_variable_and_never_the_key(fake: FakeOpenAI, status: int) -> None:
    body = {"error": {"message": f"Incorrect API key provided: {KEY}", "code": "invalid_api_key"}}
    error = await failure(fake, Fail(status, body), openai_api_key=KEY)
    assert isinstance(error, ProviderDenied)
    assert "OPENAI_API_KEY" in str(error)
    assert KEY not in str(error)
    assert fake.calls[0].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("status", [400, 404, 422])
async def test_a_refused_request_says_what_the_provider_said_and_is_not_repeated(
    fake: FakeOpenAI, status: int
) -> None:
    fake.script(Fail(status, {"error": {"message": "min_p must be a number"}}))
    async with opened(**ours(fake)) as chat:
        with pytest.raises(ProviderRefused, match="min_p must be a number"):
            await read(chat)
    assert len(fake.calls) == 1


OVERFLOWS = {
    "openai": {
        "message": "This model's maximum context length is 8192 tokens. Your messages resulted in 9000.",
        "type": "invalid_request_error",
        "code": "context_length_exceeded",
    },
    "llama.cpp": {
        "code": 400,
        "message": "request (9031 tokens) exceeds the available context size (8192 tokens)",
        "type": "exceed_context_size_error",
    },
    "openrouter": {
        "code": 400,
        "message": "This endpoint's maximum context length is 4096 tokens. You requested about 5000.",
    },
}


@pytest.mark.parametrize("provider", OVERFLOWS)
async def test_a_prompt_over_the_window_is_an_overflow(fake: FakeOpenAI, provider: str) -> None:
    error = await failure(fake, Fail(400, {"error": OVERFLOWS[provider]}))
    assert isinstance(error, ContextOverflow)
    assert "context" in str(error)


async def test_an_overflow_is_not_read_out_of_the_users_own_words(fake: FakeOpenAI) -> None:
    detail = [{"type": "missing", "msg": "Field required", "input": "the context length of a dream"}]
    error = await failure(fake, Fail(422, {"detail": detail}))
    assert isinstance(error, ProviderRefused)
    assert "Field required" in str(error)


async def test_a_prompt_stopped_by_moderation_is_blocked(fake: FakeOpenAI) -> None:
    said = {"code": 403, "message": "The model requires moderation. Your input was flagged."}
    assert isinstance(await failure(fake, Fail(403, {"error": said})), Blocked)
    said = {"code": "content_filter", "message": "The response was filtered."}
    assert isinstance(await failure(fake, Fail(400, {"error": said})), Blocked)


async def test_an_answer_stopped_by_a_filter_is_blocked_with_or_without_text(fake: FakeOpenAI) -> None:
    fake.script([Finish("content_filter"), Count()], [Say("She "), Finish("content_filter"), Count()])
    async with opened(**ours(fake)) as chat:
        with pytest.raises(Blocked) as raised:
            await read(chat)
        assert raised.value.reason == "content_filter"

        heard = []
        with pytest.raises(Blocked):
            async for delta in chat.stream(HELLO):
                heard.append(delta)
        assert heard == [Delta(text="She ")]


@pytest.mark.parametrize("end", [Cut(), Raw(b"data: {not json\n\n"), Event({"error": {"message": "died"}})])
async def test_a_stream_that_breaks_after_its_first_token_is_not_repeated(fake: FakeOpenAI, end: Any) -> None:
    fake.script([Say("Once"), end])
    async with opened(**ours(fake)) as chat:
        heard = []
        with pytest.raises(ProviderUnavailable):
            async for delta in chat.stream(HELLO):
                heard.append(delta)
    assert heard == [Delta(text="Once")]
    assert len(fake.calls) == 1


async def test_a_stream_without_any_answer_is_unavailable(fake: FakeOpenAI) -> None:
    assert isinstance(await failure(fake, []), ProviderUnavailable)


async def test_silence_is_a_timeout_before_the_first_token_and_after(fake: FakeOpenAI) -> None:
    fake.script([Hang()], [Say("Once"), Hang()])
    async with opened(**ours(fake, provider_idle_timeout=0.1, provider_retries=1)) as chat:
        with pytest.raises(ProviderTimeout):
            await read(chat)
    await asyncio.gather(*(call.left.wait() for call in fake.calls))


async def test_a_refused_connection_names_the_address() -> None:
    async with FakeOpenAI() as gone:
        address = gone.url
    async with opened(llm="openai:stub-model", openai_base_url=address, provider_retries=1) as chat:
        with pytest.raises(ProviderUnavailable, match=address.split("/")[2]):
            await read(chat)


async def test_the_password_in_the_address_is_never_shown(
    fake: FakeOpenAI, caplog: pytest.LogCaptureFixture
) -> None:
    fake.script(Fail(401, {"error": {"message": "user:hidden is unknown"}}))
    with caplog.at_level(logging.INFO, "models"):
        address = fake.url.replace("//", "//user:hidden@")
        async with opened(llm="openai:stub-model", openai_base_url=address) as chat:
            with pytest.raises(ProviderDenied) as denied:
                await read(chat)
    assert fake.calls[0].headers["authorization"].startswith("Basic ")
    assert "hidden" not in str(denied.value) + caplog.text


async def test_openai_itself_needs_a_key() -> None:
    with pytest.raises(SettingsError, match="OPENAI_API_KEY"):
        async with opened(llm="openai:gpt-5-mini"):
            pass
