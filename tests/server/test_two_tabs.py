"""One chat open in two tabs, or brought back from a backup: its overwritten words are nobody's memory."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from tests.fakes.openai_server import FakeOpenAI
from tests.fakes.wire import says
from tests.server.live import Live, idle

Chat = list[dict[str, str]]
GREETING = {"role": "assistant", "content": "*Mira looks up from her lamp.* You are late."}
FILE = "Mira - 2026-11-22@10h04m05s123ms"
QUESTION = "What did I tell you of the cucumber, of the cucumber in the garden?"
TELLS = {"extension": {"chat_file": FILE}, "no file": {}}


def say(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


class Tab:
    """A page that shows the chat as it last loaded or changed it."""

    def __init__(self, live: Live, fake: FakeOpenAI, chat: Chat, told: dict[str, str]) -> None:
        self.live, self.fake, self.chat, self.told = live, fake, list(chat), told

    async def send(self, text: str, reply: str) -> None:
        self.fake.script(says(reply))
        tag = {"chat_id": FILE, "kind": "normal", "character": "Mira", "user_name": "Alex", **self.told}
        asked = [*self.chat, say(text)]
        body = {"messages": asked, "metadata": tag}
        answer = await self.live.http.post("/v1/chat/completions", json=body)
        assert answer.status_code == 200, answer.text
        self.chat = [*asked, {"role": "assistant", "content": reply}]

    async def tell(self, kind: str) -> dict[str, Any]:
        event = {"type": kind, "messages": self.chat, "character": "Mira", "user_name": "Alex", **self.told}
        answer = await self.live.http.post(f"/v1/sessions/{quote(FILE)}/events", json=event)
        taken: dict[str, Any] = answer.json()
        return taken


async def elsewhere(live: Live, fake: FakeOpenAI, chat_id: str = "Elsewhere") -> str:
    """The prompt of another chat that asks for what was overwritten, and may recall Mira's other chats."""
    await idle(live)
    fake.script(says("Hm."))
    tag = {"chat_id": chat_id, "character": "Mira", "user_name": "Alex", "memory_scope": "character"}
    asked = {"messages": [GREETING, say(QUESTION)], "metadata": tag}
    assert (await live.http.post("/v1/chat/completions", json=asked)).status_code == 200
    return "\n".join(m["content"] for m in fake.calls[-1].body["messages"])


async def sessions(live: Live) -> list[tuple[str, int, bool]]:
    listed = (await live.http.get("/v1/sessions")).json()["data"]
    return sorted((one["chat_id"], one["messages"], one["left_behind"]) for one in listed)


async def texts(live: Live) -> list[str]:
    return [
        m["content"] for m in (await live.http.get(f"/v1/sessions/{quote(FILE)}/messages")).json()["data"]
    ]


async def overwritten(live: Live, fake: FakeOpenAI, told: dict[str, str]) -> tuple[Tab, Tab]:
    """Two tabs; what the second said of a cucumber was overwritten by the first, which goes on."""
    first = Tab(live, fake, [GREETING], told)
    for n in range(4):
        await first.send(f"The tide is at mark {n} now.", f"Mark {n} it is.")
    second = Tab(live, fake, first.chat[:3], told)
    await second.send("I planted a cucumber in the garden.", "A cucumber, how brave.")
    await second.tell("reply")
    await first.send("The boat goes out at dawn.", "I light the lamp.")
    await first.tell("reply")
    return first, second


@pytest.mark.parametrize("told", TELLS.values(), ids=TELLS)
async def test_memory_is_the_tab_that_went_on_and_nothing_else_is_recalled(
    live: Live, fake: FakeOpenAI, told: dict[str, str]
) -> None:
    first, second = await overwritten(live, fake, told)
    assert await texts(live) == [m["content"] for m in first.chat]
    assert [left for chat_id, _, left in await sessions(live) if chat_id].count(False) == 1
    assert "cucumber in the garden." not in await elsewhere(live, fake)
    await second.send("The cucumber is green.", "I see.")
    assert await texts(live) == [m["content"] for m in second.chat]
    assert "cucumber in the garden." in await elsewhere(live, fake, "Elsewhere, later")


async def test_with_the_extension_the_chat_is_one_session(live: Live, fake: FakeOpenAI) -> None:
    first, _ = await overwritten(live, fake, TELLS["extension"])
    assert await sessions(live) == [(FILE, len(first.chat), False)]


@pytest.mark.parametrize("told", TELLS.values(), ids=TELLS)
async def test_a_backup_that_is_brought_back_is_the_chat(
    live: Live, fake: FakeOpenAI, told: dict[str, str]
) -> None:
    """The first tab is the backup, the second what became of the chat."""
    first = Tab(live, fake, [GREETING], told)
    for n in range(4):
        await first.send(f"The tide is at mark {n} now.", f"Mark {n} it is.")
    await Tab(live, fake, first.chat[:3], told).send("I planted a cucumber in the garden.", "How brave.")
    assert (await first.tell("open"))["messages"] == len(first.chat)
    assert await texts(live) == [m["content"] for m in first.chat]
    assert "cucumber in the garden." not in await elsewhere(live, fake)


@pytest.mark.parametrize("told", TELLS.values(), ids=TELLS)
@pytest.mark.parametrize("how", ["event", "id", "character and id"])
async def test_deleting_the_chat_leaves_nothing_of_either_tab(
    live: Live, fake: FakeOpenAI, told: dict[str, str], how: str
) -> None:
    await overwritten(live, fake, told)
    await idle(live)
    at = quote(FILE if how != "character and id" else f"Mira/{FILE}", safe="")
    if how == "event":
        event = {"type": "chat_deleted", "character": "Mira"}
        assert (await live.http.post(f"/v1/sessions/{at}/events", json=event)).json()["changed"]
    else:
        assert (await live.http.delete(f"/v1/sessions/{at}")).status_code == 200
    assert await sessions(live) == []
    assert "cucumber in the garden." not in await elsewhere(live, fake)


async def test_a_renamed_chat_takes_the_lines_along_that_had_its_id(live: Live, fake: FakeOpenAI) -> None:
    await overwritten(live, fake, TELLS["no file"])
    event = {"type": "chat_renamed", "new_chat_id": "Garden", "character": "Mira"}
    assert (await live.http.post(f"/v1/sessions/{quote(FILE)}/events", json=event)).json()["changed"]
    assert {chat_id for chat_id, *_ in await sessions(live)} == {"Garden"}
    assert (await live.http.delete("/v1/sessions/Garden")).status_code == 200
    assert await sessions(live) == []


async def test_a_branch_opened_with_the_extension_is_another_chat(live: Live, fake: FakeOpenAI) -> None:
    first, _ = await overwritten(live, fake, TELLS["extension"])
    tag = {"chat_id": "Branch", "chat_file": "Branch", "character": "Mira", "kind": "normal"}
    fake.script(says("As you like."))
    asked = {"messages": [*first.chat[:5], say("Another way, then.")], "metadata": tag}
    assert (await live.http.post("/v1/chat/completions", json=asked)).status_code == 200
    assert await sessions(live) == [("Branch", 7, False), (FILE, len(first.chat), False)]


async def test_an_id_that_is_not_the_files_name_may_be_a_branchs_too(live: Live, fake: FakeOpenAI) -> None:
    """YAML of the user's beside the extension: its id wins, and branches inherit it."""
    await overwritten(live, fake, {"chat_file": "Mira - another name"})
    assert len(await sessions(live)) == 2
