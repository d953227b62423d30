"""What a front-end asks of the model is nobody's words, also where post-processing writes it into a message."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.fakes.openai_server import FakeOpenAI
from tests.fakes.wire import says
from tests.server.live import Live, idle, stored
from tests.server.prompts import Message, s
from tests.truth.front_end import post_processed

NUDGE = "[Continue your last message without repeating its original content.]"
IMPERSONATE = (
    "[Write your next reply from the point of view of Alex, using the chat history so far as a guideline. "
    "Don't write as Mira or system.]"
)
GROUP_NUDGE = "[Write the next reply only as {}.]"
RULES = "Keep it short."
SILLYTAVERN = {"user-agent": "node-fetch"}
MODES = ("none", "merge", "semi", "strict", "single")


@dataclass
class Chat:
    """A front-end's chat, written as a post-processing mode has it."""

    live: Live
    fake: FakeOpenAI
    mode: str
    named: bool = False
    tagged: bool = False
    members: tuple[str, ...] = ()
    said: list[Message] = field(default_factory=list)
    session: str = ""

    async def ask(
        self, kind: str, rows: list[Message], answer: str, *tail: str, speaker: str = "Mira"
    ) -> None:
        """One request that shows these rows, and what is asked for at its end."""
        listed = ", ".join(self.members)
        start = f"[Start a new group chat. Group members: {listed}]" if listed else "[Start a new Chat]"
        main = f"Write {speaker}'s next reply in a fictional chat between {speaker} and Alex."
        shown = [m if m["role"] == "system" else self.written(m) for m in rows]
        prompt = [s(main), s(f"{speaker} keeps the lighthouse."), s(start), *shown, *map(s, tail)]
        body: dict[str, Any] = {"messages": post_processed(prompt, self.mode, speaker)}
        if self.tagged:
            body["metadata"] = {"kind": kind, "chat_id": "c", "character": speaker, "user_name": "Alex"}
            body["metadata"]["group"] = list(self.members)
        self.fake.script(says(answer))
        response = await self.live.http.post("/v1/chat/completions", json=body, headers=SILLYTAVERN)
        assert response.status_code == 200, response.text
        self.session = response.headers["x-session-id"]

    def written(self, message: Message) -> Message:
        speaker = message.get("speaker", "Alex")
        led = self.named or (self.members and speaker != "Alex")
        text = f"{speaker}: {message['content']}" if led else message["content"]
        return {"role": message["role"], "content": text}

    def add(self, speaker: str, text: str) -> None:
        role = "user" if speaker == "Alex" else "assistant"
        self.said.append({"role": role, "content": text, "speaker": speaker})

    async def say(self, text: str, answer: str) -> None:
        self.add("Alex", text)
        await self.ask("normal", self.said, answer)
        self.add("Mira", answer)

    async def shown(self) -> list[tuple[str, str]]:
        """What is stored, without the names that were written before it."""
        rows = await stored(self.live, self.session)
        names = ("Mira: ", "Tobias: ", "Alex: ")
        return [(r, next((t.removeprefix(n) for n in names if t.startswith(n)), t)) for r, t in rows]

    def expected(self) -> list[tuple[str, str]]:
        return [(m["role"], m["content"]) for m in self.said]


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[False, True], ids=["plain", "named"])
def named(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(params=[False, True], ids=["untagged", "tagged"])
def tagged(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
async def chat(live: Live, fake: FakeOpenAI, mode: str, named: bool, tagged: bool) -> Chat:
    """A chat of two turns."""
    chat = Chat(live, fake, mode, named, tagged)
    chat.add("Mira", "You are late.")
    await chat.say("Good evening.", "Sit down.")
    await chat.say("Is there soup?", "There is")
    return chat


@pytest.mark.parametrize("rules", [[], [s(RULES)]], ids=["bare", "rules"])
async def test_a_continued_reply_is_one_message(chat: Chat, rules: list[Message]) -> None:
    before = [*chat.said]
    await chat.ask("continue", [*before[:-1], *rules, before[-1]], " fish soup.", NUDGE)
    assert NUDGE in chat.fake.calls[-1].body["messages"][-1]["content"]
    chat.said[-1]["content"] = "There is fish soup."
    assert [t for _, t in await chat.shown()][-1] == "There is fish soup."
    assert len(await chat.shown()) == len(chat.said)
    await chat.say("And bread?", "No bread.")
    assert await chat.shown() == chat.expected()


async def test_an_empty_message_leaves_the_last_reply_and_adds_one(chat: Chat) -> None:
    await chat.ask("normal", chat.said, "Fish soup.")
    chat.add("Mira", "Fish soup.")
    assert await chat.shown() == chat.expected()


async def test_an_impersonation_writes_nothing(chat: Chat) -> None:
    before, session = await chat.shown(), chat.session
    await chat.ask("impersonate", [*chat.said, s(RULES)], "I take some.", IMPERSONATE)
    assert chat.session == session and await chat.shown() == before
    await chat.say("And bread?", "No bread.")
    assert await chat.shown() == chat.expected()


async def test_the_nudge_of_a_group_is_nobodys_words(
    live: Live, fake: FakeOpenAI, mode: str, tagged: bool
) -> None:
    chat = Chat(live, fake, mode, tagged=tagged, members=("Mira", "Tobias"))
    chat.add("Mira", "You are both late.")
    for n, speakers in enumerate((("Mira", "Tobias"), ("Tobias", "Mira"))):
        chat.add("Alex", f"Good evening {n}.")
        for speaker in speakers:
            answer = f"{speaker} nods at evening {n}."
            await chat.ask("normal", chat.said, answer, GROUP_NUDGE.format(speaker), speaker=speaker)
            chat.add(speaker, answer)
            assert await chat.shown() == chat.expected()
    last = s(GROUP_NUDGE.format("Mira"))
    await chat.ask("continue", [*chat.said[:-1], last, chat.said[-1]], " Twice.", NUDGE)
    chat.said[-1]["content"] += " Twice."
    assert await chat.shown() == chat.expected()


async def test_a_user_who_says_a_nudges_words_is_heard(live: Live, fake: FakeOpenAI) -> None:
    chat = Chat(live, fake, "semi", tagged=True)
    chat.add("Mira", "You are late.")
    for text in (f"It says:\n{NUDGE}", f"{IMPERSONATE}\n\nSo it says.", f"I read {GROUP_NUDGE}"):
        await chat.say(text, f"Who wrote that of {len(chat.said)}?")
        assert await chat.shown() == chat.expected()


async def test_a_memory_stands_before_a_chat_in_one_message_that_is_continued(
    live: Live, fake: FakeOpenAI, tagged: bool
) -> None:
    tag = {"kind": "normal", "chat_id": "old", "character": "Mira", "user_name": "Alex"}
    first = [s("Mira keeps the lighthouse."), {"role": "user", "content": "My sister Ines repairs clocks."}]
    await live.http.post("/v1/chat/completions", json={"messages": first, "metadata": tag})
    await idle(live)
    chat = Chat(live, fake, "single", tagged=tagged)
    live.http.headers["X-Memory-Scope"] = "character"
    chat.add("Mira", "You are late.")
    await chat.say("Who is my sister Ines?", "She repairs")
    await chat.ask("continue", chat.said, " clocks.", NUDGE)
    sent = fake.calls[-1].body["messages"]
    assert "remembers" in sent[0]["content"] and "Ines repairs clocks" in sent[0]["content"]
    assert sent[-1]["content"].endswith(NUDGE)
    chat.said[-1]["content"] = "She repairs clocks."
    assert await chat.shown() == chat.expected()
