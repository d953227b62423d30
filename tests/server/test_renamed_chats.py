"""A chat that is renamed is the same chat, one that is deleted in the front-end is gone from memory."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

import pytest

from memory.whose import Whose
from tests.fakes.openai_server import FakeOpenAI
from tests.fakes.wire import Finish, Say, Wait, says
from tests.server.importing import MIRA, put
from tests.server.live import Live, idle, until
from tests.server.silly_files import chat as chat_file

Chat = list[dict[str, str]]
GREETING = {"role": "assistant", "content": "*Mira looks up.*"}


def say(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


async def turn(
    live: Live, fake: FakeOpenAI, chat_id: str, chat: Chat, text: str, reply: str, **tag: Any
) -> Chat:
    """One turn in a chat of Mira's, or of the character in `tag`; the chat as it is afterwards."""
    fake.script(says(reply))
    asked = [*chat, say(text)]
    told = {"chat_id": chat_id, "character": "Mira", "user_name": "Alex", **tag}
    answer = await live.http.post("/v1/chat/completions", json={"messages": asked, "metadata": told})
    assert answer.status_code == 200, answer.text
    return [*asked, {"role": "assistant", "content": reply}]


async def tell(live: Live, chat_id: str, kind: str, *, status: int = 200, **told: Any) -> dict[str, Any]:
    body = {"type": kind, "character": "Mira", "user_name": "Alex", **told}
    answer = await live.http.post(f"/v1/sessions/{quote(chat_id, safe='')}/events", json=body)
    assert answer.status_code == status, answer.text
    taken: dict[str, Any] = answer.json()
    return taken


async def sessions(live: Live) -> list[tuple[str, str, int]]:
    """Chat, character and number of messages of every session."""
    listed = (await live.http.get("/v1/sessions")).json()["data"]
    return sorted((one["chat_id"], one["character"], one["messages"]) for one in listed)


@pytest.fixture
async def chat(live: Live, fake: FakeOpenAI) -> Chat:
    """Mira's chat "Old" with two turns."""
    chat = await turn(live, fake, "Old", [GREETING], "My cat is called Pumpernickel.", "Noted.")
    return await turn(live, fake, "Old", chat, "The password is swordfish.", "I keep it.")


async def test_a_renamed_chat_goes_on_as_the_session_it_was(live: Live, fake: FakeOpenAI, chat: Chat) -> None:
    before = (await live.http.get("/v1/sessions/Old")).json()
    taken = await tell(live, "Old", "chat_renamed", new_chat_id="New name")
    assert (taken["id"], taken["changed"], taken["messages"]) == (before["id"], True, 5)
    assert not (await tell(live, "New name", "open", messages=chat))["changed"]
    await turn(live, fake, "New name", chat, "Good night.", "Sleep well.")
    assert await sessions(live) == [("New name", "Mira", 7)]
    assert (await live.http.get("/v1/sessions/New%20name")).json()["id"] == before["id"]
    assert (await tell(live, "Old", "chat_renamed", status=202, new_chat_id="x"))["id"] == ""


@pytest.mark.parametrize("told", [{"new_chat_id": "New"}, {"new_character": "Mirabel"}])
async def test_a_chat_renamed_during_its_first_turn_has_its_new_name(
    live: Live, fake: FakeOpenAI, told: dict[str, str]
) -> None:
    replied = asyncio.Event()
    fake.script([Say("A "), Wait(replied), Say("lamp."), Finish()])
    tag = {"chat_id": "Old", "character": "Mira", "user_name": "Alex"}
    body = {"messages": [GREETING, say("What is this?")], "metadata": tag}
    first = asyncio.create_task(live.http.post("/v1/chat/completions", json=body))
    await until(lambda: live.turns.running and live.turns.running[0].turn.session_id)
    renaming = asyncio.create_task(tell(live, "Old", "chat_renamed", **told))
    await until(lambda: renaming.done() or is_awaited(live))
    replied.set()
    assert (await first).status_code == 200
    assert (await renaming)["changed"]
    await idle(live)
    names = (told.get("new_chat_id", "Old"), told.get("new_character", "Mira"))
    assert await sessions(live) == [(*names, 3)]


def is_awaited(live: Live) -> bool:
    """Whether somebody waits for what the turn under way holds."""
    return any(users > 1 for _, users in live.resources.sessions._locks._locks.values())


@pytest.mark.parametrize("edited", [False, True])
async def test_a_new_name_that_was_seen_before_it_was_told_is_the_same_chat(
    live: Live, fake: FakeOpenAI, chat: Chat, edited: bool
) -> None:
    old = (await live.http.get("/v1/sessions/Old")).json()
    shown = [*chat[:3], say("There is no password."), {"role": "assistant", "content": "Good."}]
    shown = shown if edited else chat
    await tell(live, "New", "open", messages=shown)
    shown = await turn(live, fake, "New", shown, "Good night.", "Sleep well.")
    await tell(live, "Old", "chat_renamed", new_chat_id="New")
    assert await sessions(live) == [("New", "Mira", len(shown))]
    messages = (await live.http.get("/v1/sessions/New/messages")).json()["data"]
    assert [m["content"] for m in messages] == [m["content"] for m in shown]
    assert (await live.http.get("/v1/sessions/New")).json()["id"] == old["id"]


async def test_a_new_chat_under_a_renamed_ones_old_name_is_another_chat(
    live: Live, fake: FakeOpenAI, chat: Chat
) -> None:
    for old in ("Old", "old"):
        await turn(live, fake, old, chat, "Good night.", "Sleep well.")
        await tell(live, old, "chat_renamed", new_chat_id=f"was {old}")
        await tell(live, old, "open", status=202, messages=[GREETING])
        await turn(live, fake, old, [GREETING], f"Who are you, {old}?", "Mira.")
    assert await sessions(live) == [
        ("Old", "Mira", 3),
        ("old", "Mira", 3),
        ("was Old", "Mira", 7),
        ("was old", "Mira", 7),
    ]


async def shown_by(live: Live, name: str) -> list[str]:
    messages = (await live.http.get(f"/v1/sessions/{quote(name, safe='')}/messages")).json()["data"]
    return [m["content"] for m in messages]


@pytest.mark.parametrize("kind", ["reply", "open", "change"])
async def test_a_late_event_under_the_old_name_makes_no_second_chat(
    live: Live, fake: FakeOpenAI, chat: Chat, kind: str
) -> None:
    await tell(live, "Old", "chat_renamed", new_chat_id="New")
    await tell(live, "Old", kind, status=202, messages=chat, chat_file="Old")
    await tell(live, "Old", kind, status=202, messages=chat[:3], chat_file="Old")
    assert await sessions(live) == [("New", "Mira", 5)]
    await tell(live, "New", "chat_deleted")
    await tell(live, "New", kind, status=202, messages=chat, chat_file="New")
    await tell(live, "Old", kind, status=202, messages=chat, chat_file="Old")
    assert await sessions(live) == []


async def test_a_late_event_under_a_name_between_makes_no_second_chat(live: Live, chat: Chat) -> None:
    await tell(live, "Old", "chat_renamed", new_chat_id="New")
    await tell(live, "New", "chat_renamed", new_chat_id="Newer")
    await tell(live, "New", "reply", status=202, messages=chat, chat_file="New")
    assert await sessions(live) == [("Newer", "Mira", 5)]


async def test_a_branch_is_stored_when_it_is_opened(live: Live, chat: Chat) -> None:
    await tell(live, "Branch of all", "open", messages=chat, chat_file="Branch of all")
    await tell(live, "Branch of some", "open", messages=chat[:3], chat_file="Branch of some")
    assert await sessions(live) == [
        ("Branch of all", "Mira", 5),
        ("Branch of some", "Mira", 3),
        ("Old", "Mira", 5),
    ]


async def test_a_name_that_another_chat_had_means_the_one_that_has_it_now(
    live: Live, fake: FakeOpenAI, chat: Chat
) -> None:
    await turn(live, fake, "Taken", [GREETING], "My ship is the Heron.", "Aye.")
    await tell(live, "Old", "chat_renamed", new_chat_id="Taken")
    listed = (await live.http.get("/v1/sessions")).json()["data"]
    assert sorted((s["chat_id"], s["messages"], s["left_behind"]) for s in listed) == [
        ("Taken", 3, True),
        ("Taken", 5, False),
    ]
    assert await shown_by(live, "Taken") == [m["content"] for m in chat]
    await turn(live, fake, "Taken", chat, "Good night.", "Sleep well.")
    assert len(await shown_by(live, "Taken")) == 7


async def test_a_character_that_gets_anothers_name_leaves_none_of_its_chats_behind(
    live: Live, fake: FakeOpenAI, chat: Chat
) -> None:
    await turn(live, fake, "Old", [GREETING], "My ship is the Heron.", "Aye.", character="Anna")
    await tell(live, "Old", "chat_renamed", new_character="Anna")
    listed = (await live.http.get("/v1/sessions")).json()["data"]
    assert [s["left_behind"] for s in listed] == [False, False]


async def test_a_renamed_character_keeps_its_chats_however_short(live: Live, fake: FakeOpenAI) -> None:
    chats = {
        name: await turn(live, fake, name, [GREETING], f"Hi, it is {name}.", "Hello.")
        for name in ("Main", "Other")
    }
    await turn(
        live, fake, "Main", [{"role": "assistant", "content": "Bram."}], "Hm.", "Hm.", character="Bram"
    )
    for name in chats:
        assert (await tell(live, name, "chat_renamed", new_character="Mirabel"))["changed"]
    await tell(live, "Main", "open", character="Mirabel", messages=chats["Main"])
    await turn(live, fake, "Main", chats["Main"], "And now?", "Now we wait.", character="Mirabel")
    assert await sessions(live) == [("Main", "Bram", 3), ("Main", "Mirabel", 5), ("Other", "Mirabel", 3)]


async def test_a_groups_chat_is_renamed_whoever_spoke_last(live: Live, fake: FakeOpenAI) -> None:
    group = {"group_members": ["Mira", "Bram"]}
    chat = await turn(live, fake, "2026", [GREETING], "Good evening, both.", "Evening.", **group)
    await turn(live, fake, "2026", chat, "Well?", "Hm.", character="Bram", **group)
    await tell(live, "2026", "chat_renamed", character="", is_group=True, new_chat_id="Harbour")
    [(chat_id, _, messages)] = await sessions(live)
    assert (chat_id, messages) == ("Harbour", 5)


async def test_a_deleted_chat_is_gone_and_no_other(live: Live, fake: FakeOpenAI, chat: Chat) -> None:
    await turn(live, fake, "Old", [{"role": "assistant", "content": "B."}], "Hm.", "Hm.", character="Bram")
    await turn(live, fake, "Branch", chat[:3], "Another way.", "As you like.")
    taken = await tell(live, "Old", "chat_deleted")
    assert taken["changed"] and taken["messages"] == 0
    await idle(live)
    assert await sessions(live) == [("Branch", "Mira", 5), ("Old", "Bram", 3)]
    fake.script(says("Hm."))
    metadata = {"chat_id": "New", "character": "Mira", "user_name": "Alex", "memory_scope": "character"}
    asked = {"messages": [say("What is the password? Is it swordfish?")], "metadata": metadata}
    assert (await live.http.post("/v1/chat/completions", json=asked)).status_code == 200
    assert "password is swordfish" not in str(fake.calls[-1])


async def test_a_chat_that_is_not_stored_is_deleted_by_nobody_elses_name(
    live: Live, fake: FakeOpenAI, chat: Chat
) -> None:
    await tell(live, "Old", "chat_renamed", new_chat_id="New")
    for name, character in (("Old", "Mira"), ("old", "Mira"), ("New", "Bram"), ("x", "")):
        assert (await tell(live, name, "chat_deleted", status=202, character=character))["id"] == ""
    assert await sessions(live) == [("New", "Mira", 5)]


@pytest.mark.parametrize("name", ["", " ", "{{chatName}}"])
async def test_a_new_name_must_be_told(live: Live, chat: Chat, name: str) -> None:
    answer = await tell(live, "Old", "chat_renamed", status=400, new_chat_id=name)
    assert answer["error"]["param"] == "new_chat_id"


@pytest.mark.parametrize(
    "new", [{"new_chat_id": "Mira - 2"}, {"new_character": "Anna"}], ids=["chat", "character"]
)
async def test_a_renamed_chat_keeps_its_lorebook(live: Live, new: dict[str, str]) -> None:
    header = {"chat_metadata": {"world_info": "Tides"}, "user_name": "unused"}
    await put(live, chat_file(*MIRA, header=header))
    await tell(live, "Mira - 1", "chat_renamed", **new)
    whose = Whose(new.get("new_character", "Mira"))
    chat_id = new.get("new_chat_id", "Mira - 1")
    assert live.resources.library.chat_books("local") == [("Tides", chat_id, whose)]


async def test_a_deleted_chat_leaves_no_lorebook_bound_nor_its_name_in_a_file(live: Live) -> None:
    header = {"chat_metadata": {"world_info": "Tides"}, "user_name": "unused"}
    await put(live, chat_file(*MIRA, header=header), name="Whispering Pumpkins.jsonl")
    await idle(live)
    await tell(live, "Whispering Pumpkins", "chat_deleted")
    assert live.resources.library.chat_books("local") == []
    files = [path for path in live.resources.settings.db_path.rglob("*") if path.is_file()]
    assert not [path.name for path in files if b"Whispering Pumpkins" in path.read_bytes()]
