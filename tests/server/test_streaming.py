"""Streaming: tokens leave as they come, the end leaves once the turn is kept."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from typing import Any

import httpx
import pytest
from openai import APIError
from openai.types.chat import ChatCompletionChunk

from memory.files import tree_path
from memory.stored import TreeKey
from tests.fakes.openai_server import FakeOpenAI
from tests.fakes.wire import Count, Cut, Fail, Finish, Say, Think, Wait, says
from tests.server.live import Live, idle, said, stored, until

CHAT = {"X-Chat-Id": "c1"}


def body(*texts: str, **more: Any) -> dict[str, Any]:
    return {"model": "stub-model", "messages": said(*texts), "stream": True, **more}


async def data(response: httpx.Response) -> AsyncIterator[Any]:
    """The JSON of each event, `[DONE]` as it is."""
    async for line in response.aiter_lines():
        if line.startswith("data: "):
            text = line.removeprefix("data: ")
            yield text if text == "[DONE]" else json.loads(text)


async def events(live: Live, request: dict[str, Any]) -> list[Any]:
    async with live.http.stream("POST", "/v1/chat/completions", json=request, headers=CHAT) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        return [event async for event in data(response)]


async def test_a_stream_is_what_openais_client_expects(live: Live, fake: FakeOpenAI) -> None:
    fake.script([Say("Good "), Say("evening."), Finish(), Count(70, 3)])
    request = body("Hello", stream_options={"include_usage": True})
    chunks = [
        chunk async for chunk in await live.openai.chat.completions.create(**request, extra_headers=CHAT)
    ]
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "Good evening."
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert len({c.id for c in chunks}) == 1
    assert chunks[-1].choices == [] and chunks[-1].usage and chunks[-1].usage.total_tokens == 73


async def test_usage_comes_only_when_asked_for_and_done_comes_last(live: Live) -> None:
    received = await events(live, body("Hello"))
    assert received[-1] == "[DONE]"
    chunks = [ChatCompletionChunk.model_validate(event, strict=True) for event in received[:-1]]
    assert all(chunk.choices and chunk.usage is None for chunk in chunks)


async def test_reasoning_streams_beside_the_text(live: Live, fake: FakeOpenAI) -> None:
    fake.script([Think("Hm."), Say("Hello!"), Finish(), Count()])
    deltas = [event["choices"][0]["delta"] for event in (await events(live, body("Hello")))[:-1]]
    assert [d["reasoning_content"] for d in deltas if "reasoning_content" in d] == ["Hm."]
    assert "".join(d.get("content") or "" for d in deltas) == "Hello!"


async def test_several_choices_share_a_stream(live: Live, fake: FakeOpenAI) -> None:
    fake.script(says("One", "."), says("Two", "."))
    received = (await events(live, body("Hello", n=2)))[:-1]
    texts = {0: "", 1: ""}
    for event in received:
        choice = event["choices"][0]
        texts[choice["index"]] += choice["delta"].get("content") or ""
    assert sorted(texts.values()) == ["One.", "Two."]
    assert [e["choices"][0]["index"] for e in received if e["choices"][0]["finish_reason"]] == [0, 1]


async def test_tokens_leave_while_the_provider_is_still_speaking(live: Live, fake: FakeOpenAI) -> None:
    gate = asyncio.Event()
    fake.script([Say("Good "), Wait(gate), Say("evening."), Finish(), Count()])
    async with live.http.stream("POST", "/v1/chat/completions", json=body("Hello"), headers=CHAT) as response:
        received = data(response)
        assert (await anext(received))["choices"][0]["delta"]["content"] == "Good "
        gate.set()
        assert [event async for event in received][-1] == "[DONE]"


@pytest.mark.parametrize("stream", [True, False])
async def test_no_end_leaves_before_the_turn_is_stored(live: Live, fake: FakeOpenAI, stream: bool) -> None:
    await live.http.post("/v1/chat/completions", json=body("Hello", stream=False), headers=CHAT)
    await idle(live)
    session = await live.resources.transcript.session("local", "c1")
    assert session
    path = tree_path(live.resources.settings.db_path, TreeKey("local", session.key.tree_id))
    before = await stored(live, "c1")
    request = body("Hello", before[1][1], "And then?", stream=stream)
    fake.script(says("Then", " it", " rained."))
    with closing(sqlite3.connect(path, isolation_level=None)) as held:
        held.execute("BEGIN IMMEDIATE")
        sending = asyncio.create_task(receive(live, request))
        await until(lambda: len(fake.calls) == 2)
        await fake.calls[1].answered.wait()
        done, _ = await asyncio.wait({sending}, timeout=0.5)
        assert not done, "the provider is done, the transaction is not: nothing may say that the turn is kept"
        assert not ENDS
        held.execute("ROLLBACK")
    text = await sending
    assert "[DONE]" in text if stream else '"finish_reason":"stop"' in text
    assert len(await stored(live, "c1")) == 4


ENDS: list[str] = []


async def receive(live: Live, request: dict[str, Any]) -> str:
    """The whole text of an answer; `ENDS` has what came of an ending so far."""
    ENDS.clear()
    text = ""
    async with live.http.stream("POST", "/v1/chat/completions", json=request, headers=CHAT) as response:
        async for piece in response.aiter_text():
            text += piece
            ENDS.extend(line for line in piece.splitlines() if '"finish_reason":"' in line or "DONE" in line)
    return text


async def test_an_error_before_the_first_token_has_its_own_status(live: Live, fake: FakeOpenAI) -> None:
    fake.script(Fail(429, {"error": {"message": "slow down"}}, {"retry-after": "7"}))
    response = await live.http.post("/v1/chat/completions", json=body("Hello"), headers=CHAT)
    assert response.status_code == 429
    assert response.headers["retry-after"] == "7"
    assert response.json()["error"]["type"] == "rate_limit_error"


async def test_an_error_in_mid_stream_is_the_last_event_and_leaves_nothing(
    live: Live, fake: FakeOpenAI
) -> None:
    fake.script([Say("Good "), Cut()])
    received = await events(live, body("Hello"))
    assert received[0]["choices"][0]["delta"]["content"] == "Good "
    assert received[-1]["error"]["message"] and received[-1]["error"]["code"] == "provider_unavailable"
    assert await stored(live, "c1") == []


async def test_openais_client_raises_an_error_in_mid_stream(live: Live, fake: FakeOpenAI) -> None:
    fake.script([Say("Good "), Cut()])
    with pytest.raises(APIError):
        async for _ in await live.openai.chat.completions.create(**body("Hello"), extra_headers=CHAT):
            pass


async def test_a_client_that_does_not_read_holds_its_turn_only_until_it_leaves(
    live: Live, fake: FakeOpenAI
) -> None:
    pieces = [Think("hm " * 8_000) for _ in range(1_000)]
    fake.script([*pieces, Say("Yes."), Finish(), Count()])
    port = int(live.url.rsplit(":", 1)[1])
    _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    raw = json.dumps(body("Hello", metadata={"chat_id": "c1"})).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: {len(raw)}\r\n\r\n"
    writer.write(head.encode() + raw)
    await until(lambda: live.turns.running and live.turns.running[0].events.full)
    writer.transport.abort()
    await idle(live)
    assert (await stored(live, "c1"))[0] == ("user", "Hello")
