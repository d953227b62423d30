"""The same chat imported again: nothing twice, nothing newer lost, and what its user did to it meanwhile."""

from __future__ import annotations

import pytest

from tests.fakes.openai_server import FakeOpenAI
from tests.fakes.wire import says
from tests.server.importing import MIRA, SHOWN, count, put, send, shown
from tests.server.live import Live, idle
from tests.server.silly_files import chat, line


async def test_importing_twice_changes_nothing(live: Live) -> None:
    await put(live, chat(*MIRA, line("Alex", "hidden", 6, is_system=True)))
    await idle(live)
    before = (await live.http.get("/v1/export")).text
    again = await put(live, chat(*MIRA, line("Alex", "hidden", 6, is_system=True)))
    assert again["added"] == 0
    assert (await live.http.get("/v1/export")).text == before


async def test_an_older_copy_takes_nothing_back(live: Live, fake: FakeOpenAI) -> None:
    (session,) = (await put(live, chat(*MIRA)))["sessions"]
    fake.script(says("Ines."))
    await send(live, SHOWN, "What is her name?")
    before = await shown(live, session["id"])
    report = await put(live, chat(*MIRA))
    assert report["added"] == 0 and await shown(live, session["id"]) == before


async def test_a_chat_that_was_live_first_is_not_stored_again(live: Live, fake: FakeOpenAI) -> None:
    fake.script(says("A good name."))
    await send(live, SHOWN[:1], SHOWN[1][1])
    fake.script(says("They pay my wages."))
    session = (await send(live, SHOWN[:3], SHOWN[3][1])).headers["x-session-id"]
    report = await put(live, chat(*MIRA))
    assert [s["id"] for s in report["sessions"]] == [session]
    assert (report["added"], report["swipes"]) == (0, 2)
    assert await shown(live, session) == SHOWN


async def test_a_swipe_that_is_stored_after_other_messages_is_not_stored_again(
    live: Live, fake: FakeOpenAI
) -> None:
    fake.script(says("Why?"), says("Good."))
    tag = {"metadata": {"chat_id": "Mira - 1", "character": "Mira", "user_name": "Alex"}}
    await send(live, [("assistant", "Hello, Alex.")], "A storm.", **tag)
    await send(live, [("assistant", "Hello, Alex."), ("user", "A storm.")], "Look.", **tag)
    before = await count(live)
    reply = line("Mira", "Good.", 4, swipes=["Why?", "Good."], swipe_id=1)
    file = chat(line("Mira", "Hello, Alex."), line("Alex", "A storm.", 2), line("Alex", "Look.", 3), reply)
    assert (await put(live, file))["swipes"] == 0
    assert await count(live) == before


async def test_a_hidden_message_that_is_stored_after_other_messages_is_not_stored_again(
    live: Live, fake: FakeOpenAI
) -> None:
    fake.script(says("Why?"), says("Good."))
    tag = {"metadata": {"chat_id": "Mira - 1", "character": "Mira", "user_name": "Alex"}}
    await send(live, [("assistant", "Hello, Alex.")], "A storm.", **tag)
    await send(live, [("assistant", "Hello, Alex."), ("user", "Rain."), ("assistant", "Why?")], "Yes.", **tag)
    before = await count(live)
    hidden = line("Mira", "Why?", 3, is_system=True)
    said = [line("Mira", "Hello, Alex."), line("Alex", "Rain.", 2), hidden]
    assert (await put(live, chat(*said, line("Alex", "Yes.", 4), line("Mira", "Good.", 5))))["hidden"] == 0
    assert await count(live) == before


async def test_an_older_copy_takes_nothing_from_a_message_that_was_stored_merged(
    live: Live, fake: FakeOpenAI
) -> None:
    fake.script(says("Good."))
    tag = {"metadata": {"chat_id": "Mira - 1", "character": "Mira", "user_name": "Alex"}}
    card = {"role": "system", "content": "Write Mira's next reply in a fictional chat between Mira and Alex."}
    greeting = {"role": "assistant", "content": "Hello, Alex."}
    asked = [card, greeting, {"role": "user", "content": "A storm.\n\nLook."}]
    await live.http.post("/v1/chat/completions", json={"messages": asked, **tag})
    old = chat(
        *(line(*said) for said in (("Mira", "Hello, Alex."), ("Alex", "A storm.", 2), ("Mira", "Why?", 3)))
    )
    [session] = (await put(live, old))["sessions"]
    assert [text for _, text in await shown(live, session["id"])] == [
        "Hello, Alex.",
        "A storm.\n\nLook.",
        "Good.",
    ]


@pytest.mark.parametrize(
    "end",
    [
        [line("Alex", "What is her name?", 6), line("Mira", "Ines.", 6, is_system=True)],
        [
            line("Alex", "What is her name?", 6),
            line("Mira", "Rosa.", 6, swipes=["Rosa.", "Ines."], swipe_id=0),
        ],
    ],
    ids=["hidden", "swiped back"],
)
async def test_the_end_of_a_chat_that_its_user_put_away_is_off_the_path(
    live: Live, fake: FakeOpenAI, end: list[dict[str, object]]
) -> None:
    (session,) = (await put(live, chat(*MIRA)))["sessions"]
    fake.script(says("Ines."))
    await send(live, SHOWN, "What is her name?")
    report = await put(live, chat(*MIRA, *end))
    visible = [("assistant", str(said["mes"])) for said in end[1:] if not said["is_system"]]
    assert report["sessions"][0]["id"] == session["id"]
    assert await shown(live, session["id"]) == [*SHOWN, ("user", "What is her name?"), *visible]


async def test_a_chat_is_the_same_when_every_message_of_it_was_edited(live: Live) -> None:
    (begun,) = (await put(live, chat(*MIRA[:2])))["sessions"]
    edited = chat(line("Mira", "Who is there?", 1), line("Alex", "It is me.", 2))
    for _ in range(2):
        (session,) = (await put(live, edited))["sessions"]
    assert session["id"] == begun["id"]
    assert [text for _, text in await shown(live, begun["id"])] == ["Who is there?", "It is me."]


async def test_a_chat_that_went_on_without_an_id_after_its_end_was_deleted_is_the_same_file(
    live: Live, fake: FakeOpenAI
) -> None:
    more = [line("Alex", "And rain?", 6), line("Mira", "Less.", 6), line("Alex", "And fog?", 7)]
    await put(live, chat(*MIRA, *more, line("Mira", "Never.", 7)))
    fake.script(says("Ines."))
    session = (await send(live, SHOWN[:3], "What is her name?")).headers["x-session-id"]
    went_on = chat(*MIRA[:3], line("Alex", "What is her name?", 8), line("Mira", "Ines.", 8))
    report = await put(live, went_on)
    assert [s["id"] for s in report["sessions"]] == [session] and report["added"] == 0
    listed = (await live.http.get("/v1/sessions")).json()["data"]
    assert [s["id"] for s in listed if not s["left_behind"]] == [session]


async def test_an_edit_of_the_last_reply_is_taken_although_the_reply_is_dated_by_when_it_began(
    live: Live, fake: FakeOpenAI
) -> None:
    await put(live, chat(*MIRA))
    fake.script(says("Ines."))
    session = (await send(live, SHOWN, "What is her name?")).headers["x-session-id"]
    edited = [line("Alex", "What is her name?", 6), line("Mira", "Rosa.", 6)]
    await put(live, chat(*MIRA, *edited))
    assert (await shown(live, session))[-1] == ("assistant", "Rosa.")
