"""An extension's own prompt that comes with the id of the open chat is no turn of it, whatever role it plays."""

from __future__ import annotations

from typing import Any

import pytest

from tests.server.live import Live, stored
from tests.server.prompts import a, s, u

SILLYTAVERN = {"user-agent": "node-fetch"}
LONG = "You are to act as an image prompt writer. " + "Describe the scene and the light in short tags. " * 9
RAW = {
    "a role": [s("You are a translator. Translate the user's message to German."), u("Good morning.")],
    "a task": [s("Translate to German."), u("Good morning.")],
    "alone": [u("List three colours.")],
    "long": [u(LONG)],
}
CARD = [
    s("Write Mira's next reply in a fictional chat between Mira and Alex."),
    s("Mira keeps a lighthouse."),
]


YAML = {"chat_id": "chat", "gen_type": "normal", "character": "Mira", "user_name": "Alex"}
"""What README's YAML gives: the kind is the last turn's."""
SET = {"temperature": 1, "top_p": 1, "frequency_penalty": 0, "presence_penalty": 0, "max_tokens": 300}


async def send(
    live: Live, messages: list[Any], *, stream: bool = False, told: dict[str, Any] = YAML, **more: Any
) -> str:
    """A request with its tag; the kind that it was taken for."""
    body = {"messages": messages, "stream": stream, "metadata": told, **more}
    answer = await live.http.post("/v1/chat/completions", json=body, headers=SILLYTAVERN)
    assert answer.status_code == 200, answer.text
    return str(answer.headers["x-turn-kind"])


def turn(chat: list[Any], *, merged: bool = False) -> list[Any]:
    """A request that shows a chat, as it is or with its prompts merged."""
    if merged:
        return [s("\n\n".join(m["content"] for m in CARD)), *chat]
    return [*CARD, s("[Start a new Chat]"), *chat]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("prompt", list(RAW))
async def test_it_leaves_the_chat_as_it_is(live: Live, prompt: str, stream: bool) -> None:
    chat = [a("You are late."), u("Good evening.")]
    assert await send(live, turn(chat)) == "normal"
    chat = [*chat, a((await stored(live, "chat"))[-1][1]), u("Can we sail?")]
    assert await send(live, turn(chat)) == "normal"
    before = await stored(live, "chat")
    assert await send(live, RAW[prompt], stream=stream) == "raw"
    assert await stored(live, "chat") == before and len(before) == 5


@pytest.mark.parametrize("merged", [False, True])
async def test_a_turn_that_shows_one_message_of_a_short_chat_is_one(live: Live, merged: bool) -> None:
    assert await send(live, turn([u("Good evening.")], merged=merged)) == "normal"
    assert await send(live, turn([u("Good morning.")], merged=merged)) == "normal"
    shown = await stored(live, "chat")
    assert ("user", "Good morning.") in shown


@pytest.mark.parametrize("mode", ["single", "merged"])
async def test_a_turn_that_shows_one_message_of_a_long_chat_is_one(live: Live, mode: str) -> None:
    chat = [u("Good evening."), a("Is it?"), u("Can we sail?"), a("No."), u("Why?")]
    assert await send(live, turn(chat)) == "normal"
    lone = turn([u("A year later. Still no wind?")], merged=True)
    if mode == "single":
        lone = [u("\n\n".join(m["content"] for m in lone))]
    assert [await send(live, lone), await send(live, lone)] == ["normal", "normal"]


@pytest.mark.parametrize("told", [{}, {"chat_id": "chat"}])
async def test_a_client_that_sends_one_message_at_a_time_goes_on(live: Live, told: dict[str, Any]) -> None:
    card = s("Mira keeps a lighthouse.")
    said = [f"Tell me of storm {n}." for n in range(4)]
    kinds = [await send(live, [card, u(text)], told=told, user="anna", stream=True, **SET) for text in said]
    assert kinds == ["normal"] * 4
    [session] = (await live.http.get("/v1/sessions")).json()["data"]
    assert [text for role, text in await stored(live, session["id"]) if role == "user"] == said


async def test_what_was_said_before_asked_again_alone_is_a_turn(live: Live) -> None:
    chat = [u("Good evening."), a("Is it?"), u("Can we sail?"), a("No."), u("Why?")]
    assert await send(live, turn(chat, merged=True)) == "normal"
    assert await send(live, turn([u("Why?")], merged=True)) == "normal"
