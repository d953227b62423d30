"""The API over stored chats: list, look, delete; ids may be anything."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.fakes.openai_server import FakeOpenAI
from tests.fakes.wire import Count, Finish, Say, Wait
from tests.server.live import Live, idle, said, stored, until

HOSTILE = [
    "../../etc/passwd",
    "a/b/messages",
    "..%2f..",
    "c:\\con",
    "'; DROP TABLE sessions; --",
    "Mira, Ältere - 2026-11-22@10h04m 🐦",
    "x" * 300,
    " leading and trailing ",
    "100%",
]


async def turn(live: Live, chat_id: str, *texts: str) -> None:
    answer = await live.http.post(
        "/v1/chat/completions", json={"messages": said(*texts), "metadata": {"chat_id": chat_id}}
    )
    assert answer.status_code == 200, answer.text


async def test_sessions_are_listed_with_the_most_recent_first_and_in_pages(live: Live) -> None:
    for name in ("one", "two", "three"):
        await turn(live, name, f"Hello from {name}")
    await turn(live, "one", "Hello from one")
    everything = (await live.http.get("/v1/sessions")).json()
    assert everything["object"] == "list" and everything["total"] == 3 and not everything["has_more"]
    assert [s["chat_id"] for s in everything["data"]] == ["one", "three", "two"]
    page = (await live.http.get("/v1/sessions", params={"limit": 1, "offset": 1})).json()
    assert [s["chat_id"] for s in page["data"]] == ["three"] and page["has_more"]
    only = (await live.http.get("/v1/sessions", params={"chat_id": "two"})).json()
    assert [s["chat_id"] for s in only["data"]] == ["two"]
    assert (await live.http.get("/v1/sessions", params={"chat_id": "none"})).json()["data"] == []


async def test_a_session_is_found_by_its_id_and_by_its_chats_id(live: Live) -> None:
    await turn(live, "Our Chat", "Hello there!")
    by_chat = (await live.http.get("/v1/sessions/Our%20Chat")).json()
    assert by_chat["messages"] == 2 and by_chat["chat_id"] == "Our Chat"
    assert (await live.http.get(f"/v1/sessions/{by_chat['id']}")).json() == by_chat


async def test_messages_come_oldest_first_and_in_pages(live: Live) -> None:
    await turn(live, "c1", "I am so happy today!")
    everything = (await live.http.get("/v1/sessions/c1/messages")).json()
    assert [m["role"] for m in everything["data"]] == ["user", "assistant"]
    assert {"id", "role", "speaker", "content", "emotion", "confidence", "importance", "created_at"} <= set(
        everything["data"][0]
    )
    assert everything["data"][0]["emotion"] == "joy"
    page = (await live.http.get("/v1/sessions/c1/messages", params={"limit": 1, "offset": 1})).json()
    assert [m["role"] for m in page["data"]] == ["assistant"] and page["total"] == 2


@pytest.mark.parametrize("limit", ["0", "1001", "x"])
async def test_a_page_of_no_sensible_size_is_refused(live: Live, limit: str) -> None:
    answer = await live.http.get("/v1/sessions", params={"limit": limit})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "limit")


async def test_delete_removes_a_chat_from_every_tier(live: Live) -> None:
    await turn(live, "c1", "The key is under the blue stone.")
    await turn(live, "c2", "Something else.")
    await idle(live)
    vectors, codes = await live.resources.vectors.count(), await live.resources.codes.count()
    answer = await live.http.delete("/v1/sessions/c1")
    assert answer.json() == {"id": "c1", "object": "session.deleted", "deleted": True, "messages": 2}
    assert (await live.http.get("/v1/sessions/c1")).status_code == 404
    assert (await live.http.delete("/v1/sessions/c1")).status_code == 404
    assert await live.resources.vectors.count() == vectors - 2
    assert await live.resources.codes.count() == codes - 2
    config = {"configurable": {"thread_id": "local:c1"}}
    assert await live.resources.checkpointer.aget_tuple(config) is None  # type: ignore[arg-type]
    left = files(live.resources.settings.db_path)
    assert not [path.name for path in left if b"blue stone" in path.read_bytes()]
    assert len(await stored(live, "c2")) == 2


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_delete_waits_for_the_turn_under_way(live: Live, fake: FakeOpenAI) -> None:
    await turn(live, "c1", "Hello")
    reply = (await stored(live, "c1"))[1][1]
    gate = asyncio.Event()
    fake.script([Say("Late."), Wait(gate), Finish(), Count()])
    running = asyncio.create_task(turn(live, "c1", "Hello", reply, "And then?"))
    await until(lambda: len(fake.calls) == 2)
    deleting = asyncio.create_task(live.http.delete("/v1/sessions/c1"))
    elsewhere = await live.http.get("/v1/sessions/c1")
    assert elsewhere.status_code == 200 and not deleting.done()
    gate.set()
    await running
    assert (await deleting).json()["messages"] == 4
    assert await stored(live, "c1") == []


@pytest.mark.parametrize("name", HOSTILE)
async def test_any_id_is_a_chat_of_its_own_inside_the_data_folder(live: Live, name: str) -> None:
    folder = live.resources.settings.db_path
    outside = set(folder.parent.iterdir())
    await turn(live, name, f"Hello from {name}")
    await turn(live, "plain", "Hello")
    at = f"/v1/sessions/{quote(name.strip(), safe='')}"
    assert (await live.http.get(at)).json()["chat_id"] == name.strip()
    assert len(await stored(live, quote(name.strip(), safe=""))) == 2
    assert set(folder.parent.iterdir()) == outside
    assert (await live.http.delete(at)).status_code == 200
    assert len(await stored(live, "plain")) == 2


async def test_a_chat_and_one_with_messages_behind_its_id_are_told_apart(live: Live) -> None:
    await turn(live, "foo/messages", "One")
    assert (await live.http.get("/v1/sessions/foo/messages")).status_code == 404
    await turn(live, "foo", "Two")
    assert (await live.http.get("/v1/sessions/foo%2Fmessages")).json()["chat_id"] == "foo/messages"
    assert (await stored(live, "foo"))[0] == ("user", "Two")
    assert (await stored(live, "foo%2Fmessages"))[0] == ("user", "One")


@pytest.mark.parametrize("path", ["/v1/sessions/", "/v1/sessions//messages"])
async def test_an_empty_name_is_no_session(live: Live, path: str) -> None:
    request = {"messages": said("I have no chat id."), "metadata": {"kind": "normal"}}
    turn = await live.http.post("/v1/chat/completions", json=request)
    for method in ("GET", "DELETE"):
        answer = await live.http.request(method, path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    assert len(await stored(live, turn.headers["x-session-id"])) == 2


async def test_an_id_with_any_letters_fits_into_the_headers(live: Live) -> None:
    answer = await live.http.post("/c/Mira%20%F0%9F%90%A6/v1/chat/completions", json={"messages": said("Hi")})
    assert answer.status_code == 200 and answer.headers["x-session-id"].isascii()
