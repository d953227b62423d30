"""What a front-end tells between requests is in memory before the next request comes."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import quote

import pytest

from tests.fakes.openai_server import FakeOpenAI
from tests.fakes.wire import Count, Finish, Say, Wait, says
from tests.server.live import Live, idle, said, stored, until

CHAT = "Mira - 2026-11-22@10h04m05s123ms"
AT = f"/v1/sessions/{quote(CHAT, safe='')}"
JSON = {"content-type": "application/json"}
GREETING = {"role": "assistant", "content": "*Mira looks up.* You are late."}


async def turn(live: Live, messages: list[Any], chat_id: str = CHAT) -> dict[str, Any]:
    """One turn; the chat as the front-end shows it afterwards is the messages and the reply."""
    answer = await live.http.post(
        "/v1/chat/completions", json={"messages": messages, "metadata": {"chat_id": chat_id}}
    )
    assert answer.status_code == 200, answer.text
    reply: dict[str, Any] = answer.json()["choices"][0]["message"]
    return {"role": "assistant", "content": reply["content"]}


async def tell(live: Live, kind: str, messages: list[Any], at: str = AT, **more: Any) -> dict[str, Any]:
    answer = await live.http.post(f"{at}/events", json={"type": kind, "messages": messages, **more})
    assert answer.status_code in (200, 202), answer.text
    taken: dict[str, Any] = answer.json()
    return taken


def shown(messages: list[Any]) -> list[tuple[str, str]]:
    return [(m["role"], m["content"]) for m in messages if m["role"] != "system"]


@pytest.fixture
async def chat(live: Live, fake: FakeOpenAI) -> list[Any]:
    """A chat of five messages, as the front-end shows it."""
    fake.script(says("It rains."), says("Harbour is closed."))
    messages = [GREETING, {"role": "user", "content": "Good evening."}]
    messages.append(await turn(live, messages))
    messages.append({"role": "user", "content": "Can we sail?"})
    messages.append(await turn(live, messages))
    return messages


async def test_after_each_event_memory_is_the_visible_chat_before_any_request(
    live: Live, chat: list[Any]
) -> None:
    swiped = [*chat[:4], {"role": "assistant", "content": "Tomorrow, perhaps."}]
    edited = [*swiped[:1], {"role": "user", "content": "Good morning."}, *swiped[2:]]
    hidden = [*edited[:2], *edited[3:]]
    events = [
        ("swipe", swiped),
        ("swipe", chat),
        ("swipe", swiped),
        ("edit", edited),
        ("hide", hidden),
        ("unhide", edited),
        ("delete", edited[:4]),
        ("delete", edited[:2]),
        ("delete", edited[1:2]),
        ("change", chat),
        ("delete", chat[3:]),
        ("hide", []),
        ("unhide", chat),
    ]
    for kind, messages in events:
        assert (await tell(live, kind, messages))["changed"], kind
        assert await stored(live, quote(CHAT, safe="")) == shown(messages), kind


async def test_the_same_event_again_changes_nothing(live: Live, chat: list[Any]) -> None:
    edited = [*chat[:1], {"role": "user", "content": "Good morning."}, *chat[2:]]
    first = await tell(live, "edit", edited)
    again = await tell(live, "edit", edited)
    assert (first["changed"], again["changed"]) == (True, False)
    assert again["version"] == first["version"] and again["messages"] == 5
    assert not (await tell(live, "reply", edited))["changed"]


async def test_what_comes_back_is_the_message_it_was(live: Live, chat: list[Any]) -> None:
    await idle(live)
    before = (await live.http.get(f"{AT}/messages")).json()
    for messages in (chat[:2], [*chat[:2], *chat[3:]], chat[1:], chat[:4], chat):
        await tell(live, "change", messages)
    await idle(live)
    assert (await live.http.get(f"{AT}/messages")).json() == before


async def test_nothing_that_left_is_recalled_and_the_next_request_goes_on(
    live: Live, fake: FakeOpenAI, chat: list[Any]
) -> None:
    deleted = chat[:2]
    await tell(live, "delete", deleted)
    request = [*deleted, {"role": "user", "content": "Are you there?"}]
    answer = await live.http.post(
        "/v1/chat/completions", json={"messages": request, "metadata": {"chat_id": CHAT}}
    )
    assert answer.headers["x-turn-change"] == "append"
    assert await stored(live, quote(CHAT, safe="")) == [
        *shown(request),
        ("assistant", answer.json()["choices"][0]["message"]["content"]),
    ]


async def test_speakers_named_apart_are_kept_and_prefixes_are_the_same_message(
    live: Live, chat: list[Any]
) -> None:
    named = [m | {"name": "Mira" if m["role"] == "assistant" else "Alex"} for m in chat]
    prefixed = [m | {"content": f"{m['name']}: {m['content']}"} for m in named]
    await tell(live, "open", named)
    messages = (await live.http.get(f"{AT}/messages")).json()["data"]
    assert [m["speaker"] for m in messages] == [m["name"] for m in named]
    assert not (await tell(live, "open", named))["changed"]
    assert not (await tell(live, "open", prefixed))["changed"]
    new = {"role": "assistant", "name": "Tom", "content": "Ahoy."}
    await tell(live, "change", [*named, new])
    messages = (await live.http.get(f"{AT}/messages")).json()["data"]
    assert messages[-1]["speaker"] == "Tom"


async def test_a_name_written_before_a_message_is_its_speaker_and_not_what_was_said(live: Live) -> None:
    members = {"chat_id": CHAT, "character": "Mira", "user_name": "Alex"}
    messages = said("Alex: Who is there?", "Mira:  Only me: Mira.", "Alex: Alex: x")
    answer = await live.http.post("/v1/chat/completions", json={"messages": messages, "metadata": members})
    assert answer.status_code == 200, answer.text
    shown = (await live.http.get(f"{AT}/messages")).json()["data"]
    assert [(m["speaker"], m["content"]) for m in shown[:3]] == [
        ("Alex", "Who is there?"),
        ("Mira", " Only me: Mira."),
        ("Alex", "Alex: x"),
    ]


async def test_what_post_processing_glued_to_a_message_is_no_part_of_what_the_chat_shows(live: Live) -> None:
    card = {"role": "system", "content": "Write Mira's next reply in a fictional chat between Mira and Alex."}
    asked = [GREETING, {"role": "user", "content": "I hear oars.\n\nStay with Mira's voice."}]
    reply = await turn(live, [card, *asked])
    chat = [GREETING, {"role": "user", "content": "I hear oars."}, reply]
    assert (await tell(live, "reply", chat))["changed"]
    assert await stored(live, quote(CHAT, safe="")) == shown(chat)
    assert not (await tell(live, "reply", chat))["changed"]


async def test_paragraphs_that_look_like_other_messages_are_one_message(live: Live, chat: list[Any]) -> None:
    twice = f"Alex: {chat[1]['content']}\n\nMira: {chat[2]['content']}"
    told = [*chat[:3], chat[3] | {"content": twice, "name": "Alex"}, chat[4]]
    await tell(live, "edit", told, character="Mira", user_name="Alex")
    assert len(await stored(live, quote(CHAT, safe=""))) == 5


async def test_narrator_lines_and_empty_messages_are_nobodys_words(live: Live, chat: list[Any]) -> None:
    more = [*chat[:2], {"role": "system", "content": "Night falls."}, *chat[2:], said(" ")[0]]
    assert not (await tell(live, "open", more))["changed"]


async def test_new_messages_are_embedded_like_any_other(live: Live, chat: list[Any]) -> None:
    await idle(live)
    before = await live.resources.vectors.count()
    await tell(live, "edit", [*chat[:1], {"role": "user", "content": "My cat is called Tom."}, *chat[2:]])
    await idle(live)
    assert await live.resources.vectors.count() == before + 1


async def test_a_chat_that_was_never_answered_is_not_stored(live: Live) -> None:
    answer = await live.http.post(
        "/v1/sessions/unknown/events", json={"type": "open", "messages": [GREETING]}
    )
    assert answer.status_code == 202
    assert answer.json()["id"] == "" and answer.json()["changed"] is False
    assert (await live.http.get("/v1/sessions/unknown")).status_code == 404
    assert (await live.http.get("/v1/sessions/unknown/events")).json()["known"] is False


async def test_a_branch_is_there_when_it_is_opened_and_leaves_its_origin_alone(
    live: Live, chat: list[Any]
) -> None:
    branch = chat[:3]
    taken = await tell(live, "open", branch, "/v1/sessions/Branch%20%231")
    assert taken["changed"] and taken["messages"] == 3
    assert await stored(live, "Branch%20%231") == shown(branch)
    assert await stored(live, quote(CHAT, safe="")) == shown(chat)
    tree = {s["tree_id"] for s in (await live.http.get("/v1/sessions")).json()["data"]}
    assert len(tree) == 1, "a branch shares what it has in common with its origin"


async def test_a_chat_that_went_on_without_an_id_is_adopted_by_its_name(live: Live) -> None:
    messages = [GREETING, *said("Good evening.")]
    messages.append(await turn(live, messages, chat_id=""))
    messages.append({"role": "user", "content": "Can we sail?"})
    messages.append(await turn(live, messages, chat_id=""))
    [session] = (await live.http.get("/v1/sessions")).json()["data"]
    assert session["chat_id"] == ""
    assert (await tell(live, "open", messages, "/v1/sessions/named"))["id"] == session["id"]
    assert (await live.http.get("/v1/sessions/named")).json()["id"] == session["id"]


async def test_a_session_without_a_chat_id_is_known_by_its_own(live: Live) -> None:
    messages = [GREETING, *said("Good evening.")]
    messages.append(await turn(live, messages, chat_id=""))
    [session] = (await live.http.get("/v1/sessions")).json()["data"]
    await tell(live, "delete", messages[:1], f"/v1/sessions/{session['id']}")
    assert await stored(live, session["id"]) == shown(messages[:1])


async def test_an_event_waits_for_the_turn_under_way(live: Live, fake: FakeOpenAI, chat: list[Any]) -> None:
    gate = asyncio.Event()
    fake.script([Say("Late."), Wait(gate), Finish(), Count()])
    request = [*chat, {"role": "user", "content": "And now?"}]
    running = asyncio.create_task(turn(live, request))
    await until(lambda: len(fake.calls) == 3)
    after = [*request, {"role": "assistant", "content": "Late!"}]
    telling = asyncio.create_task(tell(live, "edit", after))
    assert (await live.http.get(AT)).status_code == 200 and not telling.done()
    gate.set()
    await running
    assert (await telling)["changed"]
    assert await stored(live, quote(CHAT, safe="")) == shown(after)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"type": "dance", "messages": []}, "type"),
        ({"type": "edit"}, "messages"),
        ({"type": "edit", "messages": "all"}, "messages"),
        ({"type": "edit", "messages": [{"content": "no role"}]}, "messages[0].role"),
        ({"type": "edit", "messages": [{"role": "nobody", "content": "x"}]}, "messages[0].role"),
        ({"type": "edit", "messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"type": "edit", "messages": [{"role": "user"}]}, "messages"),
        ({"type": "edit", "messages": ["text"]}, "messages[0]"),
        ({"type": "edit", "messages": [{"role": "user", "content": "x", "name": [1]}]}, "messages[0].name"),
    ],
)
async def test_a_wrong_event_is_refused_and_its_field_named(
    live: Live, body: dict[str, Any], param: str
) -> None:
    answer = await live.http.post(f"{AT}/events", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param
    if param == "type":
        assert "'swipe'" in answer.json()["error"]["message"]


async def test_half_a_surrogate_pair_becomes_what_it_is_in_a_request(live: Live, chat: list[Any]) -> None:
    half = "half \ud83d"
    told = {"type": "edit", "character": half, "messages": [{"role": "user", "name": half, "content": half}]}
    answer = await live.http.post(f"{AT}/events", content=json.dumps(told), headers=JSON)
    assert answer.status_code == 200, answer.text
    [message] = (await live.http.get(f"{AT}/messages")).json()["data"]
    assert message["content"] == message["speaker"] == "half \ufffd"
    assert (await live.http.get(AT)).json()["character"] == "half \ufffd"


async def test_a_chat_is_addressed_whatever_its_id_holds(live: Live) -> None:
    messages = [GREETING, *said("Good evening.")]
    for chat_id in ("two\nlines", "a/b", "tab\tand\r\n%0A"):
        at = f"/v1/sessions/{quote(chat_id, safe='')}"
        chat = [*messages, await turn(live, messages, chat_id)]
        taken = await tell(live, "edit", chat[1:], at)
        assert taken["id"] and await stored(live, quote(chat_id, safe="")) == shown(chat[1:])
        assert (await live.http.get(f"{at}/export")).status_code == 200
        assert (await live.http.delete(at)).status_code == 200
    assert (await live.http.get("/v1/sessions")).json()["total"] == 0


async def test_an_unfilled_macro_is_no_chat(live: Live, chat: list[Any]) -> None:
    answer = await live.http.post(
        "/v1/sessions/%7B%7BchatId%7D%7D/events", json={"type": "open", "messages": chat}
    )
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "session_id")


@pytest.mark.parametrize("origin", ["http://127.0.0.1:8000", "http://localhost:8123", "http://[::1]:8000"])
async def test_a_page_of_this_machine_may_send_events(live: Live, origin: str) -> None:
    asks = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    preflight = await live.http.options(f"{AT}/events", headers=asks)
    assert preflight.is_success
    assert preflight.headers["access-control-allow-origin"] == origin
    assert "POST" in preflight.headers["access-control-allow-methods"]
    assert preflight.headers["access-control-allow-headers"] == "content-type"
    sent = await live.http.post(
        f"{AT}/events", json={"type": "open", "messages": []}, headers={"Origin": origin}
    )
    assert sent.status_code == 202 and sent.headers["access-control-allow-origin"] == origin
    asked = await live.http.get(f"{AT}/events", headers={"Origin": origin})
    assert asked.json()["object"] == "session.events"
    assert asked.headers["access-control-allow-origin"] == origin


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "http://127.0.0.1.evil.example", "http://192.168.1.5:8000", "null"]
)
async def test_no_other_page_may(live: Live, chat: list[Any], origin: str) -> None:
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    preflight = await live.http.options(f"{AT}/events", headers=headers)
    sent = await live.http.post(f"{AT}/events", json={"type": "delete", "messages": []}, headers=headers)
    for answer in (preflight, sent):
        assert answer.status_code == 403 and "access-control-allow-origin" not in answer.headers
    assert len(await stored(live, quote(CHAT, safe=""))) == len(chat)


async def test_no_other_endpoint_can_be_read_by_a_page(live: Live, chat: list[Any]) -> None:
    origin = {"Origin": "http://127.0.0.1:8000", "Access-Control-Request-Method": "GET"}
    for path in ("/v1/sessions", AT, f"{AT}/messages", "/health"):
        assert "access-control-allow-origin" not in (await live.http.get(path, headers=origin)).headers
        assert not (await live.http.options(path, headers=origin)).is_success
