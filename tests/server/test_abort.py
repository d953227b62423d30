"""A client that leaves stops the provider; what was said until then is kept, what nobody saw is not."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.fakes.openai_server import FakeOpenAI
from tests.fakes.wire import Count, Finish, Hang, Say, Wait, says
from tests.server.live import Live, idle, said, stored, until

CHAT = {"X-Chat-Id": "c1"}
CHATS = "/v1/chat/completions"
SOON = 10
"""Seconds after which waiting for something that must happen is given up."""


def body(*texts: str, stream: bool) -> dict[str, Any]:
    return {"model": "stub-model", "messages": said(*texts), "stream": stream}


async def test_a_stop_in_mid_stream_closes_the_provider_and_keeps_what_was_sent(
    live: Live, fake: FakeOpenAI
) -> None:
    fake.script([Say("Once "), Say("upon "), Hang()])
    request = live.http.stream("POST", CHATS, json=body("Tell me", stream=True), headers=CHAT)
    async with request as response:
        async for line in response.aiter_lines():
            if "upon" in line:
                break
    await asyncio.wait_for(fake.calls[0].left.wait(), SOON)
    await idle(live)
    assert await stored(live, "c1") == [("user", "Tell me"), ("assistant", "Once upon ")]


@pytest.mark.parametrize("stream", [True, False])
async def test_a_stop_before_the_first_token_keeps_no_reply(
    live: Live, fake: FakeOpenAI, stream: bool
) -> None:
    fake.script([Hang()])
    request = live.http.post(CHATS, json=body("Tell me", stream=stream), headers=CHAT)
    sending = asyncio.create_task(request)
    await until(lambda: fake.calls)
    sending.cancel()
    await asyncio.wait_for(fake.calls[0].left.wait(), SOON)
    await idle(live)
    assert await stored(live, "c1") == [("user", "Tell me")]


async def test_a_stop_without_streaming_keeps_nothing_of_what_was_never_shown(
    live: Live, fake: FakeOpenAI
) -> None:
    fake.script([Say("Once "), Say("upon "), Hang()])
    request = live.http.post(CHATS, json=body("Tell me", stream=False), headers=CHAT)
    sending = asyncio.create_task(request)
    await until(lambda: fake.calls)
    sending.cancel()
    await asyncio.wait_for(fake.calls[0].left.wait(), SOON)
    await idle(live)
    assert await stored(live, "c1") == [("user", "Tell me")]


async def test_a_turn_stopped_while_it_waits_never_reaches_the_provider(live: Live, fake: FakeOpenAI) -> None:
    gate = asyncio.Event()
    fake.script([Say("First."), Wait(gate), Finish(), Count()])
    first = asyncio.create_task(live.http.post(CHATS, json=body("One", stream=False), headers=CHAT))
    await until(lambda: fake.calls)
    second = asyncio.create_task(live.http.post(CHATS, json=body("Two", stream=True), headers=CHAT))
    await until(lambda: len(live.turns.running) == 2)
    second.cancel()
    await until(
        lambda: any(live.resources.stops.of(r.turn.turn_id).event.is_set() for r in live.turns.running)
    )
    gate.set()
    await first
    await idle(live)
    assert len(fake.calls) == 1


async def test_the_chat_goes_on_after_a_stop(live: Live, fake: FakeOpenAI) -> None:
    fake.script([Say("Once "), Hang()], says("upon a time."))
    request = live.http.stream("POST", CHATS, json=body("Tell me", stream=True), headers=CHAT)
    async with request as response:
        async for line in response.aiter_lines():
            if "Once" in line:
                break
    answer = await live.http.post(CHATS, json=body("Tell me", "Once", "Go on", stream=False), headers=CHAT)
    assert answer.status_code == 200
    assert [text.strip() for _, text in await stored(live, "c1")] == [
        "Tell me",
        "Once",
        "Go on",
        "upon a time.",
    ]


async def test_nothing_is_left_under_way_when_clients_leave(live: Live, fake: FakeOpenAI) -> None:
    fake.reply = lambda n, request: [Say("Once "), Hang()]
    tasks = [
        asyncio.create_task(
            live.http.post(
                CHATS,
                json=body("Tell me", stream=i % 2 == 0),
                headers={"X-Chat-Id": f"c{i}"},
            )
        )
        for i in range(4)
    ]
    await until(lambda: len(fake.calls) == 4)
    for task in tasks:
        task.cancel()
    await idle(live)
    assert len(live.resources.stops) == 0
    assert all([await asyncio.wait_for(call.left.wait(), SOON) for call in fake.calls])


async def test_a_turn_stopped_by_the_servers_end_keeps_what_it_answers(live: Live, fake: FakeOpenAI) -> None:
    fake.script([Say("Once "), Hang()])
    sending = asyncio.create_task(live.http.post(CHATS, json=body("Tell me", stream=False), headers=CHAT))
    await until(lambda: fake.calls)
    await live.turns.finish(0.5)
    assert (await sending).json()["choices"][0]["message"]["content"] == "Once "
    assert await stored(live, "c1") == [("user", "Tell me"), ("assistant", "Once ")]
