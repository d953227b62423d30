"""How far memory reaches: this chat, the character's other chats, or nowhere; and what never crosses."""

from __future__ import annotations

from typing import Any

import pytest

from graph.settings import Settings
from nodes.other_chats import MOST_CHATS
from tests.fakes.openai_server import FakeOpenAI
from tests.fakes.wire import says
from tests.server.live import Live, idle, serving, stored

SECRET = "My sister Ines repairs clocks in Lisbon."
QUESTION = "What does my sister Ines do in Lisbon?"
GREETING = {"role": "assistant", "content": "*The keeper looks up.* You are late."}


def card(name: str) -> dict[str, str]:
    return {"role": "system", "content": f"{name} is the keeper of a lighthouse. {name} is dry and loyal."}


async def say(
    live: Live,
    chat_id: str,
    *texts: str,
    character: str = "Mira",
    headers: dict[str, str] | None = None,
    **metadata: Any,
) -> str:
    """One turn of a chat: the user's and the character's texts in turns; the prompt that the model got."""
    turns = [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(texts)]
    tag = {"chat_id": chat_id, "character": character, "user_name": "Alex", "kind": "normal"} | metadata
    answer = await live.http.post(
        "/v1/chat/completions",
        json={"messages": [card(character), GREETING, *turns], "metadata": tag},
        headers=headers or {},
    )
    assert answer.status_code == 200, answer.text
    return "\n".join(m["content"] for m in provider_of(live).calls[-1].body["messages"])


def provider_of(live: Live) -> FakeOpenAI:
    provider = PROVIDERS[live.url]
    return provider


PROVIDERS: dict[str, FakeOpenAI] = {}


@pytest.fixture
async def told(live: Live, fake: FakeOpenAI) -> Live:
    """A server that was told the secret in Mira's first chat."""
    PROVIDERS[live.url] = fake
    fake.script(says("Clocks. How dull."))
    await say(live, "first", SECRET)
    await idle(live)
    return live


async def test_by_default_a_chat_remembers_itself_alone(told: Live) -> None:
    assert SECRET not in await say(told, "second", QUESTION)


async def test_with_the_characters_scope_another_chat_is_remembered_and_says_so(told: Live) -> None:
    sent = await say(told, "second", QUESTION, memory_scope="character")
    [line] = [line for line in sent.splitlines() if SECRET in line]
    assert line == f"- Alex (in another chat): {SECRET}"
    assert "other chats" in sent
    assert [text for _, text in await stored(told, "second")][1] == QUESTION


async def test_the_header_says_it_too_and_goes_before_the_metadata(told: Live) -> None:
    header = {"X-Memory-Scope": "Character"}
    assert SECRET in await say(told, "second", QUESTION, headers=header)
    assert SECRET in await say(told, "third", QUESTION, headers=header, memory_scope="chat")
    unset = {"X-Memory-Scope": "{{getvar::scope}}"}
    assert SECRET in await say(told, "fourth", QUESTION, headers=unset, memory_scope="character")


async def test_one_embedding_is_paid_for_whatever_the_scope(told: Live) -> None:
    before = told.resources.embedder.forward_passes
    await say(told, "second", QUESTION, memory_scope="character")
    during = told.resources.embedder.forward_passes - before
    await idle(told)
    assert during <= 2, "the newest message, and at most what the outbox had begun"


async def test_another_character_and_a_group_share_no_private_chat(told: Live) -> None:
    everything = {"memory_scope": "character"}
    assert SECRET not in await say(told, "toms", QUESTION, character="Tom", **everything)
    group = {"group_members": ["Mira", "Tom"], **everything}
    assert SECRET not in await say(told, "group", QUESTION, **group)


async def test_what_was_said_in_a_group_stays_there(told: Live, fake: FakeOpenAI) -> None:
    group = {"group_members": ["Mira", "Tom"]}
    fake.script(says("Noted, says Tom."), says("Noted, says Mira."))
    await say(told, "group", "The treasure lies under the blue stone.", character="Tom", **group)
    await say(told, "group", "The treasure lies under the blue stone.", "Noted, says Tom.", "Well?", **group)
    await idle(told)
    sent = await say(told, "second", "Where is the treasure? Under which stone?", memory_scope="character")
    assert "blue stone" not in sent


async def test_a_group_in_which_one_character_alone_has_spoken_is_a_group(told: Live) -> None:
    group = {"group_members": ["Mira", "Tom"]}
    await say(told, "group", "The treasure lies under the blue stone.", **group)
    await idle(told)
    sent = await say(told, "second", "Where is the treasure? Under which stone?", memory_scope="character")
    assert "blue stone" not in sent


async def test_a_line_that_a_fork_without_id_left_behind_is_not_remembered(told: Live) -> None:
    lines = ["I have a boat.", "A boat.", "It is red.", "Red.", "I sold it in Porto.", "A pity."]
    for n in range(1, len(lines), 2):
        provider_of(told).script(says(lines[n]))
        await say(told, "", *lines[:n])
    await say(told, "", *lines[:4], "It sank off Faro.")
    await say(told, "", *lines[:2], "It is green.")
    left = [s for s in (await told.http.get("/v1/sessions")).json()["data"] if s["left_behind"]]
    assert left
    await idle(told)
    sent = await say(told, "second", "Where did my boat sink? Off Faro?", memory_scope="character")
    gone = {text for session in left for _, text in await stored(told, session["id"])}
    live = {
        text
        for session in (await told.http.get("/v1/sessions")).json()["data"]
        if not session["left_behind"]
        for _, text in await stored(told, session["id"])
    }
    assert "It sank off Faro." in gone - live
    assert not [text for text in gone - live if text in sent]


async def test_a_branch_recalls_what_only_its_origin_holds_and_nothing_twice(told: Live) -> None:
    shared = ["Good evening.", "Evening.", "It rains.", "It does."]
    for n in (1, 3):
        provider_of(told).script(says(shared[n]))
        await say(told, "origin", *shared[:n])
    await say(told, "origin", *shared, "My cat Tom sleeps in the attic.")
    await say(told, "branch", *shared, "Let us go out.")
    await idle(told)
    sent = await say(
        told,
        "branch",
        *shared,
        "Let us go out.",
        "Stub.",
        "Where does my cat Tom sleep?",
        memory_scope="character",
    )
    assert sent.count("My cat Tom sleeps in the attic.") == 1
    for text in ("It rains.", GREETING["content"]):
        assert sent.count(text) == 1, "what stands in the prompt is no memory of another chat"


async def test_off_recalls_nothing_and_stores_the_turn(told: Live) -> None:
    assert "remembers" not in await say(
        told, "first", SECRET, "Clocks. How dull.", QUESTION, memory_scope="off"
    )
    assert len(await stored(told, "first")) == 5


async def test_at_most_the_most_recent_chats_are_searched(told: Live) -> None:
    for n in range(MOST_CHATS - 1):
        await say(told, f"filler {n}", f"Remark number {n}.")
    assert SECRET in await say(told, "asking", QUESTION, memory_scope="character")
    for n in range(2):
        await say(told, f"more {n}", f"Another remark, {n}.")
    assert SECRET not in await say(told, "asking", QUESTION, "Stub.", QUESTION, memory_scope="character")


@pytest.mark.parametrize(
    ("headers", "metadata", "param"),
    [
        ({"X-Memory-Scope": "all"}, {}, "x-memory-scope"),
        ({}, {"memory_scope": "everything"}, "metadata.memory_scope"),
        ({}, {"memory_scope": ["chat"]}, "metadata.memory_scope"),
    ],
)
async def test_a_wrong_scope_is_refused_with_what_is_allowed(
    live: Live, fake: FakeOpenAI, headers: dict[str, str], metadata: dict[str, Any], param: str
) -> None:
    answer = await live.http.post(
        "/v1/chat/completions",
        json={"messages": [card("Mira"), {"role": "user", "content": "Hello."}], "metadata": metadata},
        headers=headers,
    )
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["param"] == param and "chat, character, off" in error["message"]
    assert not fake.calls


async def test_the_setting_is_the_default_and_a_request_may_narrow_it(
    settings: Settings, fake: FakeOpenAI
) -> None:
    async with serving(settings.model_copy(update={"memory_scope": "character"})) as live:
        PROVIDERS[live.url] = fake
        await say(live, "first", SECRET)
        await idle(live)
        assert SECRET in await say(live, "second", QUESTION)
        assert SECRET not in await say(live, "third", QUESTION, memory_scope="chat")
