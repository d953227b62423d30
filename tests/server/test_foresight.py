"""What a turn asks is embedded before its run begins, and it is the very text that the run asks for."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from models.encoding import Encoding
from tests.fakes.openai_server import FakeOpenAI
from tests.fakes.waited_for import waited_for
from tests.fakes.wire import says
from tests.server.live import Live, idle

SYSTEM = {"role": "system", "content": "Write Mira's next reply in a fictional chat between Mira and Alex."}
LINES = (
    "The tide took the lantern.",
    "Who lit the lamp?",
    "Ines repairs clocks.",
    "*nods* Okay.",
    "Mira, look!",
)
QUESTION = "What did the tide take?"


@pytest.fixture
def asked(live: Live, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that somebody waits for, as they are asked for."""
    return waited_for(live.resources.embedder, monkeypatch)


async def send(live: Live, chat: list[dict[str, str]], **headers: str) -> str:
    """One request; how it was understood."""
    body: dict[str, Any] = {"messages": [SYSTEM, *chat], "stream": False}
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    response = await live.http.post("/v1/chat/completions", json=body, headers=given)
    assert response.status_code == 200, response.text
    await idle(live)
    return response.headers["x-turn-change"]


def says_so(role: str, text: str) -> dict[str, str]:
    return {"role": role, "content": text}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("chat_id", ["", "lighthouse"])
async def test_whatever_a_user_does_one_text_is_embedded_a_turn(
    live: Live, fake: FakeOpenAI, asked: list[str], chat_id: str, seed: int
) -> None:
    random, headers = Random(seed), {"x_chat_id": chat_id} if chat_id else {}
    chat = [says_so("assistant", "Welcome to the lamp room."), says_so("user", "The boat was slow.")]
    foreseen = 0
    for n in range(15):
        asked.clear()
        fake.reply = lambda *_: says(f"{random.choice(LINES)} {random.randrange(3)}")
        await send(live, chat, **headers)
        assert len(set(asked)) <= 1, asked
        foreseen += len(asked) == 2
        at = random.randrange(len(chat))
        match random.randrange(5):
            case 0:
                chat[at] = chat[at] | {"content": f"{random.choice(LINES)} Edited {n}."}
            case 1:
                del chat[max(at, 1) :]
            case 2:
                chat.append(says_so("assistant", random.choice(LINES)))
        if chat[-1]["role"] == "assistant":
            chat.append(says_so("user", f"{random.choice(LINES)} {n}" if n % 3 else random.choice(LINES)))
        else:
            chat += [says_so("assistant", f"A line that nobody stored, {n}."), says_so("user", LINES[n % 5])]
    assert foreseen >= 6


async def test_it_is_asked_for_before_the_run_begins(live: Live, asked: list[str]) -> None:
    chat = [says_so("assistant", "Welcome."), says_so("user", "The boat was slow.")]
    await send(live, chat, x_chat_id="lighthouse")
    asked.clear()
    chat += [says_so("assistant", "Yes."), says_so("user", QUESTION)]
    assert await send(live, chat, x_chat_id="lighthouse") == "edit"
    assert asked == [QUESTION, QUESTION], "for the run that begins, and by it"


async def test_nothing_is_foreseen_where_nothing_is_recalled(live: Live, asked: list[str]) -> None:
    chat = [says_so("assistant", "Welcome."), says_so("user", "The boat was slow.")]
    await send(live, chat, x_chat_id="lighthouse")
    asked.clear()
    chat += [says_so("assistant", "Yes."), says_so("user", QUESTION)]
    await send(live, chat, x_chat_id="lighthouse", x_memory_scope="off")
    await send(live, [*chat[:-1], says_so("user", "*nods* Okay.")], x_chat_id="lighthouse")
    assert asked == []


async def test_an_embedder_that_fails_fails_the_turn_alone(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat = [says_so("assistant", "Welcome."), says_so("user", "The boat was slow.")]
    await send(live, chat, x_chat_id="lighthouse")
    chat += [says_so("assistant", "Yes."), says_so("user", QUESTION)]

    async def broken(text: str, *, urgent: bool = False) -> Encoding:
        raise RuntimeError("out of memory")

    with monkeypatch.context() as patch:
        patch.setattr(live.resources.embedder, "encode", broken)
        body = {"messages": [SYSTEM, *chat]}
        answer = await live.http.post("/v1/chat/completions", json=body, headers={"x-chat-id": "lighthouse"})
        assert answer.status_code == 500
    await send(live, chat, x_chat_id="lighthouse")
