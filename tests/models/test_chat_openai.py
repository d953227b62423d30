"""LLM=openai: the real ChatOpenAI against a server on loopback that speaks its protocol."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from models.chat import Delta, Usage
from tests.fakes.chats import HELLO, opened, read, text
from tests.fakes.openai_server import FakeOpenAI
from tests.fakes.wire import Call, Count, Fail, Finish, Hang, Raw, Say, Think, Wait, says


@pytest.fixture
async def fake() -> AsyncIterator[FakeOpenAI]:
    async with FakeOpenAI() as server:
        yield server


def ours(fake: FakeOpenAI, **more: Any) -> dict[str, Any]:
    return {"llm": "openai:stub-model", "openai_base_url": fake.url, **more}


async def test_an_answer_streams_piece_by_piece_and_ends_with_reason_usage_and_model(
    fake: FakeOpenAI,
) -> None:
    fake.script([Say("Well,"), Say(" hello"), Finish("length"), Count(12, 2)])
    async with opened(**ours(fake)) as chat:
        assert await read(chat) == [
            Delta(text="Well,"),
            Delta(text=" hello"),
            Delta(finish_reason="length", usage=Usage(12, 2), model="stub-model"),
        ]


async def test_messages_arrive_as_they_were_sent(fake: FakeOpenAI) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{ "at":"sea"}'}}
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "Card\u2028 \U0001f30a\t "},
        {"role": "system", "content": "Hi", "name": "example_user"},
        {"role": "developer", "content": ""},
        {"role": "assistant", "content": "  Greeting\n", "name": "Ann"},
        {"role": "system", "content": "note"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "see"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"}},
                {"type": "unknown", "of": ["tomorrow", None]},
            ],
        },
        {"role": "assistant", "content": None, "tool_calls": [call], "reasoning_content": "hm"},
        {"role": "tool", "tool_call_id": "c1", "name": "look", "content": "waves"},
        {"role": "system", "content": "only system text may end it"},
        {"role": "assistant", "content": "and so may a prefill", "prefix": True},
    ]
    async with opened(**ours(fake)) as chat:
        await read(chat, messages)
    assert fake.calls[0].body["messages"] == messages


async def test_sampling_fields_known_and_unknown_arrive_as_they_were_sent(fake: FakeOpenAI) -> None:
    sampling = {
        "temperature": 0.7,
        "top_p": 1,
        "max_tokens": 300,
        "stop": ["\nTom:"],
        "min_p": 0.05,
        "logit_bias": {"1234": -100},
        "tools": [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}],
        "tool_choice": {"type": "function", "function": {"name": "look"}},
        "response_format": {"type": "json_object"},
        "banned_strings": ["shivers"],
        "dry_multiplier": None,
        "metadata": {"chat": {"deep": [1, 2.5, "x"]}},
    }
    own = {"n": 3, "stream": False, "stream_options": None}
    async with opened(**ours(fake)) as chat:
        await read(chat, sampling=sampling | own)
    body = fake.calls[0].body
    assert {name: body.pop(name) for name in ("model", "messages", "stream", "stream_options")} == {
        "model": "stub-model",
        "messages": HELLO,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert body == sampling


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
async def test_reasoning_comes_out_beside_the_text(fake: FakeOpenAI, field: str) -> None:
    fake.reasoning_field = field
    fake.script([Think("She "), Think("lies."), *says("No.")])
    async with opened(**ours(fake)) as chat:
        deltas = await read(chat)
    assert [delta.reasoning for delta in deltas] == ["She ", "lies.", "", ""]
    assert text(deltas) == "No."


async def test_tool_calls_come_out_in_fragments_as_they_came(fake: FakeOpenAI) -> None:
    fake.script([Call("", 0, "c1", "look"), Call('{"at":', 0), Call("1}", 0), Call("{}", 1, "c2", "hear")])
    fake.script()
    async with opened(**ours(fake)) as chat:
        deltas = await read(chat)
    fragments = [call for delta in deltas for call in delta.tool_calls]
    assert fragments == [
        {"index": 0, "id": "c1", "type": "function", "function": {"name": "look", "arguments": ""}},
        {"index": 0, "function": {"arguments": '{"at":'}},
        {"index": 0, "function": {"arguments": "1}"}},
        {"index": 1, "id": "c2", "type": "function", "function": {"name": "hear", "arguments": "{}"}},
    ]


async def test_a_comment_line_is_a_sign_of_life(fake: FakeOpenAI) -> None:
    slow = asyncio.Event()
    fake.script([Raw(b": working\n\n"), Wait(slow), *says("Hello")])
    async with opened(**ours(fake)) as chat:
        stream = chat.stream(HELLO)
        first = asyncio.ensure_future(anext(stream))
        await fake.called()
        slow.set()
        assert (await first).text == "Hello"
        await stream.aclose()


async def test_a_server_that_refuses_stream_options_is_asked_without_from_then_on(fake: FakeOpenAI) -> None:
    fake.script(Fail(422, {"error": {"message": "unknown field: stream_options"}}))
    async with opened(**ours(fake)) as chat:
        assert text(await read(chat)).startswith("Stub reply")
        await read(chat)
    assert ["stream_options" in call.body for call in fake.calls] == [True, False, False]


async def test_closing_an_answer_closes_the_connection(fake: FakeOpenAI) -> None:
    fake.script([Say("Once"), Hang()], [Hang()])
    async with opened(**ours(fake)) as chat:
        stream = chat.stream(HELLO)
        assert (await anext(stream)).text == "Once"
        await stream.aclose()
        await fake.calls[0].left.wait()

        stream = chat.stream(HELLO)
        waiting = asyncio.ensure_future(anext(stream))
        await fake.called(2)
        await stream.aclose()
        await fake.calls[1].left.wait()
        with pytest.raises(StopAsyncIteration):
            await waiting


async def test_the_requested_model_is_used_when_it_is_offered(fake: FakeOpenAI) -> None:
    fake.models = [{"id": "other"}, {"id": "stub-model"}]
    async with opened(**ours(fake)) as chat:
        assert await chat.models() == ["stub-model", "other"]
        for wanted in ("other", "gpt-unknown", ""):
            await read(chat, model=wanted)
    assert [call.body["model"] for call in fake.calls] == ["other", "stub-model", "stub-model"]
    assert sum(request.path == "/v1/models" for request in fake.requests) <= 2


@pytest.mark.parametrize(
    ("entry", "props", "settings", "window"),
    [
        ({"context_length": 32768}, None, {}, 32768),
        ({"meta": {"n_ctx": 4096, "n_ctx_train": 131072}}, None, {}, 4096),
        ({}, {"default_generation_settings": {"n_ctx": 6144}}, {}, 6144),
        ({}, None, {}, 16384),
        ({"context_length": 32768}, None, {"context_tokens": 2048}, 2048),
    ],
)
async def test_the_context_window_is_the_settings_or_the_providers(
    fake: FakeOpenAI, entry: Any, props: Any, settings: Any, window: int
) -> None:
    fake.models = [{"id": "stub-model", **entry}]
    fake.props = props
    async with opened(**ours(fake, **settings)) as chat:
        assert chat.context_tokens == window


async def test_a_provider_that_is_down_does_not_stop_the_start(caplog: pytest.LogCaptureFixture) -> None:
    async with FakeOpenAI() as gone:
        address = gone.url
    with caplog.at_level(logging.WARNING):
        async with opened(llm="openai:stub-model", openai_base_url=address) as chat:
            assert chat.context_tokens == 16384
            assert await chat.models() == ["stub-model"]
    assert "cannot be reached" in caplog.text
