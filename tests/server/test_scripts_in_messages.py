"""A message in which names lead paragraphs is one message, wherever roles alternate."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes.openai_server import FakeOpenAI
from tests.fakes.wire import says
from tests.server.importing import count, messages
from tests.server.live import Live, idle
from tests.server.prompts import s

PLAY = "Alex: I wrote this play\n\nMira: it has two lines\n\nAlex: and a third"
ANSWER = "Alex: nice\n\nMira: thanks\n\nAlex: you are welcome"
TAG = {"chat_id": "c", "character": "Mira", "user_name": "Alex"}
Said = list[tuple[str, str]]


async def ask(
    live: Live, fake: FakeOpenAI, said: Said, answer: str, *, named: bool, tagged: bool = True
) -> str:
    """One turn; the session it is in."""
    who = {"user": "Alex", "assistant": "Mira"}
    rows = [{"role": role, "content": f"{who[role]}: {text}" if named else text} for role, text in said]
    main = "Write Mira's next reply in a fictional chat between Mira and Alex."
    body: dict[str, Any] = {"messages": [s(main), *rows]} | ({"metadata": TAG} if tagged else {})
    fake.script(says(answer))
    response = await live.http.post("/v1/chat/completions", json=body)
    said.append(("assistant", answer))
    await idle(live)
    return str(response.headers["x-session-id"])


async def check(live: Live, session: str, said: Said) -> None:
    rows = await messages(live, session)
    who = {"user": "Alex", "assistant": "Mira"}
    assert [(m["speaker"], m["content"]) for m in rows] == [(who[role], text) for role, text in said]


@pytest.mark.parametrize("tagged", [False, True], ids=["untagged", "tagged"])
async def test_a_client_that_writes_no_names_merges_nothing(
    live: Live, fake: FakeOpenAI, tagged: bool
) -> None:
    said: Said = [("user", PLAY)]
    for n in range(3):
        session = await ask(live, fake, said, ANSWER if n < 2 else "No.", named=False, tagged=tagged)
        rows = await messages(live, session)
        assert [m["content"].removeprefix("Alex: ") for m in rows] == [
            text.removeprefix("Alex: ") for _, text in said
        ]
        assert await count(live) == len(said)
        said.append(("user", "go on" if n else PLAY + "\n\nMira: again"))


async def test_a_reply_that_is_stored_whole_stays_whole(live: Live, fake: FakeOpenAI) -> None:
    said: Said = [("assistant", "The kettle sings."), ("user", "good evening")]
    reply = "I nod slowly.\n\nAlex: What do you want?\n\nMira: Nothing.\n\nMira: Nothing at all."
    for n in range(3):
        session = await ask(live, fake, said, reply if not n else f"Yes, the {n}th.", named=True)
        await check(live, session, said)
        assert await count(live) == len(said)
        said.append(("user", f"really, {n}?"))


async def test_what_an_event_tells_of_a_message_holds(live: Live, fake: FakeOpenAI) -> None:
    said: Said = [("assistant", "The kettle sings."), ("user", PLAY.removeprefix("Alex: "))]
    session = await ask(live, fake, said, "I see.", named=True)
    who = {"user": "Alex", "assistant": "Mira"}
    rows = [{"role": role, "name": who[role], "content": text} for role, text in said]
    event = {"type": "reply", "messages": rows, "character": "Mira", "user_name": "Alex"}
    await live.http.post("/v1/sessions/c/events", json=event)
    before = await count(live)
    said.append(("user", "and now?"))
    await ask(live, fake, said, "Sleep.", named=True)
    await check(live, session, said)
    assert await count(live) == before + 2


async def test_messages_that_were_merged_are_several(live: Live, fake: FakeOpenAI) -> None:
    said: Said = [("assistant", "The kettle sings."), ("user", "good evening\n\nAlex: are you there?")]
    session = await ask(live, fake, said, "I am.", named=True)
    said[1:2] = [("user", "good evening"), ("user", "are you there?")]
    await check(live, session, said)
