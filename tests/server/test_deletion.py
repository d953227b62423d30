"""DELETE: what a chat said is gone, unless another chat shows it."""

from __future__ import annotations

from pathlib import Path

from tests.server.live import Live, idle, said, stored

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
