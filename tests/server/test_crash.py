"""Whatever kills the server: nothing acknowledged is lost, nothing half is there, and it catches up."""

from __future__ import annotations

import asyncio
import signal

import httpx

from graph.settings import Settings
from tests.fakes.openai_server import FakeOpenAI
from tests.fakes.wire import Count, Finish, Hang, Say, Wait, says
from tests.server.live import said, serving, until
from tests.server.process import environment, server_process

CHATS = "/v1/chat/completions"
CHAT = {"X-Chat-Id": "c1"}


async def messages(http: httpx.AsyncClient) -> list[str]:
    page = (await http.get("/v1/sessions/c1/messages")).json()
    return [message["content"] for message in page.get("data", [])]


async def test_a_kill_right_after_done_loses_nothing(settings: Settings, fake: FakeOpenAI) -> None:
    fake.script(says("The key ", "is blue."))
    env = environment(settings, fake)
    async with server_process(env) as server:
        async with server.http.stream(
            "POST", CHATS, json={"messages": said("Where is it?"), "stream": True}, headers=CHAT
        ) as response:
            async for line in response.aiter_lines():
                if "[DONE]" in line:
                    await server.kill()
                    break
    async with serving(settings) as live:
        assert await messages(live.http) == ["Where is it?", "The key is blue."]
        await live.resources.worker.idle()
        assert await live.resources.vectors.count() == 2, "embeddings catch up"
        health = (await live.http.get("/health")).json()
        assert health["status"] == "ok" and health["worker"] == {"backlog": 0}
        answer = await live.http.post(
            CHATS, json={"messages": said("Where is it?", "The key is blue.", "Thanks!")}, headers=CHAT
        )
        assert answer.headers["x-turn-change"] == "append"


async def test_a_kill_in_mid_turn_leaves_nothing_half(settings: Settings, fake: FakeOpenAI) -> None:
    fake.script(says("Fine."), [Say("Once "), Hang()])
    env = environment(settings, fake)
    async with server_process(env) as server:
        await server.http.post(CHATS, json={"messages": said("How are you?")}, headers=CHAT)
        request = {"messages": said("How are you?", "Fine.", "Tell me a story")}
        reading = server.http.stream("POST", CHATS, json={**request, "stream": True}, headers=CHAT)
        async with reading as response:
            async for line in response.aiter_lines():
                if "Once" in line:
                    await server.kill()
                    break
    async with serving(settings) as live:
        assert await messages(live.http) == ["How are you?", "Fine."]
        thread = {"configurable": {"thread_id": "local:c1"}}
        newest = await live.resources.checkpointer.aget_tuple(thread)  # type: ignore[arg-type]
        assert newest is None or len(newest.checkpoint["channel_values"]["messages"]) == 1
        fake.script(says("Once upon a time."))
        answer = await live.http.post(CHATS, json=request, headers=CHAT)
        assert answer.headers["x-turn-change"] == "append"
        assert len(await messages(live.http)) == 4


async def test_sigterm_lets_a_turn_under_way_finish(settings: Settings, fake: FakeOpenAI) -> None:
    gate = asyncio.Event()
    fake.script([Say("Almost "), Wait(gate), Say("done."), Finish(), Count()])
    async with server_process(environment(settings, fake)) as server:
        sending = asyncio.create_task(server.http.post(CHATS, json={"messages": said("Hurry")}, headers=CHAT))
        await until(lambda: fake.calls)
        server.process.send_signal(signal.SIGTERM)
        gate.set()
        answer = await sending
        assert answer.json()["choices"][0]["message"]["content"] == "Almost done."
        assert await server.process.wait() == 0
    async with serving(settings) as live:
        assert await messages(live.http) == ["Hurry", "Almost done."]


async def test_sigterm_stops_a_turn_that_takes_too_long_and_keeps_what_was_sent(
    settings: Settings, fake: FakeOpenAI
) -> None:
    fake.script([Say("Once "), Hang()])
    async with server_process(environment(settings, fake)) as server:
        request = {"messages": said("Tell me"), "stream": True}
        async with server.http.stream("POST", CHATS, json=request, headers=CHAT) as response:
            received = ""
            async for line in response.aiter_lines():
                received += line
                if "Once" in line:
                    server.process.send_signal(signal.SIGTERM)
        assert "[DONE]" in received, "the stream ended properly"
        assert await server.process.wait() == 0
    async with serving(settings) as live:
        assert await messages(live.http) == ["Tell me", "Once "]
