"""A persona that the user leaves and a member who leaves a group stay the speakers of what they said."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.fakes.openai_server import FakeOpenAI
from tests.fakes.wire import says
from tests.server.importing import count, messages, put
from tests.server.live import Live, idle
from tests.server.prompts import Message, s
from tests.server.silly_files import chat as chat_file
from tests.server.silly_files import line
from tests.truth.front_end import post_processed

MODES = ("none", "merge", "semi", "strict", "single")
NAMES = ("Mira", "Tobias", "Alex", "Sam")
Said = list[tuple[str, str]]


@dataclass
class Chat:
    """A chat in SillyTavern, whose user may take another persona at any time."""

    live: Live
    fake: FakeOpenAI
    mode: str = "none"
    names: str = "default"
    """When names are written before what is said. default: in groups before everybody's words but the user's, elsewhere
    before those of personas the user had; content: always; none: never; field: in OpenAI's `name`."""
    members: tuple[str, ...] = ()
    tagged: bool = False
    prompted: bool = True
    """The main prompt names character and user."""
    user: str = "Alex"
    said: Said = field(default_factory=lambda: [("Mira", "Welcome to the lamp room.")])
    session: str = ""
    change: str = ""

    async def say(self, text: str, answer: str, speaker: str = "Mira") -> None:
        self.said.append((self.user, text))
        await self.ask(answer, speaker)

    async def ask(self, answer: str, speaker: str = "Mira") -> None:
        self.fake.script(says(answer))
        response = await self.live.http.post("/v1/chat/completions", json=self._body(speaker))
        assert response.status_code == 200, response.text
        self.session, self.change = response.headers["x-session-id"], response.headers["x-turn-change"]
        self.said.append((speaker, answer))
        await idle(self.live)

    def _body(self, speaker: str) -> dict[str, Any]:  # Any: JSON
        start = f"[Start a new group chat. Group members: {', '.join(self.members)}]"
        main = f"Write {speaker}'s next reply in a fictional chat between {speaker} and {self.user}."
        prompt = [
            s(main if self.prompted else "Write well."),
            s(f"{speaker} keeps the lighthouse."),
            s(start if self.members else "[Start a new Chat]"),
            *(self._written(who, text, speaker) for who, text in self.said),
        ]
        mode = self.mode
        if mode == "single":
            mode, prompt = "merge", [row | {"role": "user"} for row in prompt]
        body: dict[str, Any] = {"messages": post_processed(prompt, mode, speaker)}
        if self.tagged:
            body["metadata"] = {"chat_id": "c", "character": speaker, "user_name": self.user}
            body["metadata"] |= {"group_members": list(self.members)} if self.members else {}
        return body

    def _written(self, who: str, text: str, speaker: str) -> Message:
        said_by_user = who in ("Alex", "Sam")
        left = who != self.user and (bool(self.members) or said_by_user)
        named = self.names == "content" or (self.names == "default" and left)
        text = f"{who}: {text}" if named else text
        if self.mode != "single":
            row = {"role": "user" if said_by_user else "assistant", "content": text}
            return row | {"name": who} if self.names == "field" else row
        now = (self.user,) if said_by_user else (speaker, *self.members)
        led = any(text.startswith(f"{name}: ") for name in now)
        return {"role": "user", "content": text if led else f"{now[0]}: {text}"}

    async def check(self) -> None:
        """Memory holds what was said, with who said it, and nothing twice."""
        rows = await messages(self.live, self.session)
        plain = [(m["speaker"], m["content"]) for m in rows]
        assert plain == [(who, text.removeprefix(f"{who}: ")) for who, text in self.said]
        assert await count(self.live) == len(self.said)


async def switch_and_back(chat: Chat) -> None:
    for n, user in enumerate(("Alex", "Alex", "Sam", "Sam", "Alex")):
        chat.user = user
        speaker = chat.members[n % len(chat.members)] if chat.members else "Mira"
        await chat.say(f"It is I, {user}, for the {n}th time.", f"So I see, the {n}th.", speaker)
        assert chat.change == ("append" if n else "new")
        await chat.check()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("names", ["default", "content"])
@pytest.mark.parametrize("members", [(), ("Mira", "Tobias")], ids=["private", "group"])
async def test_earlier_messages_stay_those_of_the_persona_that_said_them(
    live: Live, fake: FakeOpenAI, mode: str, names: str, members: tuple[str, ...]
) -> None:
    await switch_and_back(Chat(live, fake, mode, names, members))


@pytest.mark.parametrize("mode", ["none", "single"])
@pytest.mark.parametrize("members", [(), ("Mira", "Tobias")], ids=["private", "group"])
async def test_they_do_where_the_request_is_tagged(
    live: Live, fake: FakeOpenAI, mode: str, members: tuple[str, ...]
) -> None:
    await switch_and_back(Chat(live, fake, mode, "content", members, tagged=True, prompted=False))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("tagged", [False, True])
async def test_a_member_who_left_the_group_still_said_what_he_said(
    live: Live, fake: FakeOpenAI, mode: str, tagged: bool
) -> None:
    group = Chat(live, fake, mode, members=("Mira", "Tobias"), tagged=tagged)
    await group.say("Who has the boat?", "I have, and I keep it.", "Tobias")
    await group.say("For how long?", "He sold it already.")
    group.members = ("Mira",)
    await group.say("Then who is with us?", "Nobody.")
    await group.check()
    await group.say("Good.", "Is it?")
    await group.check()


@pytest.mark.parametrize("names", ["default", "content", "field"])
@pytest.mark.parametrize("tagged", [False, True])
async def test_a_chat_of_two_personas_with_one_character_is_no_group(
    live: Live, fake: FakeOpenAI, names: str, tagged: bool
) -> None:
    chat = Chat(live, fake, names=names, tagged=tagged, user="Sam")
    await chat.say("What?", "Never mind.")
    await chat.say("Tell me.", "Later.")
    chat.user = "Alex"
    chat.said.pop()
    await chat.ask("Now.")
    await chat.say("And me?", "Likewise.")
    session = (await live.http.get(f"/v1/sessions/{chat.session}")).json()
    assert session["is_group"] is False


async def test_an_event_after_the_switch_changes_nothing(live: Live, fake: FakeOpenAI) -> None:
    group = Chat(live, fake, names="content", members=("Mira", "Tobias"), tagged=True)
    await group.say("Who has the boat?", "I have, and I keep it.", "Tobias")
    group.user = "Sam"
    await group.say("I am new here.", "So you are.")
    rows = [
        {"role": "user" if who in ("Alex", "Sam") else "assistant", "name": who, "content": text}
        for who, text in group.said
    ]
    event = {"type": "reply", "messages": rows, "user_name": "Sam", "is_group": True}
    answer = (await live.http.post("/v1/sessions/c/events", json=event)).json()
    assert answer["changed"] is False
    await group.check()


@pytest.mark.parametrize("user", ["Sam", "Alex"])
async def test_an_imported_group_goes_on_under_any_persona(live: Live, fake: FakeOpenAI, user: str) -> None:
    said = [("Mira", "Tea?"), ("Alex", "Rum, please."), ("Tobias", "Aye."), ("Sam", "And who are you?")]
    cast = {"Mira": "Mira.png", "Tobias": "Tobias.png"}
    rows = [
        line(who, text, 2, **({"original_avatar": cast[who]} if who in cast else {})) for who, text in said
    ]
    rows = [row | {"is_user": row["name"] not in cast} for row in rows]
    await put(live, chat_file(*rows), name="group chats/c.jsonl", group=True)
    assert await count(live) == len(said)
    group = Chat(live, fake, members=("Mira", "Tobias"), user=user, said=list(said))
    await group.say("I asked you something.", "Nobody in particular.")
    await group.check()
    group.user = "Sam" if user == "Alex" else "Alex"
    await group.say("Neither am I.", "Well then.")
    await group.check()


async def test_what_only_looks_like_a_name_is_part_of_what_was_said(live: Live, fake: FakeOpenAI) -> None:
    private = Chat(live, fake, names="none")
    await private.say("Note: buy milk.", "Noted.")
    await private.say("buy milk.", "You said so.")
    await private.say("Alex: that is what I am called.", "I know.")
    await private.say("Note: and bread.", "Also noted.")
    await private.check()
    private.user = "Sam"
    await private.say("Alex: come here, I am typing your name.", "He is away.")
    await private.check()


async def test_an_edit_that_puts_a_word_and_a_colon_before_a_message_is_an_edit(
    live: Live, fake: FakeOpenAI
) -> None:
    private = Chat(live, fake, names="none")
    await private.say("buy milk.", "I will.")
    private.said[1] = ("Alex", "Note: buy milk.")
    await private.say("Will you?", "Yes.")
    rows = [(m["speaker"], m["content"]) for m in await messages(live, private.session)]
    assert rows == private.said
