"""A request that tells that it shows all of its chat: what is missing was hidden or deleted, the oldest too."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes.openai_server import FakeOpenAI
from tests.server.live import Live, idle, stored

CHAT = "chat"
GREETING = {"role": "assistant", "content": "*Mira looks up.* You are late."}


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def shown(messages: list[Any]) -> list[tuple[str, str]]:
    return [(m["role"], m["content"]) for m in messages]


async def turn(live: Live, messages: list[Any], window: str = "whole") -> list[Any]:
    """One turn; the messages with the reply to them."""
    metadata = {"chat_id": CHAT, "kind": "normal", "window": window}
    answer = await live.http.post("/v1/chat/completions", json={"messages": messages, "metadata": metadata})
    assert answer.status_code == 200, answer.text
    return [*messages, {"role": "assistant", "content": answer.json()["choices"][0]["message"]["content"]}]


@pytest.fixture
async def chat(live: Live) -> list[Any]:
    chat = await turn(live, [GREETING, user("The password is Rumpelstiltskin.")])
    for text in ("Can we sail?", "What of the lamp?"):
        chat = await turn(live, [*chat, user(text)])
    await idle(live)
    return chat


@pytest.mark.parametrize("hidden", [1, 3, 5, 7])
async def test_the_oldest_that_are_not_shown_are_absent_until_they_are_again(
    live: Live, fake: FakeOpenAI, chat: list[Any], hidden: int
) -> None:
    asked = user("What was the password?")
    left = await turn(live, [*chat[hidden:], asked])
    assert await stored(live, CHAT) == shown(left)
    if hidden > 1:
        assert "Rumpelstiltskin" not in str(fake.calls[-1].body["messages"])
    back = await turn(live, [*chat, *left[len(chat) - hidden :], user("And now?")])
    assert await stored(live, CHAT) == shown(back)


async def test_untold_they_may_have_fallen_out_of_the_window(live: Live, chat: list[Any]) -> None:
    asked = user("What was the password?")
    left = await turn(live, [*chat[3:], asked], window="")
    assert await stored(live, CHAT) == shown([*chat[:3], *left])


async def test_what_was_moved_into_a_system_message_stays(live: Live, chat: list[Any]) -> None:
    moved = {"role": "system", "content": "Past events:\nMira: *Mira looks up.* You are late."}
    left = await turn(live, [moved, *chat[1:], user("And now?")])
    assert await stored(live, CHAT) == shown([GREETING, *left[1:]])
