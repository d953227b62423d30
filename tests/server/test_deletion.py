"""DELETE: what a chat said is gone, unless another chat shows it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from tests.fakes.openai_server import FakeOpenAI
from tests.fakes.wire import Cut, Finish, Say, Step, Wait, says
from tests.server.live import Live, idle, said, stored, until

HI = ("Hi", "Hello.")
LONG = (*HI, "My cat is Tom", "Aha.", "He is old", "Oh.", "Seventeen")
BRANCH = (*HI, "My dog is Rex")


async def turn(live: Live, *texts: str, chat_id: str) -> str:
    """A turn; the session it was stored in."""
    body = {"messages": said(*texts), "metadata": {"chat_id": chat_id}}
    answer = await live.http.post("/v1/chat/completions", json=body)
    assert answer.status_code == 200, answer.text
    await idle(live)
    return answer.headers["x-session-id"]


async def sessions(live: Live) -> list[str]:
    return [s["id"] for s in (await live.http.get("/v1/sessions")).json()["data"]]


def holding(folder: Path, text: str) -> list[str]:
    """The files below a folder in which a text stands."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return [path.name for path in files if text.encode() in path.read_bytes()]


async def test_the_line_that_a_chat_left_goes_with_it(live: Live) -> None:
    await turn(live, *LONG, chat_id="chat")
    await turn(live, *BRANCH, chat_id="chat")
    assert len(await sessions(live)) == 2
    answer = (await live.http.delete("/v1/sessions/chat")).json()
    assert answer["messages"] == 10
    assert await sessions(live) == [] and await live.resources.vectors.count() == 0
    assert not holding(live.resources.settings.db_path, "Seventeen")


async def test_what_another_chat_shows_stays(live: Live) -> None:
    await turn(live, *LONG, chat_id="chat")
    other = await turn(live, *LONG[:5], "Oh, indeed.", "And blind", chat_id="other")
    shown = await stored(live, other)
    await turn(live, *BRANCH, chat_id="chat")
    assert len(await sessions(live)) == 3
    await live.http.delete("/v1/sessions/chat")
    assert await sessions(live) == [other] and await stored(live, other) == shown
    assert not holding(live.resources.settings.db_path, "Seventeen")
    assert not holding(live.resources.settings.db_path, "Rex")


async def test_a_line_that_was_taken_up_again_stays(live: Live) -> None:
    first = await turn(live, *LONG, chat_id="Our chat")
    reply = (await stored(live, first))[-1][1]
    await turn(live, *BRANCH, chat_id="Our chat")
    again = await turn(live, *LONG, reply, "He sleeps", chat_id="Our chat")
    assert again != first
    kept = await stored(live, again)
    await live.http.delete(f"/v1/sessions/{first}")
    assert await sessions(live) == [again]
    assert await stored(live, again) == kept


async def test_a_line_of_another_chat_stays(live: Live) -> None:
    """Both chats begin alike, and each has left a line."""
    await turn(live, *LONG, chat_id="chat")
    other = (*LONG[:5], "Oh, indeed.", "Blind", "Poor thing.", "And deaf")
    await turn(live, *other, chat_id="other")
    await turn(live, *BRANCH, chat_id="other")
    before = {s: await stored(live, s) for s in await sessions(live)}
    await turn(live, *BRANCH, "Woof.", "A puppy", chat_id="chat")
    await live.http.delete("/v1/sessions/chat")
    left = {s: await stored(live, s) for s in await sessions(live)}
    assert left == {s: shown for s, shown in before.items() if s in left} and len(left) == len(before) - 1
    assert any(("user", "And deaf") in shown for shown in left.values())
    assert not holding(live.resources.settings.db_path, "Seventeen")


async def test_a_chats_id_means_every_line_that_had_it(live: Live) -> None:
    first = await turn(live, *LONG, chat_id="Our chat")
    reply = (await stored(live, first))[-1][1]
    await turn(live, *BRANCH, chat_id="Our chat")
    again = await turn(live, *LONG, reply, "He sleeps", chat_id="Our chat")
    assert set(await sessions(live)) == {first, again}
    await live.http.delete("/v1/sessions/Our%20chat")
    assert await sessions(live) == []
    assert not holding(live.resources.settings.db_path, "Rex")


@pytest.mark.parametrize("how", ["its event", "its id", "CHARACTER/CHAT", "its session's id"])
async def test_a_chat_deleted_during_its_first_turn_does_not_come_into_being(
    live: Live, fake: FakeOpenAI, how: str
) -> None:
    replied = asyncio.Event()
    fake.script([Say("Num"), Wait(replied), Say("bat."), Finish()])
    body = {"messages": said("My numbat"), "metadata": {"chat_id": "N/1", "character": "Mira"}}
    first = asyncio.create_task(live.http.post("/v1/chat/completions", json=body))
    await until(lambda: live.turns.running and live.turns.running[0].turn.session_id)
    names = {"its id": "N/1", "CHARACTER/CHAT": "Mira/N/1"}
    name = quote(names.get(how, live.turns.running[0].turn.session_id), safe="")
    if how == "its event":
        event = {"type": "chat_deleted", "character": "Mira"}
        deletion = asyncio.create_task(live.http.post("/v1/sessions/N%2F1/events", json=event))
    else:
        deletion = asyncio.create_task(live.http.delete(f"/v1/sessions/{name}"))
    await until(lambda: deletion.done() or _is_awaited(live))
    replied.set()
    assert (await first).status_code == 200
    assert (await deletion).status_code == 200
    await idle(live)
    assert await sessions(live) == []
    assert not holding(live.resources.settings.db_path, "numbat")


def _is_awaited(live: Live) -> bool:
    """Whether somebody waits for what the turn under way holds."""
    return any(users > 1 for _, users in live.resources.sessions._locks._locks.values())


async def test_a_chat_whose_first_turn_fails_is_none_to_delete(live: Live, fake: FakeOpenAI) -> None:
    failed = asyncio.Event()
    fake.script([Wait(failed), Cut()])
    body = {"messages": said("My numbat"), "metadata": {"chat_id": "N"}}
    first = asyncio.create_task(live.http.post("/v1/chat/completions", json=body))
    await until(lambda: live.turns.running and live.turns.running[0].turn.session_id)
    deletion = asyncio.create_task(live.http.delete("/v1/sessions/N"))
    await until(lambda: deletion.done() or _is_awaited(live))
    failed.set()
    assert (await first).status_code >= 400 and (await deletion).status_code == 404


async def recalls(live: Live, fake: FakeOpenAI, reply: Sequence[Step]) -> httpx.Response:
    """A turn of Mira's other chat that recalls what was said of the xerus."""
    fake.script(reply)
    tag = {"chat_id": "Other", "character": "Mira", "memory_scope": "character"}
    body = {"messages": said("Which code has the safe? Is it xerus and a number?"), "metadata": tag}
    answer = await live.http.post("/v1/chat/completions", json=body)
    assert answer.status_code == 200, answer.text
    assert "xerus-77" in str(fake.calls[-1].body)
    return answer


async def tells(live: Live, chat_id: str, text: str) -> None:
    body = {"messages": said(text), "metadata": {"chat_id": chat_id, "character": "Mira"}}
    assert (await live.http.post("/v1/chat/completions", json=body)).status_code == 200
    await idle(live)


async def test_what_other_chats_recalled_of_it_is_in_no_file(live: Live, fake: FakeOpenAI) -> None:
    await tells(live, "Safe", "The code of the safe is xerus-77.")
    await tells(live, "Other", "Good evening, dear keeper.")
    await recalls(live, fake, says("I forgot."))
    await idle(live)
    assert holding(live.resources.settings.db_path, "xerus-77")
    await live.http.delete("/v1/sessions/Safe")
    assert not holding(live.resources.settings.db_path, "xerus-77")
    assert holding(live.resources.settings.db_path, "dear keeper")
    assert (await stored(live, "Other"))[-1] == ("assistant", "I forgot.")


async def test_a_turn_that_recalls_a_chat_while_it_is_deleted_keeps_none_of_it(
    live: Live, fake: FakeOpenAI
) -> None:
    await tells(live, "Safe", "The code of the safe is xerus-77.")
    replied = asyncio.Event()
    turn = asyncio.create_task(recalls(live, fake, [Say("I "), Wait(replied), *says("forgot.")]))
    calls = len(fake.calls)
    await until(lambda: len(fake.calls) > calls)
    assert (await live.http.delete("/v1/sessions/Safe")).status_code == 200
    replied.set()
    await turn
    await idle(live)
    assert len(await stored(live, "Other")) == 2
    assert not holding(live.resources.settings.db_path, "xerus-77")


async def test_no_name_of_it_is_left_beside_the_catalog(live: Live) -> None:
    await tells(live, "Kittiwake colony", "Good evening.")
    await tells(live, "Other", "Good evening, dear keeper.")
    await live.http.delete("/v1/sessions/Kittiwake%20colony")
    assert not holding(live.resources.settings.db_path, "Kittiwake")
