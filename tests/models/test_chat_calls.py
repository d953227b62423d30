"""How many calls at once, and how a call is let go of while it waits."""

import asyncio

import pytest

from graph.settings import load_settings
from models.chat import ChatModel, open_chat
from tests.fakes.chats import HELLO, opened, read, text
from tests.fakes.openai_server import FakeOpenAI
from tests.fakes.wire import Fail, Hang, Say, Wait, says


async def test_no_more_calls_run_at_once_than_are_allowed() -> None:
    go_on = asyncio.Event()
    async with FakeOpenAI() as fake:
        fake.reply = lambda n, request: [Say("a"), Wait(go_on), *says("b")]
        async with opened(llm="openai:m", openai_base_url=fake.url, max_concurrent_calls=2) as chat:
            streams = [chat.stream(HELLO) for _ in range(5)]
            first = [asyncio.ensure_future(anext(stream)) for stream in streams]
            await fake.called(2)
            await asyncio.wait(first[:2])
            assert [step.done() for step in first] == [True, True, False, False, False]
            assert len(fake.calls) == 2

            go_on.set()
            await asyncio.gather(*first)
            assert [text([delta async for delta in stream]) for stream in streams] == ["b"] * 5


async def test_a_call_that_waits_for_a_place_can_be_closed() -> None:
    async with FakeOpenAI() as fake:
        fake.script([Say("a"), Hang()])
        async with opened(llm="openai:m", openai_base_url=fake.url, max_concurrent_calls=1) as chat:
            running, queued = chat.stream(HELLO), chat.stream(HELLO)
            await anext(running)
            waiting = asyncio.ensure_future(anext(queued))
            await asyncio.sleep(0)
            await queued.aclose()
            with pytest.raises(StopAsyncIteration):
                await waiting

            await running.aclose()
            assert text(await read(chat)).startswith("Stub reply 2")


async def test_a_call_that_waits_to_try_again_can_be_closed() -> None:
    async with FakeOpenAI() as fake:
        fake.script(Fail(500))
        settings = load_settings(llm="openai:m", openai_base_url=fake.url, max_concurrent_calls=1)
        chat: ChatModel = await open_chat(settings, base_delay=3600)
        stream = chat.stream(HELLO)
        waiting = asyncio.ensure_future(anext(stream))
        await fake.called()
        await stream.aclose()
        with pytest.raises(StopAsyncIteration):
            await waiting
        assert text(await read(chat)).startswith("Stub reply 2")
        await chat.close()


async def test_a_cancelled_reader_ends_its_call() -> None:
    async with FakeOpenAI() as fake:
        fake.script([Say("a"), Hang()])
        async with opened(llm="openai:m", openai_base_url=fake.url) as chat:
            reader = asyncio.ensure_future(read(chat))
            await fake.called()
            reader.cancel()
            await fake.calls[0].left.wait()
            with pytest.raises(asyncio.CancelledError):
                await reader


async def test_an_answer_that_was_never_asked_for_calls_nobody() -> None:
    async with FakeOpenAI() as fake, opened(llm="openai:m", openai_base_url=fake.url) as chat:
        await chat.stream(HELLO).aclose()
        assert not fake.calls
