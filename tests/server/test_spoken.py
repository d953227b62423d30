"""What a front-end writes into a chat in the roles of its speakers is nobody's words: never stored, always sent."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from graph.settings import Settings
from server.sillytavern import interpret
from tests.fakes.openai_server import FakeOpenAI
from tests.server.live import Live, idle, serving, stored
from tests.server.prompts import Message, a, s, u

CARD = {"role": "system", "content": "Mira keeps the lighthouse of Skerry. Mira is dry and loyal."}
GREETING = {"role": "assistant", "content": "*The lamp turns.* You are soaked."}
NOTE = "[The storm grows stronger.]"
LORE = "Skerry: an island of seals.\n\nIts tower is older than its church."
RULES = "Stay in character."


def merged(messages: list[Message]) -> list[Message]:
    """Neighbours of one role as one message, as SillyTavern's post-processing writes them."""
    rows: list[Message] = []
    for message in messages:
        if rows and rows[-1]["role"] == message["role"]:
            rows[-1] = rows[-1] | {"content": f"{rows[-1]['content']}\n\n{message['content']}"}
        else:
            rows.append(message)
    return rows


def semi(messages: list[Message]) -> list[Message]:
    rows = merged(messages)
    return merged([m if m["role"] != "system" or not n else u(m["content"]) for n, m in enumerate(rows)])


def single(messages: list[Message]) -> list[Message]:
    names = {"user": "Alex: ", "assistant": "Mira: ", "system": ""}
    return merged([u(names[m["role"]] + m["content"]) for m in messages])


MODES = {"none": list[Message], "merge": merged, "semi": semi, "single": single}


@dataclass
class Chat:
    """A front-end's chat with a note of its own, two messages from its end."""

    live: Live
    note: Message
    mode: str = "none"
    chat: list[Message] = field(default_factory=lambda: [GREETING])
    tagged: bool = True

    async def say(self, text: str, note: Message | None = None) -> str:
        """One message and its reply; the session it went to."""
        self.chat.append(u(text))
        note = note or self.note
        noted = [*self.chat[:-2], note, *self.chat[-2:]]
        prompt = [CARD, s("[Start a new Chat]"), *noted, s(RULES)]
        body: dict[str, Any] = {"messages": MODES[self.mode](prompt), "metadata": {"kind": "normal"}}
        if self.tagged:
            away = [note] if self.mode in ("none", "merge") else [note, s(RULES)]
            injected = [[prompt.index(m), m["content"]] for m in away]
            body["metadata"] |= {"character": "Mira", "user_name": "Alex", "injected": injected}
        answer = await self.live.http.post("/v1/chat/completions", json=body)
        assert answer.status_code == 200, answer.text
        self.chat.append(a(answer.json()["choices"][0]["message"]["content"]))
        return str(answer.headers["x-session-id"])

    def said(self) -> list[tuple[str, str]]:
        return [(message["role"], message["content"]) for message in self.chat]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("note", [u(NOTE), a(NOTE), u(LORE)], ids=["user", "assistant", "lore"])
async def test_a_note_that_is_told_is_never_stored(
    live: Live, fake: FakeOpenAI, mode: str, note: Message
) -> None:
    chat = Chat(live, note, mode)
    sessions = set()
    for text in ("Good evening.", "I bring oil.\n\nAnd bread.", "It is late."):
        sessions.add(await chat.say(text))
        assert await stored(live, sessions.copy().pop()) == chat.said()
        assert note["content"] in "\n".join(m["content"] for m in fake.calls[-1].body["messages"])
    assert len(sessions) == 1


async def test_the_message_below_a_told_note_is_the_one_that_is_answered(
    live: Live, fake: FakeOpenAI
) -> None:
    prompt = [CARD, GREETING, u("Who lit the lamp?"), u(NOTE)]
    body = {"messages": prompt, "metadata": {"kind": "normal", "chat_id": "c", "injected": [[3, NOTE]]}}
    await live.http.post("/v1/chat/completions", json=body)
    await idle(live)
    messages = (await live.http.get("/v1/sessions/c/messages")).json()["data"]
    assert [m["content"] for m in messages[:2]] == [GREETING["content"], "Who lit the lamp?"]
    state = await live.resources.checkpointer.aget_tuple({"configurable": {"thread_id": "local:c"}})
    assert state is not None and state.checkpoint["channel_values"]["newest"] == "Who lit the lamp?"


async def test_a_prompt_in_the_users_role_is_sent_when_the_history_is_cut(
    settings: Settings, fake: FakeOpenAI
) -> None:
    story = [(u, a)[n % 2](f"Message {n}. " + "The waves beat against the rock. " * 20) for n in range(40)]
    prompt = [u("Write Mira's next reply."), CARD, *story, u("And now?")]
    tag = {"kind": "normal", "chat_id": "c", "injected": [[0, "Write Mira's next reply."]]}
    async with serving(settings.model_copy(update={"context_tokens": 2048})) as live:
        answer = await live.http.post("/v1/chat/completions", json={"messages": prompt, "metadata": tag})
        assert answer.status_code == 200
        sent = fake.calls[-1].body["messages"]
        assert sent[:2] == prompt[:2] and sent[-1] == prompt[-1] and story[0] not in sent
        assert len(await stored(live, "c")) == 42


@pytest.mark.parametrize(
    "injected",
    [
        "x",
        [3],
        [[9, NOTE]],
        [["0", NOTE]],
        [[0]],
        [[2, 5]],
        [[2, ""]],
        {"2": NOTE},
        [[2, "Good"]],
        [[1, "evening."]],
    ],
)
def test_a_tag_that_fits_nothing_takes_nothing_away(injected: object) -> None:
    body = {"messages": [CARD, GREETING, u("Good evening.")], "metadata": {"injected": injected}}
    assert interpret(body, {}).spoken == []


def test_of_equal_texts_the_told_one_is_nobodys() -> None:
    messages = [CARD, u("Yes."), a("Sure?"), u("Yes."), a("Good.")]
    for at in (1, 3):
        meant = interpret({"messages": messages, "metadata": {"injected": [[at, "Yes."]]}}, {})
        assert meant.spoken == [[at, ""]]


@pytest.mark.parametrize("note", [u(NOTE), a(NOTE)], ids=["user", "assistant"])
async def test_an_untold_note_stands_only_where_the_newest_request_shows_it(
    settings: Settings, fake: FakeOpenAI, note: Message
) -> None:
    async with serving(settings.model_copy(update={"summarize_after_messages": 4})) as live:
        chat = Chat(live, note, tagged=False)
        await chat.say("The sea is calm.")
        for number in range(8):
            session = await chat.say(f"This is evening {number}, and the wind blows.")
            shown = chat.said()
            assert await stored(live, session) == [*shown[:-3], (note["role"], NOTE), *shown[-3:]]
            await idle(live)
        await chat.say("The note has another text now.", note | {"content": "[Calm.]"})
        await idle(live)
        found = await live.resources.transcript.session("local", session)
        assert found is not None
        texts = [m.text for m in await live.resources.transcript.messages(found.key, list(found.path))]
        texts += [s.text for s in await live.resources.transcript.summaries(found.key, found.path)]
        assert len(texts) > len(chat.chat) + 1
        assert not any(NOTE in text for text in texts)


async def test_an_untold_instruction_at_the_end_is_gone_with_the_next_request(live: Live) -> None:
    chat = [GREETING]
    for number in range(4):
        chat.append(u(f"This is evening {number}, and the wind blows."))
        prompt = [CARD, s("[Start a new Chat]"), *chat, u(RULES)]
        answer = await live.http.post("/v1/chat/completions", json={"messages": prompt, "stream": False})
        chat.append(a(answer.json()["choices"][0]["message"]["content"]))
        shown = [(m["role"], m["content"]) for m in chat]
        assert await stored(live, answer.headers["x-session-id"]) == [*shown[:-1], ("user", RULES), shown[-1]]


@pytest.mark.parametrize(
    "start", ["[Start a new Chat]", "[Start a new group chat. Group members: Mira, Bram]"]
)
async def test_prompts_in_a_speakers_role_before_the_chat_are_not_stored(
    live: Live, fake: FakeOpenAI, start: str
) -> None:
    before = [u("Write Mira's next reply."), CARD, u("Alex is a sailor."), a("I understand."), s(start)]
    chat = [GREETING]
    for text in ("Good evening.", "It rains."):
        chat.append(u(text))
        answer = await live.http.post("/v1/chat/completions", json={"messages": [*before, *chat, s(RULES)]})
        chat.append(a(answer.json()["choices"][0]["message"]["content"]))
        assert fake.calls[-1].body["messages"][: len(before)] == before
    shown = await stored(live, answer.headers["x-session-id"])
    assert shown == [(m["role"], m["content"]) for m in chat]


@pytest.mark.parametrize("text", ["[Start a new chat]", "Let's get started."])
async def test_the_placeholder_of_strict_mode_is_not_stored(live: Live, fake: FakeOpenAI, text: str) -> None:
    head, chat = [CARD, u(text)], [GREETING]
    for said in ("Good evening.", "It rains."):
        chat.append(u(said))
        answer = await live.http.post("/v1/chat/completions", json={"messages": [*head, *chat]})
        chat.append(a(answer.json()["choices"][0]["message"]["content"]))
        assert fake.calls[-1].body["messages"][1] == u(text)
    shown = await stored(live, answer.headers["x-session-id"])
    assert shown == [(m["role"], m["content"]) for m in chat]


async def test_another_placeholder_is_recognised_once_the_settings_name_it(settings: Settings) -> None:
    own = settings.model_copy(update={"marker_placeholder": "Begin. | Los."})
    async with serving(own) as live:
        for text, stays in (("Los.", False), ("Begin.", False), ("[Start a new chat]!", True)):
            prompt = [CARD, u(text), a(f"*Opening of {text}*"), u("Good evening.")]
            answer = await live.http.post("/v1/chat/completions", json={"messages": prompt})
            shown = await stored(live, answer.headers["x-session-id"])
            assert (("user", text) in shown) is stays


@pytest.mark.parametrize(
    "messages",
    [
        [CARD, u("Let's get started.")],
        [CARD, u("Let's get started."), u("Now.")],
        [CARD, u("Let's get started."), a("Good."), u("So?"), s(RULES)],
        [CARD, a("Hm."), u("Let's get started."), a("Good."), u("So?")],
    ],
    ids=["alone", "answered by nobody", "with system messages after it", "later"],
)
def test_a_user_who_says_the_placeholders_words_is_heard(messages: list[Message]) -> None:
    assert interpret({"messages": messages}, {}).spoken == []
