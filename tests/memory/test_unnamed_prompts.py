"""The main prompt does not say who speaks: the names that lead the chat do, and a chat that began without goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from server.sessions.lookup import said
from server.sillytavern import DEFAULT, Interpretation, Markers, interpret
from tests.server.prompts import Message, a, s, u
from tests.truth.front_end import post_processed
from tests.truth.held import Kept
from tests.truth.memory_under_test import Memory

SILLYTAVERN = {"user-agent": "node-fetch"}
MODES = ("none", "merge", "semi", "strict", "single")
START = "[Start a new Chat]"
CARD = "Mira keeps a lighthouse on a cliff; she is dry and loyal."
YOU_ARE = ("You are Mira. Stay in character.", CARD)
NOBODY = ("Continue the story.", "Keeps a lighthouse on a cliff, dry and loyal.")
HEADS = {
    "you are": YOU_ARE,
    "card": ("Continue the story.", CARD),
    "both": ("This is a slow-burn role-play between Mira and Alex.", f"Name: Mira\nAge: 30\n{CARD}"),
    "persona": ("Continue the story.", "Alex is a sailor from Bergen.", CARD),
    "card of few words": (
        "Continue the story.",
        "Alex is a sailor from Bergen.",
        "Mira is dry and loyal, and keeps a lighthouse.",
    ),
}
Line = tuple[str, str, str]
"""Role, speaker and text."""


@dataclass
class Chat:
    """A front-end's chat whose prompt begins with `head`."""

    memory: Memory
    head: Sequence[str]
    mode: str = "none"
    is_named: bool = True
    start: str = START
    chat_id: str = ""
    markers: Markers = DEFAULT
    lines: list[Line] = field(default_factory=list)

    def greeted(self, text: str = "You are late.") -> Chat:
        self.lines.append(("assistant", "Mira", text))
        return self

    def body(self, *tail: Message) -> dict[str, Any]:
        rows = [{"role": r, "content": f"{who}: {t}" if self.is_named else t} for r, who, t in self.lines]
        prompt = [*map(s, filter(None, [*self.head, self.start])), *rows, *tail]
        return {"messages": post_processed(prompt, self.mode, "Mira"), "stream": True}

    async def say(self, text: str, reply: str, *tail: Message) -> list[Line]:
        """What memory has after another turn."""
        self.lines.append(("user", "Alex", text))
        kept = await self.ask(reply, *tail)
        self.lines.append(("assistant", "Mira", reply))
        return [(m.role, m.speaker, said(m)) for m in kept.path]

    async def ask(self, reply: str, *tail: Message) -> Kept:
        named = {"x-chat-id": self.chat_id} if self.chat_id else {}
        kept = await self.memory.ask(self.body(*tail), SILLYTAVERN | named, [reply], self.markers)
        assert kept is not None
        return kept

    async def is_one_session(self) -> bool:
        return len((await self.memory.transcript.sessions("local", limit=9)).sessions) == 1


@pytest.fixture(params=HEADS)
def head(request: pytest.FixtureRequest) -> Sequence[str]:
    return HEADS[request.param]


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def read(*messages: Message, headers: dict[str, str] = SILLYTAVERN) -> Interpretation:
    return interpret({"messages": list(messages), "stream": True}, headers)


@pytest.mark.parametrize("chat_id", ["", "one"])
async def test_names_that_lead_messages_tell_who_speaks(
    memory: Memory, head: Sequence[str], mode: str, chat_id: str
) -> None:
    chat = Chat(memory, head, mode, chat_id=chat_id).greeted()
    for n in range(3):
        assert await chat.say(f"Question {n}?", f"Answer {n}.") == chat.lines
    del chat.lines[3:5]
    assert await chat.say("And the sea?", "Rough.") == chat.lines
    assert await chat.is_one_session()


async def test_a_single_message_writes_the_names_by_itself(memory: Memory, head: Sequence[str]) -> None:
    chat = Chat(memory, head, "single", is_named=False).greeted("You are late.\n\nThe kettle sings.")
    for n in range(3):
        assert await chat.say(f"Question {n}?", f"Answer {n}.") == chat.lines
    assert await chat.is_one_session()


@pytest.mark.parametrize("greeting", ["You are late.", ""])
@pytest.mark.parametrize("head", [NOBODY, YOU_ARE], ids=["nobody", "you are"])
async def test_a_later_request_tells_who_said_what_the_first_did_not(
    memory: Memory, head: Sequence[str], mode: str, greeting: str
) -> None:
    chat = Chat(memory, head, mode)
    if greeting:
        chat.greeted(greeting)
    await chat.say("Who is there?", "I.")
    assert await chat.say("Who is I?", "Mira.") == chat.lines
    chat.is_named = mode == "single"
    again = await chat.say("And who am I?", "You tell me.")
    assert [line[::2] for line in again] == [line[::2] for line in chat.lines]
    assert await chat.is_one_session()


@pytest.mark.parametrize(
    ("start", "markers"),
    [("*** A new talk", replace(DEFAULT, new_chat="*** A new talk")), ("", replace(DEFAULT, new_chat=""))],
    ids=["edited", "emptied"],
)
async def test_the_line_that_begins_the_chat_is_the_users_to_edit(
    memory: Memory, mode: str, start: str, markers: Markers
) -> None:
    chat = Chat(memory, YOU_ARE, mode, start=start, markers=markers).greeted()
    for n in range(3):
        assert await chat.say(f"Question {n}?", f"Answer {n}.") == chat.lines
    assert await chat.is_one_session()


async def test_a_note_in_brackets_begins_no_chat(memory: Memory) -> None:
    chat = [a("You are late."), u("Who is there?"), a("I."), s("[Style: dark]"), u("Who is I?")]
    prompt = [*map(s, YOU_ARE), s(START), *chat]
    body = {"messages": post_processed(prompt, "single", "Mira"), "stream": True}
    kept = await memory.ask(body, SILLYTAVERN, ["Mira."], DEFAULT)
    assert kept is not None
    assert [message.role for message in kept.path] == ["assistant", "user", "assistant", "user", "assistant"]


async def test_who_is_known_is_who_speaks_where_the_prompt_begins_and_ends_with_the_other(
    memory: Memory,
) -> None:
    """The window begins with the user's message, and ends with the beginning that the reply is given."""
    chat = Chat(memory, NOBODY, "single", is_named=False).greeted()
    await chat.say("Who is there?", "I.")
    greeting, *chat.lines = chat.lines
    chat.lines.append(("user", "Alex", "Who is I?"))
    kept = await chat.ask(" I am Mira.", a("Well,"))
    told = [(m.role, m.speaker, said(m).strip()) for m in kept.path]
    assert told == [
        greeting,
        *chat.lines,
        ("assistant", "Mira", "Well,"),
        ("assistant", "Mira", "I am Mira."),
    ]
    assert kept.session.character == "Mira" and kept.session.user_name == "Alex"


async def test_a_former_persona_is_known_once_its_name_is_written(memory: Memory) -> None:
    """Names are switched off: only what another persona said before has one."""
    chat = Chat(memory, YOU_ARE, is_named=False).greeted()
    for n in range(2):
        await chat.say(f"Question {n}?", f"Answer {n}.")
    prompt = [*map(s, [*YOU_ARE, START])]
    prompt += [u(f"Alex: {text}") if role == "user" else a(text) for role, _, text in chat.lines]
    body = {"messages": [*prompt, u("It is Sam now.")], "stream": True}
    kept = await memory.ask(body, SILLYTAVERN, ["Welcome."], DEFAULT)
    assert kept is not None and await chat.is_one_session()
    told = [(m.role, m.speaker, said(m)) for m in kept.path]
    assert told == [*chat.lines, ("user", "", "It is Sam now."), ("assistant", "Mira", "Welcome.")]


async def test_a_chat_is_found_by_a_message_whose_name_was_none_when_it_came(memory: Memory) -> None:
    """What came first is hidden: the window begins with what was answered, under a name that is told now."""
    head = [*map(s, [*NOBODY, START])]
    said = [u("Alex: Who is there?"), u("Alex: Who is it?")]
    await memory.ask({"messages": [*head, *said], "stream": True}, SILLYTAVERN, ["I."], DEFAULT)
    window = [*said[1:], a("Mira: I."), u("Alex: Who is I?")]
    kept = await memory.ask({"messages": [*head, *window], "stream": True}, SILLYTAVERN, ["Guess."], DEFAULT)
    assert kept is not None
    assert [said.text.removeprefix("Alex: ") for said in kept.path] == [
        *("Who is there?", "Who is it?", "I.", "Who is I?", "Guess.")
    ]


async def test_what_a_new_persona_says_in_a_group_is_said(memory: Memory) -> None:
    """Nobody is named in the prompt, and names lead what others said, what a former persona said too."""
    start, nudge = (
        "[Start a new group chat. Group members: Mira, Tobias]",
        "[Write the next reply only as Mira.]",
    )
    chat = [u("Alex: Who is there?"), a("Tobias: I."), u("Alex: Who is I?"), a("Mira: Guess.")]
    prompt = [s("Stay in character."), s(start), *chat, u("It is Sam now."), s(nudge)]
    body = {"messages": post_processed(prompt, "semi", "Mira"), "stream": True}
    kept = await memory.ask(body, SILLYTAVERN, ["Welcome."], DEFAULT)
    assert kept is not None
    assert [said(m) for m in kept.path][-2:] == ["It is Sam now.", "Welcome."]


async def test_a_groups_members_are_no_users_in_a_single_message(memory: Memory) -> None:
    start = "[Start a new group chat. Group members: Mira, Tobias]"
    chat = [a("Mira: You are late."), u("Hello, both."), a("Tobias: Hello.")]
    prompt = [s("Stay in character."), s(start), *chat, s("[Write the next reply only as Mira.]")]
    body = {"messages": post_processed(prompt, "single", "Mira", members=["Mira", "Tobias"]), "stream": True}
    kept = await memory.ask(body, SILLYTAVERN, ["Sit down."], DEFAULT)
    assert kept is not None
    told = [(m.role, m.speaker) for m in kept.path]
    assert told == [("assistant", "Mira"), ("user", "Alex"), ("assistant", "Tobias"), ("assistant", "Mira")]


@pytest.mark.parametrize(
    ("greeting", "text"),
    [("Location: a tavern.", "Note: I am tired."), ("Far away in Karst: night.", "I look up and say: hello")],
)
def test_headings_and_sentences_are_nobodys_names(greeting: str, text: str) -> None:
    prompt = [*map(s, YOU_ARE), s(START), a(greeting), u(text)]
    for mode in ("none", "merge", "semi", "strict"):
        found = read(*post_processed(prompt, mode, "Mira"))
        assert (found.character, found.user_name, found.names) == ("Mira", "", ["Mira"])
    found = read(
        *post_processed([*map(s, YOU_ARE), s(START), a(greeting), u(f"Hi.\n\n{text}")], "single", "Mira")
    )
    assert (found.character, found.user_name, found.names) == ("Mira", "Alex", ["Mira", "Alex"])


def test_one_side_with_names_is_no_chat_with_names() -> None:
    for chat in ([a("Tobias: You are late."), u("Hello?")], [a("You are late."), u("Alex: Hello?")]):
        found = read(*map(s, YOU_ARE), s(START), *chat)
        assert (found.character, found.user_name) == ("Mira", "")


def test_what_another_client_sends_is_read_as_it_was() -> None:
    script = u("You are Mira.\n\nMira: You are late.\n\nAlex: Hello?")
    led = [s("You are Mira."), a("Mira: You are late."), u("Alex: Hello?")]
    for messages in ([script], led):
        found = read(*messages, headers={"user-agent": "OpenAI/Python"})
        assert (found.user_name, found.spoken) == ("", [])


@pytest.mark.parametrize(
    ("main", "user"),
    [
        ("This is a slow-burn role-play between Mira and Alex. Never speak for Alex.", "Alex"),
        ("You are Mira in a chat between Alex and Mira.", "Alex"),
        ("Write the endless story between Mira and Dr. Alex Stone; be vivid.", "Dr. Alex Stone; be vivid"),
        ("You are Mira. Remember the war between Karst and Mira.", ""),
    ],
)
def test_a_main_prompt_of_ones_own_may_say_who_takes_part(main: str, user: str) -> None:
    found = read(s(main), s(CARD), s(START), a("You are late."), u("Hello?"))
    assert (found.character, found.user_name) == ("Mira", user)
