"""SillyTavern can give all of a user's messages to the persona of now: what the chat shows is what memory knows."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest

from memory.files import tree_path
from memory.stored import TreeKey
from tests.fakes.openai_server import FakeOpenAI
from tests.server.importing import messages
from tests.server.live import Live, idle
from tests.server.test_persona_switch import MODES, Chat


@dataclass
class Told(Chat):
    """A chat with the extension."""

    tagged: bool = True

    def _body(self, speaker: str) -> dict[str, Any]:  # Any: JSON
        body = super()._body(speaker)
        body["metadata"] |= {"chat_file": "c", "kind": "normal"}
        return body

    def sync(self) -> None:
        """All of the user's messages become the present persona's."""
        self.said = [(self.user if who in ("Alex", "Sam") else who, text) for who, text in self.said]

    async def tell(self, **more: Any) -> dict[str, Any]:
        rows = [
            {"role": "user" if who in ("Alex", "Sam") else "assistant", "name": who, "content": text}
            for who, text in self.said
        ]
        whose = {"character": "" if self.members else "Mira", "is_group": bool(self.members)}
        body = {"type": "open", "messages": rows, "user_name": self.user, "chat_file": "c", **whose, **more}
        answer = await self.live.http.post("/v1/sessions/c/events", json=body)
        assert answer.status_code == 200, answer.text
        taken: dict[str, Any] = answer.json()
        return taken

    def jobs(self) -> int:
        """How much work the chat's tree ever asked for."""
        path = tree_path(self.live.resources.settings.db_path, TreeKey("local", self.session))
        with closing(sqlite3.connect(path)) as tree:
            return int(tree.execute("SELECT seq FROM sqlite_sequence WHERE name = 'outbox'").fetchone()[0])


async def begun(chat: Told) -> Told:
    chat.user = "Alex"
    await chat.say("Who has the boat?", "I have.")
    await chat.say("For how long?", "A year.")
    return chat


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("names", ["default", "content", "field"])
@pytest.mark.parametrize("members", [(), ("Mira", "Tobias")], ids=["private", "group"])
async def test_what_the_user_said_becomes_the_personas_at_once_and_goes_on(
    live: Live, fake: FakeOpenAI, mode: str, names: str, members: tuple[str, ...]
) -> None:
    chat = await begun(Told(live, fake, mode, names, members))
    asked = chat.jobs()
    chat.user = "Sam"
    chat.sync()
    assert (await chat.tell())["changed"]
    await idle(live)
    await chat.check()
    assert chat.jobs() == asked
    assert not (await chat.tell())["changed"]
    await chat.say("And now it is mine.", "As you wish.")
    assert chat.change == "append"
    assert not (await chat.tell())["changed"]
    await chat.check()


async def test_it_is_taken_back_with_the_persona(live: Live, fake: FakeOpenAI) -> None:
    chat = await begun(Told(live, fake, names="content"))
    for user in ("Sam", "Alex"):
        chat.user = user
        chat.sync()
        await chat.tell()
        await chat.check()


async def test_a_renamed_characters_earlier_messages_are_the_new_ones(live: Live, fake: FakeOpenAI) -> None:
    chat = await begun(Told(live, fake))
    chat.said = [("Anna" if who == "Mira" else who, text) for who, text in chat.said]
    await chat.tell(character="Anna", type="change")
    assert [m["speaker"] for m in await messages(live, chat.session)] == [who for who, _ in chat.said]


async def test_a_name_that_a_message_begins_with_is_not_its_speaker(live: Live, fake: FakeOpenAI) -> None:
    chat = Told(live, fake, names="none")
    await chat.say("buy milk.", "Yes.")
    await chat.say("Mira: that is you.", "It is.")
    chat.user = "Sam"
    chat.sync()
    await chat.tell()
    rows = [(m["speaker"], m["content"]) for m in await messages(live, chat.session)]
    assert rows == chat.said


async def test_an_id_that_a_branch_may_have_too_tells_no_names(live: Live, fake: FakeOpenAI) -> None:
    """A client's names may be guesses; only the one that tells its chats by their files shows them as they are."""
    chat = await begun(Told(live, fake))
    before = [m["speaker"] for m in await messages(live, chat.session)]
    chat.user = "Sam"
    chat.sync()
    assert not (await chat.tell(chat_file=""))["changed"]
    assert [m["speaker"] for m in await messages(live, chat.session)] == before
