"""Gemini: the real ChatGoogleGenerativeAI against a server on loopback that speaks its protocol."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from graph.errors import ProviderRefused, SettingsError
from models.chat import Delta, Usage
from tests.fakes.chats import HELLO, opened, read, text
from tests.fakes.gemini_server import FakeGemini
from tests.fakes.wire import Call, Count, Finish, Hang, Say, Think, says

KEY = "AIzaAVerySecretKey-1234567890"
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@pytest.fixture
async def fake() -> AsyncIterator[FakeGemini]:
    async with FakeGemini() as server:
        yield server


def ours(fake: FakeGemini, **more: Any) -> dict[str, Any]:
    return {"gemini_api_key": KEY, "gemini_base_url": fake.url, **more}


def camel(sent: Any) -> Any:
    """JSON with its names in one spelling; Gemini takes two, and its client writes both."""
    if isinstance(sent, list):
        return [camel(one) for one in sent]
    if isinstance(sent, dict):
        spelt = {name: re.sub("_(.)", lambda found: found[1].upper(), name) for name in sent}
        return {spelt[name]: camel(one) for name, one in sent.items()}
    return sent


def system_text(body: Any) -> str:
    return "".join(part["text"] for part in body["systemInstruction"]["parts"])


def spoken(body: Any) -> list[tuple[str, str]]:
    """Role and text of each message on the wire."""
    return [
        (message["role"], "".join(part.get("text", "") for part in message["parts"]))
        for message in body["contents"]
    ]


async def test_an_answer_streams_piece_by_piece_and_ends_with_reason_usage_and_model(
    fake: FakeGemini,
) -> None:
    fake.script([Say("Well,"), Say(" hello\n"), Finish("length"), Count(12, 2)])
    async with opened(**ours(fake)) as chat:
        assert (chat.provider, chat.name) == ("gemini", "gemini-2.5-flash")
        assert await read(chat) == [
            Delta(text="Well,"),
            Delta(text=" hello\n"),
            Delta(finish_reason="length", usage=Usage(12, 2), model="stub"),
        ]
    assert fake.calls[0].headers["x-goog-api-key"] == KEY


@pytest.mark.parametrize("llm", ["gemini:gemini-3-pro", "google_genai:gemini-3-pro"])
async def test_llm_may_name_gemini(fake: FakeGemini, llm: str) -> None:
    async with opened(**ours(fake, llm=llm)) as chat:
        assert text(await read(chat)).startswith("Stub reply 1")
    assert "/models/gemini-3-pro:streamGenerateContent" in fake.calls[0].path


@pytest.mark.parametrize("llm", ["gemini:gemini-3-pro", "google_genai:gemini-3-pro"])
async def test_a_missing_key_stops_the_start_in_the_words_of_the_setting(llm: str) -> None:
    with pytest.raises(SettingsError, match=f"LLM={llm} needs GEMINI_API_KEY"):
        async with opened(llm=llm):
            pass


async def test_every_system_text_arrives_byte_for_byte(fake: FakeGemini) -> None:
    messages = [
        {"role": "system", "content": "  Main prompt\n\n"},
        {"role": "developer", "content": "Card \u2028 \U0001f30a"},
        {"role": "system", "content": "Hi there", "name": "example_user"},
        {"role": "assistant", "content": "Greeting"},
        {"role": "user", "content": "Hello"},
        {"role": "system", "content": "[Note: rain]"},
        {"role": "assistant", "content": "Well met."},
        {"role": "user", "content": "And?"},
        {"role": "system", "content": " Post-history. "},
    ]
    async with opened(**ours(fake)) as chat:
        await read(chat, messages)
    body = fake.calls[0].body
    assert system_text(body) == "  Main prompt\n\n\n\nCard \u2028 \U0001f30a\n\nexample_user: Hi there"
    assert spoken(body) == [
        ("model", "Greeting"),
        ("user", "Hello\n\n[Note: rain]"),
        ("model", "Well met."),
        ("user", "And?\n\n Post-history. "),
    ]


async def test_a_prompt_of_system_messages_alone_is_answered(fake: FakeGemini) -> None:
    messages = [{"role": "system", "content": "You sum up."}, {"role": "system", "content": "Sum up."}]
    async with opened(**ours(fake)) as chat:
        await read(chat, messages)
    assert system_text(fake.calls[0].body) == "You sum up."
    assert spoken(fake.calls[0].body) == [("user", "Sum up.")]


async def test_a_prompt_that_ends_with_the_assistant_is_continued(fake: FakeGemini) -> None:
    messages = [*HELLO, {"role": "assistant", "content": "Once upon"}]
    async with opened(**ours(fake)) as chat:
        await read(chat, messages)
    assert spoken(fake.calls[0].body) == [("user", "Hello"), ("model", "Once upon")]


async def test_a_model_that_refuses_a_prefill_is_asked_to_continue(fake: FakeGemini) -> None:
    messages = [*HELLO, {"role": "assistant", "content": "Once upon"}]
    async with opened(**ours(fake, gemini_model="gemini-3.6-flash")) as chat:
        assert text(await read(chat, messages)).startswith("Stub reply 1")
    assert [role for role, _ in spoken(fake.calls[0].body)] == ["user", "model", "user"]


async def test_images_and_links_arrive(fake: FakeGemini) -> None:
    parts = [
        {"type": "text", "text": "See"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
        {"type": "image_url", "image_url": {"url": "https://example.org/cat.webp?size=2"}},
    ]
    async with opened(**ours(fake)) as chat:
        await read(chat, [{"role": "user", "content": parts}])
    sent = camel(fake.calls[0].body["contents"][0]["parts"])
    assert sent[0] == {"text": "See"}
    assert sent[1]["inlineData"]["mimeType"] == "image/png"
    assert sent[1]["inlineData"]["data"].replace("-", "+").replace("_", "/") == PIXEL
    assert sent[2]["fileData"] == {
        "fileUri": "https://example.org/cat.webp?size=2",
        "mimeType": "image/webp",
    }


@pytest.mark.parametrize(
    "part", [{"type": "image_url", "image_url": {"url": "data:image/png;base64,*"}}, {"type": "hologram"}]
)
async def test_a_part_that_gemini_cannot_take_is_refused_before_the_call(fake: FakeGemini, part: Any) -> None:
    async with opened(**ours(fake)) as chat:
        with pytest.raises(ProviderRefused):
            await read(chat, [{"role": "user", "content": [part]}])
    assert not fake.calls


async def test_sampling_fields_are_mapped_and_unknown_ones_named_once(
    fake: FakeGemini, caplog: pytest.LogCaptureFixture
) -> None:
    sampling = {
        "temperature": 0.7,
        "top_p": 0.9,
        "top_k": 40,
        "max_tokens": 300,
        "stop": ["a", "b", "c", "d", "e", "f"],
        "seed": 7,
        "presence_penalty": 0.5,
        "frequency_penalty": 0,
        "response_format": {"type": "json_object"},
        "include_reasoning": True,
        "min_p": 0.05,
        "logit_bias": {},
    }
    async with opened(**ours(fake)) as chat:
        with caplog.at_level(logging.INFO, "models"):
            await read(chat, sampling=sampling)
            await read(chat, sampling=sampling)
        await read(chat)
    assert camel(fake.calls[0].body["generationConfig"]) == {
        "candidateCount": 1,
        "temperature": 0.7,
        "topP": 0.9,
        "topK": 40,
        "maxOutputTokens": 300,
        "stopSequences": ["a", "b", "c", "d", "e"],
        "seed": 7,
        "presencePenalty": 0.5,
        "responseMimeType": "application/json",
        "thinkingConfig": {"includeThoughts": True},
    }
    assert fake.calls[2].body["generationConfig"] == {"candidateCount": 1}
    assert caplog.text.count("'min_p'") == caplog.text.count("'logit_bias'") == 1


async def test_tools_go_in_and_calls_come_out(fake: FakeGemini) -> None:
    look = {"name": "look", "description": "Looks.", "parameters": {"type": "object", "properties": {}}}
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"at": "sea"}'}}
    messages: list[dict[str, Any]] = [
        *HELLO,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "waves"},
    ]
    sampling = {
        "tools": [{"type": "function", "function": look}],
        "tool_choice": {"type": "function", "function": {"name": "look"}},
    }
    fake.script([Call('{"at": 1}', id="x1", name="look"), Call('{"at": 2}', id="x2", name="look"), Finish()])
    async with opened(**ours(fake)) as chat:
        deltas = await read(chat, messages, sampling=sampling)

    body = fake.calls[0].body
    assert body["tools"][0]["functionDeclarations"][0]["name"] == "look"
    assert body["toolConfig"]["functionCallingConfig"] == {"mode": "ANY", "allowedFunctionNames": ["look"]}
    assert body["contents"][1]["parts"] == [{"functionCall": {"name": "look", "args": {"at": "sea"}}}]
    assert body["contents"][2]["parts"][0]["functionResponse"] == {
        "name": "look",
        "response": {"output": "waves"},
    }
    assert [call for delta in deltas for call in delta.tool_calls] == [
        {"index": 0, "id": "x1", "type": "function", "function": {"name": "look", "arguments": '{"at": 1}'}},
        {"index": 1, "id": "x2", "type": "function", "function": {"name": "look", "arguments": '{"at": 2}'}},
    ]
    assert deltas[-1].finish_reason == "tool_calls"


@pytest.mark.parametrize("model", ["gemini-2.5-flash", "gemini-3-pro"])
async def test_thoughts_come_out_as_reasoning(fake: FakeGemini, model: str) -> None:
    fake.script([Think("She "), Think("lies."), *says("No", ".")])
    async with opened(**ours(fake, gemini_model=model)) as chat:
        deltas = await read(chat)
    assert [delta.reasoning for delta in deltas] == ["She ", "lies.", "", "", ""]
    assert text(deltas) == "No."


async def test_closing_an_answer_closes_the_connection(fake: FakeGemini) -> None:
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


async def test_the_requested_model_is_used_when_it_is_offered(fake: FakeGemini) -> None:
    fake.models = [
        {"name": "models/gemini-3-pro"},
        {"name": "models/embedding-001", "supportedGenerationMethods": ["embedContent"]},
    ]
    async with opened(**ours(fake)) as chat:
        assert await chat.models() == ["gemini-2.5-flash", "gemini-3-pro"]
        for wanted in ("gemini-3-pro", "models/gemini-3-pro", "gpt-5", ""):
            await read(chat, model=wanted)
    asked = [call.path.split("/models/")[1].split(":")[0] for call in fake.calls]
    assert asked == ["gemini-3-pro", "gemini-3-pro", "gemini-2.5-flash", "gemini-2.5-flash"]


async def test_the_context_window_is_the_profiles_the_listings_or_the_settings(fake: FakeGemini) -> None:
    fake.models = [{"name": "models/gemini-new", "inputTokenLimit": 65536}]
    cases: list[tuple[dict[str, Any], int]] = [
        ({}, 1048576),
        ({"gemini_model": "gemini-new"}, 65536),
        ({"gemini_model": "gemini-unheard-of"}, 16384),
        ({"context_tokens": 4096}, 4096),
    ]
    for settings, window in cases:
        async with opened(**ours(fake, **settings)) as chat:
            assert chat.context_tokens == window
