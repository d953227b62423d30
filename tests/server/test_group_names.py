"""Who speaks in a group: live, imported, exported and told by events, a message is the same message."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from graph.settings import Settings, load_settings
from tests.fakes.openai_server import FakeOpenAI
from tests.fakes.wire import says
from tests.server.importing import messages, put
from tests.server.live import Live, idle, serving
from tests.server.silly_files import chat, line

CAST = {"Mira": "Mira.png", "Tobias": "Tobias.png"}
SPOKEN = [
    ("Mira", "Tea?"),
    ("Alex", "Rum: please."),
    ("Tobias", "Aye: rum."),
    ("Alex", "Mira?"),
    ("Mira", "No: a joke."),
]


def as_file(spoken: list[tuple[str, str]]) -> bytes:
    return chat(
        *(
            line(who, text, 2, **({"original_avatar": CAST[who]} if who in CAST else {}))
            for who, text in spoken
        )
    )


def request(spoken: list[tuple[str, str]], speaker: str) -> dict[str, Any]:
    """What SillyTavern sends when a member is to answer (Any: JSON)."""
    nudge = {"role": "system", "content": f"[Write the next reply only as {speaker}.]"}
    start = {"role": "system", "content": "[Start a new group chat. Group members: Mira, Tobias]"}
    said = [
        {"role": "user", "content": text}
        if who == "Alex"
        else {"role": "assistant", "content": f"{who}: {text}"}
        for who, text in spoken
    ]
    system = {
        "role": "system",
        "content": f"Write {speaker}'s next reply in a fictional chat between {speaker} and Alex.",
    }
    return {"messages": [system, start, *said, nudge], "metadata": {"chat_id": "g1"}}


async def play(live: Live, fake: FakeOpenAI, spoken: list[tuple[str, str]]) -> str:
    """Have a group chat; the session it is in."""
    session = ""
    for n, (who, text) in enumerate(spoken):
        if who != "Alex" and n:
            fake.script(says(text))
            answer = await live.http.post("/v1/chat/completions", json=request(spoken[:n], who))
            session = answer.headers["x-session-id"]
            await idle(live)
    return session


async def told(live: Live, session: str) -> list[tuple[str, str]]:
    return [(m["speaker"], m["content"]) for m in await messages(live, session)]


async def exported(live: Live) -> list[tuple[str, str]]:
    rows = map(json.loads, (await live.http.get("/v1/export")).text.splitlines())
    return [(row["speaker"], row["text"]) for row in rows if row.get("kind") == "message"]


async def test_live_and_imported_a_group_says_the_same(live: Live, fake: FakeOpenAI) -> None:
    session = await play(live, fake, SPOKEN)
    assert await told(live, session) == SPOKEN
    report = await put(live, as_file(SPOKEN), name="group chats/g1.jsonl", group=True)
    assert (report["added"], report["sessions"][0]["id"]) == (0, session)
    assert await told(live, session) == SPOKEN


async def test_an_imported_group_goes_on_live_and_is_exported_as_it_was_said(
    live: Live, fake: FakeOpenAI, settings: Settings, tmp_path: Path
) -> None:
    (session,) = (await put(live, as_file(SPOKEN[:3]), name="group chats/g1.jsonl", group=True))["sessions"]
    fake.script(says(SPOKEN[4][1]))
    answer = await live.http.post("/v1/chat/completions", json=request(SPOKEN[:4], "Mira"))
    assert (answer.headers["x-session-id"], answer.headers["x-turn-change"]) == (session["id"], "append")
    await idle(live)
    assert await told(live, session["id"]) == SPOKEN and await exported(live) == SPOKEN
    content = (await live.http.get("/v1/export")).content
    other = load_settings(**settings.model_dump() | {"db_path": tmp_path / "other"})
    async with serving(other) as restored:
        await put(restored, content, name="chats.jsonl")
        assert await told(restored, session["id"]) == SPOKEN


async def test_live_and_imported_it_is_exported_as_the_same_messages(
    live: Live, fake: FakeOpenAI, settings: Settings, tmp_path: Path
) -> None:
    """A text is kept as it was received, with the name that a request had before it; a message is the same
    without."""
    await play(live, fake, SPOKEN)
    other = load_settings(**settings.model_dump() | {"db_path": tmp_path / "other"})
    async with serving(other) as elsewhere:
        await put(elsewhere, as_file(SPOKEN), name="group chats/g1.jsonl", group=True)
        assert await exported(elsewhere) == SPOKEN
        assert await marks(elsewhere) == await marks(live)
        content = (await live.http.get("/v1/export")).content
        report = await put(elsewhere, content, name="chats.jsonl")
        (session,) = report["sessions"]
        assert await told(elsewhere, session["id"]) == SPOKEN
    assert [(who, text.removeprefix(f"{who}: ")) for who, text in await exported(live)] == SPOKEN


async def marks(live: Live) -> list[tuple[str, int]]:
    """Speaker and fingerprint of every stored message."""
    rows = map(json.loads, (await live.http.get("/v1/export")).text.splitlines())
    return [(row["speaker"], row["fingerprint"]) for row in rows if row.get("kind") == "message"]


async def test_an_event_of_the_group_changes_nothing(live: Live, fake: FakeOpenAI) -> None:
    session = await play(live, fake, SPOKEN)
    rows = [
        {"role": "user" if who == "Alex" else "assistant", "name": who, "content": text}
        for who, text in SPOKEN
    ]
    event = {"type": "open", "messages": rows, "user_name": "Alex"}
    answer = (await live.http.post("/v1/sessions/g1/events", json=event)).json()
    assert (answer["id"], answer["changed"]) == (session, False)
    assert await told(live, session) == SPOKEN


async def test_what_is_refilled_into_the_prompt_has_its_name_as_the_request_had_it(
    live: Live, fake: FakeOpenAI
) -> None:
    cast = ("Mira", "Alex", "Tobias", "Alex")
    spoken = [(cast[n % 4], f"Line {n}.") for n in range(8)]
    await play(live, fake, spoken)
    for first, refilled in ((2, 2), (6, 2)):
        body = request(spoken, "Mira")
        shown = body["messages"][:2] + body["messages"][2 + refilled :]
        del body["messages"][2 : 2 + first]
        body["metadata"]["memory_scope"] = "off"
        fake.script(says("Hm."))
        await live.http.post("/v1/chat/completions", json=body)
        assert fake.calls[-1].body["messages"] == shown
        spoken += [("Mira", "Hm."), *((cast[n % 4], f"And line {n}, a longer one.") for n in range(1, 4))]
