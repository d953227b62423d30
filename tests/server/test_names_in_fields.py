"""SillyTavern's "Completion object" names: one that OpenAI's `name` field cannot hold is still that name."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from graph.settings import Settings, load_settings
from tests.fakes.openai_server import FakeOpenAI
from tests.fakes.wire import says
from tests.server.importing import count, messages, put
from tests.server.live import Live, idle, serving
from tests.server.prompts import Message, s
from tests.server.silly_files import chat as chat_file
from tests.server.silly_files import line
from tests.truth.front_end import post_processed

MODES = ("none", "merge", "semi", "strict", "single")
PAIRS = (("Mira Stone", "Alex"), ("Mira", "Zoë"), ("ミラ", "アレ"), ("Dr. O'Hara 🐙", "Alex Van O'Hara"))


def in_field(name: str) -> str:
    """As `sanitizeName` writes it: JavaScript's letters are UTF-16 units."""
    units = name.encode("utf-16-le")
    letters = (chr(int.from_bytes(units[n : n + 2], "little")) for n in range(0, len(units), 2))
    return "".join(c if re.fullmatch("[a-zA-Z0-9_]", c) else "_" for c in letters)[:64]


@dataclass
class Chat:
    """A chat in SillyTavern that sends names in the field."""

    live: Live
    fake: FakeOpenAI
    mode: str = "none"
    characters: tuple[str, ...] = ("Mira Stone",)
    user: str = "Alex"
    users: tuple[str, ...] = ()
    tagged: bool = False
    prompted: bool = True
    """The main prompt names character and user."""
    fields: bool = True
    said: list[tuple[str, str]] = field(default_factory=list)
    session: str = ""
    change: str = ""

    def __post_init__(self) -> None:
        self.said = self.said or [(self.characters[0], "Welcome to the lamp room.")]

    async def say(self, text: str, answer: str, speaker: str = "") -> None:
        self.said.append((self.user, text))
        await self.ask(answer, speaker or self.characters[0])

    async def ask(self, answer: str, speaker: str) -> None:
        self.fake.script(says(answer))
        response = await self.live.http.post("/v1/chat/completions", json=self._body(speaker))
        assert response.status_code == 200, response.text
        self.session, self.change = response.headers["x-session-id"], response.headers["x-turn-change"]
        self.said.append((speaker, answer))
        await idle(self.live)

    def _body(self, speaker: str) -> dict[str, Any]:  # Any: JSON
        main = f"Write {speaker}'s next reply in a fictional chat between {speaker} and {self.user}."
        members = ", ".join(self.characters)
        is_group = len(self.characters) > 1
        head = [
            main if self.prompted else "Write well.",
            f"{speaker if self.prompted else 'She'} keeps the light.",
        ]
        start = f"[Start a new group chat. Group members: {members}]" if is_group else "[Start a new Chat]"
        prompt = [*map(s, head), s(start), *(self._row(who, text, speaker) for who, text in self.said)]
        mode = "merge" if self.mode == "single" else self.mode
        if self.mode == "single":
            prompt = [row | {"role": "user"} for row in prompt]
        body: dict[str, Any] = {"messages": post_processed(prompt, mode, speaker)}
        if self.tagged:
            body["metadata"] = {"chat_id": "c", "character": speaker, "user_name": self.user}
            body["metadata"] |= {"group_members": list(self.characters)} if is_group else {}
        return body

    def _row(self, who: str, text: str, speaker: str) -> Message:
        row: Message = {"role": self._role(who), "content": text}
        if not self.fields:
            return row
        name = in_field(who)
        if self.mode != "single":
            return row | {"name": name}
        outer = self.user if row["role"] == "user" else speaker
        led = f"{name}: {text}"
        return row | {"content": led if led.startswith(f"{outer}: ") else f"{outer}: {led}"}

    def _role(self, who: str) -> str:
        return "user" if who in (self.user, *self.users) else "assistant"

    async def tell(self, kind: str = "reply") -> bool:
        """The extension's event; whether it changed anything."""
        rows = [{"role": self._role(who), "name": who, "content": text} for who, text in self.said]
        event = {"type": kind, "messages": rows, "character": self.characters[0], "user_name": self.user}
        event |= {"is_group": len(self.characters) > 1}
        answer = (await self.live.http.post(f"/v1/sessions/{self.session}/events", json=event)).json()
        return bool(answer["changed"])

    async def check(self) -> None:
        """Memory holds what was said, with who said it, and nothing twice."""
        rows = await messages(self.live, self.session)
        assert [(m["speaker"], m["content"]) for m in rows] == self.said
        assert await count(self.live) == len(self.said)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("tagged", [False, True], ids=["untagged", "tagged"])
@pytest.mark.parametrize(("character", "user"), PAIRS)
async def test_a_name_is_the_one_that_its_field_stands_for(
    live: Live, fake: FakeOpenAI, mode: str, tagged: bool, character: str, user: str
) -> None:
    chat = Chat(live, fake, mode, (character,), user, tagged=tagged)
    for n in range(3):
        await chat.say(f"It is evening number {n}.", f"So it is, the {n}th.")
        assert chat.change == ("append" if n else "new")
        await chat.check()
    chat.fields = False
    if mode != "single":
        await chat.say("Now without names.", "As you like.")
        await chat.check()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("character", "user"), PAIRS)
async def test_an_event_after_each_reply_changes_nothing(
    live: Live, fake: FakeOpenAI, mode: str, character: str, user: str
) -> None:
    chat = Chat(live, fake, mode, (character,), user, tagged=True)
    for n in range(3):
        await chat.say(f"It is evening number {n}.", f"So it is, the {n}th.")
        assert not await chat.tell()
    await chat.check()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("tagged", [False, True], ids=["untagged", "tagged"])
async def test_a_persona_that_the_user_had_stays_who_said_it(
    live: Live, fake: FakeOpenAI, mode: str, tagged: bool
) -> None:
    chat = Chat(live, fake, mode, ("ミラ",), users=("Zoë", "Tom K."), tagged=tagged)
    for n, user in enumerate(("Zoë", "Zoë", "Tom K.", "Zoë")):
        chat.user = user
        await chat.say(f"It is I for the {n}th time.", f"So I see, the {n}th.")
        assert chat.change == ("append" if n else "new")
        await chat.check()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("tagged", [False, True], ids=["untagged", "tagged"])
async def test_members_of_a_group_are_told_apart(
    live: Live, fake: FakeOpenAI, mode: str, tagged: bool
) -> None:
    group = Chat(live, fake, mode, ("Mira Stone", "Tobías"), "Zoë", tagged=tagged)
    await group.say("Who has the boat?", "I have, and I keep it.", "Tobías")
    await group.say("For how long?", "He sold it already.")
    await group.ask("That is not true.", "Tobías")
    await group.say("Is it not?", "It is.")
    await group.check()
    if tagged:
        group.session = "c"
        assert not await group.tell()


@pytest.mark.parametrize("mode", MODES)
async def test_an_imported_chat_goes_on_and_is_exported(
    live: Live, fake: FakeOpenAI, settings: Settings, tmp_path: Path, mode: str
) -> None:
    said = [("Mira Stone", "Tea?"), ("Zoë", "Rum, please."), ("Mira Stone", "Aye.")]
    rows = [line(who, text, 2) | {"is_user": who == "Zoë"} for who, text in said]
    await put(live, chat_file(*rows), name="c.jsonl")
    chat = Chat(live, fake, mode, user="Zoë", said=list(said))
    await chat.say("And a biscuit.", "There are none.")
    await chat.check()
    content = (await live.http.get("/v1/export")).content
    other = load_settings(**settings.model_dump() | {"db_path": tmp_path / "other"})
    async with serving(other) as restored:
        await put(restored, content, name="chats.jsonl")
        chat.live = restored
        await chat.say("None at all?", "None.")
        await chat.check()


@pytest.mark.parametrize("told_by", ["tag", "event", "prompt"])
async def test_a_name_that_is_known_later_makes_no_message_another(
    live: Live, fake: FakeOpenAI, told_by: str
) -> None:
    chat = Chat(live, fake, characters=("ミラ K",), user="Zoë", prompted=False)
    for n in range(3):
        await chat.say(f"It is evening number {n}.", f"So it is, the {n}th.")
    heard = {m["speaker"] for m in await messages(live, chat.session)}
    assert heard == {"___K", "Zo_"} and await count(live) == len(chat.said)
    if told_by == "event":
        await chat.tell("open")
        assert not await chat.tell("open")
    else:
        chat.tagged, chat.prompted = told_by == "tag", told_by == "prompt"
        await chat.say("Now I tell my name.", "And I mine.")
    await chat.check()
