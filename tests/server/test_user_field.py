"""OpenAI's `user` field: a client that sends one message at a time is known by it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.fakes.openai_server import FakeOpenAI
from tests.fakes.wire import says
from tests.server.live import Live, idle, said, stored

CARD = {"role": "system", "content": "Mira keeps the lighthouse of Skerry. Mira is dry and loyal."}


async def tell(live: Live, user: str, text: str) -> str:
    """One message without history; the session it went to."""
    return await send(live, user, [{"role": "user", "content": text}])


async def send(live: Live, user: str, messages: list[Any]) -> str:
    answer = await live.openai.chat.completions.with_raw_response.create(
        model="default", user=user, messages=[CARD, *messages]
    )
    return str(answer.headers["x-session-id"])


def newest_prompt(fake: FakeOpenAI) -> str:
    return "\n".join(message["content"] for message in fake.calls[-1].body["messages"])


async def test_two_users_have_a_session_each_and_each_recalls_its_own(live: Live, fake: FakeOpenAI) -> None:
    secrets = {"ann": "My sister Ines repairs clocks.", "ben": "My sister Olga paints boats."}
    sessions = {user: await tell(live, user, secret) for user, secret in secrets.items()}
    for number in range(12):
        for user in secrets:
            assert await tell(live, user, f"It is hour {number} and the fog is thick.") == sessions[user]
    await idle(live)
    assert sessions["ann"] != sessions["ben"]
    for user, other in (("ann", "ben"), ("ben", "ann")):
        assert await tell(live, user, "What does my sister do?") == sessions[user]
        assert secrets[user] in newest_prompt(fake) and secrets[other] not in newest_prompt(fake)
        texts = [text for _, text in await stored(live, sessions[user])]
        assert texts[0] == secrets[user] and len(texts) == 28
        shown = (await live.http.get(f"/v1/sessions/{sessions[user]}")).json()
        assert shown["user_name"] == user


async def test_two_first_messages_of_one_user_at_once_make_one_session(live: Live) -> None:
    first, second = await asyncio.gather(tell(live, "ann", "Hello?"), tell(live, "ann", "Anyone there?"))
    assert first == second and len(await stored(live, first)) == 4


async def test_one_user_has_a_session_with_each_character(live: Live) -> None:
    with_mira = await tell(live, "ann", "Good evening.")
    bram = {"role": "system", "content": "Bram mends the nets of Skerry. Bram is slow and kind."}
    answer = await live.openai.chat.completions.with_raw_response.create(
        model="default", user="ann", messages=[bram, {"role": "user", "content": "Good evening."}]
    )
    assert answer.headers["x-session-id"] != with_mira


@pytest.mark.parametrize("prompt", ["", "Write Mira's next reply in a fictional chat between Mira and ann."])
async def test_a_client_that_sends_its_history_begins_a_new_chat_with_a_first_message(
    live: Live, fake: FakeOpenAI, prompt: str
) -> None:
    head = [{"role": "system", "content": prompt}] if prompt else []
    fake.script(says("Sit down."))
    first = await send(live, "ann", head + said("Hello."))
    assert await send(live, "ann", head + said("Hello.", "Sit down.", "Thank you.")) == first
    second = await send(live, "ann", head + said("It is me again."))
    assert second != first
    assert len(await stored(live, second)) == 2


async def test_a_name_in_the_prompt_does_not_hide_who_the_user_is(live: Live) -> None:
    prompt = "Write Mira's next reply in a fictional chat between Mira and Alex."
    sessions = []
    for user in ("ann", "ben", "ann"):
        answer = await live.openai.chat.completions.with_raw_response.create(
            model="default",
            user=user,
            messages=[{"role": "system", "content": prompt}, {"role": "user", "content": f"I, {user}."}],
        )
        sessions.append(answer.headers["x-session-id"])
    assert sessions[0] == sessions[2] != sessions[1]


async def test_a_chat_with_an_id_keeps_its_users_name(live: Live) -> None:
    body = {
        "messages": [CARD, *said("Hello.", "Sit down.", "Thank you.")],
        "user": "Alex",
        "metadata": {"chat_id": "c", "user_name": "Alex"},
    }
    await live.http.post("/v1/chat/completions", json=body)
    assert (await live.http.get("/v1/sessions/c")).json()["user_name"] == "Alex"
