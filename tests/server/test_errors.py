"""Everything that goes wrong has OpenAI's error shape, the right status, and no secret in it."""

from __future__ import annotations

from typing import Any

import httpx
import openai
import pytest

from graph import errors
from server.errors import body_of, response_of, shape_of
from server.origin import is_private_name
from tests.fakes.openai_server import FakeOpenAI
from tests.fakes.wire import Cut, Fail, Say
from tests.server.live import Live, said, stored

HELLO = said("Hello")


def error_of(response: httpx.Response) -> dict[str, Any]:
    """The error object; fails when the answer has any other shape."""
    body = response.json()
    assert set(body) == {"error"} and set(body["error"]) == {"message", "type", "param", "code"}
    assert body["error"]["message"]
    error: dict[str, Any] = body["error"]
    return error


@pytest.mark.parametrize(
    ("request_body", "param"),
    [
        ({}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": "Hello"}, "messages"),
        ({"messages": ["Hello"]}, "messages[0]"),
        ({"messages": [*HELLO, {"role": "elf", "content": "x"}]}, "messages[1].role"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": HELLO, "n": 0}, "n"),
        ({"messages": HELLO, "n": 9}, "n"),
        ({"messages": HELLO, "max_tokens": 0}, "max_tokens"),
        ({"messages": HELLO, "max_completion_tokens": -1}, "max_completion_tokens"),
        ({"messages": HELLO, "stream": "yes"}, "stream"),
        ({"messages": HELLO, "stream": 1}, "stream"),
        ({"messages": HELLO, "stream_options": "yes"}, "stream_options"),
    ],
)
async def test_a_wrong_request_is_refused_and_the_field_is_named(
    live: Live, fake: FakeOpenAI, request_body: dict[str, Any], param: str
) -> None:
    response = await live.http.post("/v1/chat/completions", json=request_body)
    assert response.status_code == 400
    error = error_of(response)
    assert (error["type"], error["param"]) == ("invalid_request_error", param)
    assert not fake.calls


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"\xff\xfe", b'{"messages": NaN}', b"[" * 100_000])
async def test_a_body_that_is_no_json_object_is_refused(live: Live, raw: bytes) -> None:
    response = await live.http.post("/v1/chat/completions", content=raw)
    assert response.status_code == 400
    error_of(response)


async def test_half_a_surrogate_pair_does_not_break_a_turn(live: Live) -> None:
    raw = (
        b'{"messages": [{"role": "user", "content": "broken \\ud83d emoji"}], "metadata": {"chat_id": "c1"}}'
    )
    assert (await live.http.post("/v1/chat/completions", content=raw)).status_code == 200
    assert (await stored(live, "c1"))[0] == ("user", "broken \ufffd emoji")


async def test_unknown_addresses_and_methods_have_the_shape_too(live: Live) -> None:
    missing = await live.http.get("/v1/embeddings")
    assert (missing.status_code, error_of(missing)["code"]) == (404, "unknown_url")
    wrong = await live.http.get("/v1/chat/completions")
    assert (wrong.status_code, error_of(wrong)["code"]) == (405, "method_not_allowed")
    query = await live.http.get("/v1/sessions", params={"limit": "many"})
    assert (query.status_code, error_of(query)["param"]) == (400, "limit")


@pytest.mark.parametrize(
    ("behaviour", "status", "code"),
    [
        (Fail(429, {"error": {"message": "quota"}}), 429, "rate_limit_exceeded"),
        (Fail(500, {"error": {"message": "oops"}}), 502, "provider_unavailable"),
        (Fail(503, "<html>busy</html>"), 502, "provider_unavailable"),
        (Fail(401, {"error": {"message": "bad key secret-key-of-the-user"}}), 502, "provider_denied"),
        (Fail(400, {"error": {"message": "no such field"}}), 400, "provider_refused"),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
async def test_a_providers_error_reaches_the_user_and_the_key_does_not(
    live: Live, fake: FakeOpenAI, behaviour: Fail, status: int, code: str, stream: bool
) -> None:
    fake.script(behaviour)
    request = {"messages": HELLO, "stream": stream, "metadata": {"chat_id": "c1"}}
    response = await live.http.post("/v1/chat/completions", json=request)
    assert (response.status_code, error_of(response)["code"]) == (status, code)
    assert "secret-key" not in response.text
    assert await stored(live, "c1") == []


async def test_a_failed_turn_leaves_transcript_and_thread_history_as_they_were(
    live: Live, fake: FakeOpenAI
) -> None:
    request = {"messages": HELLO, "metadata": {"chat_id": "c1"}}
    reply = (await live.http.post("/v1/chat/completions", json=request)).json()["choices"][0]["message"]
    before = (await stored(live, "c1"), await history(live), await raw_checkpoints(live))
    fake.script(Fail(500), [Say("Half an ans"), Cut()])
    for _ in range(2):
        longer = {"messages": said("Hello", reply["content"], "And then?"), "metadata": {"chat_id": "c1"}}
        assert (await live.http.post("/v1/chat/completions", json=longer)).status_code == 502
    assert (await stored(live, "c1"), await history(live), await raw_checkpoints(live)) == before


async def test_openais_client_raises_its_own_errors(live: Live, fake: FakeOpenAI) -> None:
    fake.script(Fail(429, {"error": {"message": "quota"}}))
    with pytest.raises(openai.RateLimitError):
        await live.openai.chat.completions.create(model="stub-model", messages=HELLO)
    with pytest.raises(openai.BadRequestError) as refused:
        await live.openai.chat.completions.create(model="stub-model", messages=[])
    assert refused.value.param == "messages"
    with pytest.raises(openai.NotFoundError):
        await live.openai.models.retrieve("no-such-model")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1.evil.example"},
        {"Host": "evil.example:8001"},
    ],
)
async def test_web_pages_of_others_are_kept_out(live: Live, headers: dict[str, str]) -> None:
    for response in (
        await live.http.get("/v1/sessions", headers=headers),
        await live.http.post("/v1/chat/completions", json={"messages": HELLO}, headers=headers),
    ):
        assert (response.status_code, error_of(response)["code"]) == (403, "origin_not_allowed")
        assert "access-control-allow-origin" not in response.headers


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "http://127.0.0.1:8000"}, {"Origin": "http://localhost"}, {"Host": "host.docker.internal"}],
)
async def test_this_machine_may_come_in(live: Live, headers: dict[str, str]) -> None:
    assert (await live.http.get("/v1/sessions", headers=headers)).status_code == 200


def test_only_names_that_nobody_can_register_are_private() -> None:
    assert all(map(is_private_name, ("127.0.0.1", "::1", "192.168.1.4", "mymachine", "a.local")))
    assert not any(map(is_private_name, ("evil.example", "localhost.evil.com", "8001.com")))


def test_every_error_of_ours_has_a_shape() -> None:
    def below(cls: type[Exception]) -> list[type[Exception]]:
        return [cls, *(found for sub in cls.__subclasses__() for found in below(sub))]

    for cls in below(errors.ProviderError):
        assert shape_of(cls("x")).status in (400, 429, 502, 504)
    assert shape_of(errors.PromptTooLong("x", 3)).status == 400


def test_an_unexpected_error_tells_the_turn_and_nothing_else() -> None:
    response = response_of(ValueError("password=hunter2"), "turn-7")
    assert response.status_code == 500
    assert b"hunter2" not in response.body and b"turn-7" in response.body
    assert body_of(ValueError("x"))["error"]["code"] == "internal_error"


def test_retry_after_is_whole_seconds() -> None:
    assert response_of(errors.ProviderBusy("busy", 1.2)).headers["retry-after"] == "2"
    assert "retry-after" not in response_of(errors.ProviderBusy("busy")).headers


async def history(live: Live) -> list[Any]:
    """The thread's states as LangGraph shows them."""
    config = {"configurable": {"thread_id": "local:c1"}}
    return [item.checkpoint["id"] async for item in live.resources.checkpointer.alist(config)]  # type: ignore[arg-type]


async def raw_checkpoints(live: Live) -> list[Any]:
    """Every row of the checkpointer's tables."""
    rows: list[Any] = []
    for table in ("checkpoints", "writes"):
        async with live.resources.checkpointer.conn.execute(f"SELECT * FROM {table}") as found:
            rows += await found.fetchall()
    return rows
