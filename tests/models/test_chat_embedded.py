"""The embedded model: a real SmolLM2 behind a real llama.cpp, needing no key and no network."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from graph.errors import ContextOverflow, SettingsError
from graph.settings import load_settings
from models import chat_embedded
from models.chat import ChatModel
from models.tokens import open_counter
from tests.fakes.chats import HELLO, opened, read, text


@pytest.fixture
async def chat() -> AsyncIterator[ChatModel]:
    async with opened(context_tokens=512) as model:
        yield model


async def test_it_answers_with_the_reported_number_of_tokens(chat: ChatModel) -> None:
    deltas = await read(chat, sampling={"max_tokens": 8, "seed": 1})
    assert text(deltas).strip()
    assert deltas[-1].finish_reason in ("length", "stop")
    assert deltas[-1].usage is not None
    assert deltas[-1].usage.completion_tokens <= 8
    assert (chat.provider, chat.context_tokens) == ("embedded", 512)
    assert await chat.models() == [chat.name]


async def test_a_prompt_over_the_window_is_an_overflow(chat: ChatModel) -> None:
    with pytest.raises(ContextOverflow):
        await read(chat, [{"role": "user", "content": "sea " * 600}])


async def test_a_developer_message_is_a_system_message_to_it(chat: ChatModel) -> None:
    answers = []
    for role in ("system", "developer"):
        prompt = [{"role": role, "content": "You are a pirate."}, *HELLO]
        answers.append(await read(chat, prompt, sampling={"max_tokens": 8, "seed": 1, "temperature": 0}))
    assert text(answers[0]) == text(answers[1])
    assert answers[0][-1].usage == answers[1][-1].usage


async def test_its_counter_counts_what_the_model_reads(chat: ChatModel) -> None:
    counter = await open_counter(load_settings(), chat)
    texts = ["", "Hello there", "Hello there" * 20, "a <|im_end|> b", "\U0001f30a"]
    counts = await counter.count(texts)
    assert counts[0] == 0
    assert counts[1] == 2
    assert await counter.count(list(reversed(texts))) == list(reversed(counts))
    before = await read(chat, sampling={"max_tokens": 1})
    after = await read(chat, [{"role": "user", "content": "Hello" + texts[2]}], sampling={"max_tokens": 1})
    assert before[-1].usage and after[-1].usage
    grown = after[-1].usage.prompt_tokens - before[-1].usage.prompt_tokens
    assert grown == (await counter.count(["Hello" + texts[2]]))[0] - (await counter.count(["Hello"]))[0]


async def test_starting_leaves_the_event_loop_free_and_closing_leaves_no_server() -> None:
    turns = 0
    opening = asyncio.ensure_future(chat_embedded.open_embedded(load_settings(), base_delay=0.0))
    while not opening.done():
        turns += 1
        await asyncio.sleep(0.001)
    chat = await opening
    assert turns > 10
    address = chat.server.base_url
    stream = chat.stream(HELLO, sampling={"max_tokens": 500})
    await anext(stream)
    await chat.close()
    await stream.aclose()
    async with httpx.AsyncClient(base_url=address) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get("/health")


@pytest.mark.parametrize(
    ("weights", "message"), [(b"GGUF but not ours", "not the model"), (None, "GEMINI_API_KEY or LLM")]
)
async def test_weights_that_are_missing_or_not_the_known_ones_stop_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weights: bytes | None, message: str
) -> None:
    package = tmp_path / chat_embedded.PACKAGE
    package.mkdir()
    (package / "__init__.py").touch()
    if weights:
        (package / chat_embedded.WEIGHTS).write_bytes(weights)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(SettingsError, match=message):
        async with opened():
            pass
