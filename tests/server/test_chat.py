"""One turn over the API: what is asked, what is answered, how it was understood."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.fakes.openai_server import FakeOpenAI
from tests.fakes.wire import Call, Count, Finish, Say, Think, Wait, says
from tests.server.live import Live, said, stored, until


def body(*texts: str, **more: Any) -> dict[str, Any]:
    return {"model": "stub-model", "messages": said(*texts), **more}


async def test_an_answer_comes_in_one_json_body(live: Live, fake: FakeOpenAI) -> None:
    fake.script([Say("Good "), Say("evening."), Finish("length"), Count(70, 3)])
    answer = await live.openai.chat.completions.create(
        **body("Hello there"), extra_headers={"X-Chat-Id": "c1"}
    )
    assert answer.object == "chat.completion" and answer.model == "stub-model"
    assert [c.index for c in answer.choices] == [0]
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].message.content == "Good evening."
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage and (answer.usage.prompt_tokens, answer.usage.total_tokens) == (70, 73)


async def test_headers_say_how_the_request_was_understood(live: Live) -> None:
    first = await live.http.post("/v1/chat/completions", json=body("Hello"), headers={"X-Chat-Id": "c1"})
    assert first.headers["x-turn-kind"] == "normal"
    assert first.headers["x-turn-change"] == "new"
    assert first.headers["x-turn-id"] and first.headers["x-session-id"]
    reply = first.json()["choices"][0]["message"]["content"]
    second = await live.http.post(
        "/v1/chat/completions", json=body("Hello", reply, "And then?"), headers={"X-Chat-Id": "c1"}
    )
    assert second.headers["x-turn-change"] == "append"
    again = await live.http.post(
        "/v1/chat/completions", json=body("Hello", reply, "And then?"), headers={"X-Chat-Id": "c1"}
    )
    assert again.headers["x-turn-change"] == "retry"
    assert {r.headers["x-session-id"] for r in (first, second, again)} == {first.headers["x-session-id"]}


async def test_the_chat_id_in_the_path_names_the_same_chat_as_the_header(live: Live) -> None:
    first = await live.http.post("/c/our%20chat/v1/chat/completions", json=body("Hello"))
    second = await live.http.post(
        "/v1/chat/completions", json=body("Hello"), headers={"X-Chat-Id": "our chat"}
    )
    assert first.headers["x-session-id"] == second.headers["x-session-id"]
    assert (await live.http.get("/c/our%20chat/v1/models")).json()["object"] == "list"


async def test_content_may_be_parts_and_parts_reach_the_provider(live: Live, fake: FakeOpenAI) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    parts = [{"type": "text", "text": "What is this?"}, image]
    await live.openai.chat.completions.create(
        model="stub-model",
        messages=[{"role": "user", "content": parts}],  # type: ignore[misc, list-item]
        extra_headers={"X-Chat-Id": "c1"},
    )
    sent = fake.calls[0].body["messages"][-1]["content"]
    assert image in sent
    assert (await stored(live, "c1"))[0] == ("user", "What is this?")


@pytest.mark.parametrize("kind", ["normal", "quiet", "raw"])
async def test_a_developer_message_reaches_the_provider_as_it_came(
    live: Live, fake: FakeOpenAI, kind: str
) -> None:
    card = {"role": "developer", "content": "You are Mira, a lighthouse keeper."}
    request = {"messages": [card, *said("Hello")], "metadata": {"chat_id": "c1", "kind": kind}}
    assert (await live.http.post("/v1/chat/completions", json=request)).status_code == 200
    assert fake.calls[0].body["messages"][0] == card


@pytest.mark.parametrize("name", ["", "Alex: "], ids=["as it came", "without its speaker's name"])
async def test_a_message_that_moved_into_a_developer_message_stays_in_the_chat(
    live: Live, fake: FakeOpenAI, name: str
) -> None:
    key = "The key is under the blue stone."
    texts = ["Hello", "Hi.", f"{name}{key}", "Noted.", "Where is it?", "There."]
    tag = {"chat_id": "c1", "user_name": "Alex"}
    for count in (1, 3, 5):
        fake.script([Say(texts[count]), Finish(), Count()])
        request = {"messages": said(*texts[:count]), "metadata": tag}
        assert (await live.http.post("/v1/chat/completions", json=request)).status_code == 200
    chat = said(*texts, "Thanks")
    chat.pop(2)
    note = {"role": "developer", "content": f"Remember: {key}"}
    request = {"messages": [note, *chat], "metadata": tag}
    assert (await live.http.post("/v1/chat/completions", json=request)).status_code == 200
    texts[2] = key
    assert [text for _, text in await stored(live, "c1")][:7] == [*texts, "Thanks"]


async def test_fields_we_do_not_know_reach_the_provider_and_metadata_is_ours(
    live: Live, fake: FakeOpenAI
) -> None:
    await live.http.post(
        "/v1/chat/completions",
        json=body("Hello", min_p=0.05, temperature=0.7, metadata={"chat_id": "c9"}),
    )
    assert fake.calls[0].body["min_p"] == 0.05
    assert fake.calls[0].body["temperature"] == 0.7
    assert "metadata" not in fake.calls[0].body
    assert await stored(live, "c9")


async def test_n_gives_choices_by_index_and_the_first_is_the_chat(live: Live, fake: FakeOpenAI) -> None:
    fake.script(says("One."), says("Two."))
    answer = await live.openai.chat.completions.create(
        **body("Hello"), n=2, extra_headers={"X-Chat-Id": "c1"}
    )
    assert [c.index for c in answer.choices] == [0, 1]
    assert sorted(c.message.content or "" for c in answer.choices) == ["One.", "Two."]
    assert await stored(live, "c1") == [("user", "Hello"), ("assistant", answer.choices[0].message.content)]


async def test_reasoning_is_passed_on_and_not_remembered(live: Live, fake: FakeOpenAI) -> None:
    fake.script([Think("Hm, "), Think("a greeting."), Say("Hello!"), Finish(), Count()])
    answer = await live.openai.chat.completions.create(**body("Hi Mira"), extra_headers={"X-Chat-Id": "c1"})
    message = answer.choices[0].message.model_dump()
    assert message["reasoning_content"] == "Hm, a greeting."
    assert message["content"] == "Hello!"
    assert await stored(live, "c1") == [("user", "Hi Mira"), ("assistant", "Hello!")]


async def test_tool_calls_are_put_together_and_not_remembered(live: Live, fake: FakeOpenAI) -> None:
    fake.script(
        [
            Call('{"place": ', id="call_1", name="look"),
            Call('"sea"}'),
            Finish("tool_calls"),
            Count(),
        ]
    )
    tool: Any = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
    answer = await live.openai.chat.completions.create(
        **body("Look at the sea"), tools=[tool], extra_headers={"X-Chat-Id": "c1"}
    )
    assert answer.choices[0].finish_reason == "tool_calls"
    assert answer.choices[0].message.content is None
    calls = answer.choices[0].message.tool_calls or []
    assert [(c.id, c.function.name, json.loads(c.function.arguments)) for c in calls] == [
        ("call_1", "look", {"place": "sea"})
    ]
    assert await stored(live, "c1") == [("user", "Look at the sea")]


@pytest.mark.parametrize("kind", ["quiet", "raw", "test", "impersonate"])
async def test_what_is_no_chat_turn_writes_nothing(live: Live, kind: str) -> None:
    await live.http.post("/v1/chat/completions", json=body("Hello", metadata={"chat_id": "c1"}))
    before = (await stored(live, "c1"), (await live.http.get("/v1/sessions/c1")).json())
    answer = await live.http.post(
        "/v1/chat/completions",
        json=body("Summarise this.", "So it was.", "Go on.", metadata={"chat_id": "c1", "kind": kind}),
    )
    assert answer.status_code == 200
    assert answer.headers["x-turn-kind"] == kind
    assert (await stored(live, "c1"), (await live.http.get("/v1/sessions/c1")).json()) == before


async def test_models_lists_the_providers_and_finds_one(live: Live, fake: FakeOpenAI) -> None:
    models = [model.id async for model in live.openai.models.list()]
    assert models == ["stub-model"]
    assert (await live.openai.models.retrieve("stub-model")).object == "model"
    missing = await live.http.get("/v1/models/meta/none")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "not_found")


async def test_turns_of_one_session_wait_for_each_other(live: Live, fake: FakeOpenAI) -> None:
    gate = asyncio.Event()
    fake.script([Say("First."), Wait(gate), Finish(), Count()], says("Second."))
    chat = {"X-Chat-Id": "c1"}
    first = asyncio.create_task(live.openai.chat.completions.create(**body("Hello"), extra_headers=chat))
    await until(lambda: fake.calls)
    second = asyncio.create_task(live.openai.chat.completions.create(**body("Hello"), extra_headers=chat))
    await until(lambda: len(live.turns.running) == 2)
    elsewhere = await live.openai.chat.completions.create(**body("Hello"), extra_headers={"X-Chat-Id": "c2"})
    assert elsewhere.choices[0].message.content == "Second."
    assert len(fake.calls) == 2 and not second.done(), "the second turn of c1 waits for the first"
    gate.set()
    await asyncio.gather(first, second)
    assert len(fake.calls) == 3


@pytest.mark.parametrize("told", [{"kind": "regenerate"}, {"kind": "swipe"}, {"gen_type": "swipe"}])
async def test_a_reply_asked_for_again_takes_the_last_ones_place_where_only_the_newest_message_fits(
    live: Live, fake: FakeOpenAI, told: dict[str, str]
) -> None:
    card = {"role": "system", "content": "You are Mira, keeper of a lighthouse."}
    tag = {"chat_id": "long card", "character": "Mira", "user_name": "Alex"}
    lines = ["Good evening.", "Is there soup?"]
    for text, metadata in ((lines[0], tag), (lines[1], tag), (lines[1], tag | told), ("And bread?", tag)):
        fake.script(says(f"Reply {len(fake.calls)}"))
        body = {"messages": [card, {"role": "user", "content": text}], "metadata": metadata}
        assert (await live.http.post("/v1/chat/completions", json=body)).status_code == 200
    assert [text for _, text in await stored(live, "long card")] == [
        *(lines[0], "Reply 0", lines[1], "Reply 2"),
        *("And bread?", "Reply 3"),
    ]
    assert "Reply 1" not in str(fake.calls[2].body["messages"])


async def test_what_a_client_s_user_says_is_kept_whatever_it_begins_with(
    live: Live, fake: FakeOpenAI
) -> None:
    for text in ("Good evening.", "Pause your roleplay for a moment: my sister is called Ines."):
        messages = [{"role": "system", "content": "You are Mira."}, {"role": "user", "content": text}]
        body = {"messages": messages, "metadata": {"chat_id": "one by one"}}
        assert (await live.http.post("/v1/chat/completions", json=body)).status_code == 200
    assert "Ines" in str(await stored(live, "one by one"))
