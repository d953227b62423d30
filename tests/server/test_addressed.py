"""A message of the user's that begins with the character's name and a colon speaks to the character."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes.openai_server import FakeOpenAI
from tests.fakes.wire import says
from tests.server.importing import put
from tests.server.live import Live, idle
from tests.server.prompts import Message, s
from tests.server.silly_files import chat as chat_file
from tests.server.silly_files import line
from tests.truth.front_end import post_processed

FILE = "Mira - 2026-11-22@10h04m05s123ms"
ADDRESSED = "Mira: come here, my dear. My ring is under the bed."
SAID = [
    ("Mira", "Welcome to the lamp room."),
    ("Alex", "Good evening."),
    ("Mira", "So it is."),
    ("Alex", ADDRESSED),
    ("Mira", "I come."),
    ("Alex", "Thank you."),
    ("Mira", "Always."),
]
TAG = {"chat_id": FILE, "chat_file": FILE, "kind": "normal", "character": "Mira", "user_name": "Alex"}


def row(who: str, text: str, *, named: bool) -> Message:
    said = f"{who}: {text}" if named else text
    return {"role": "user" if who == "Alex" else "assistant", "content": said}


async def tell(live: Live, fake: FakeOpenAI, said: list[tuple[str, str]], mode: str, **how: Any) -> str:
    """The turn that answers with the last of what was said; its session."""
    fake.script(says(said[-1][1]))
    main = "Write Mira's next reply in a fictional chat between Mira and Alex."
    rows = [row(*one, named=how.get("named", False)) for one in said[:-1]]
    prompt = [s(main), s("Mira keeps the light."), s("[Start a new Chat]"), *rows]
    body: dict[str, Any] = {"messages": post_processed(prompt, mode, "Mira")}
    if how.get("tagged"):
        body["metadata"] = TAG
    answer = await live.http.post("/v1/chat/completions", json=body)
    assert answer.status_code == 200, answer.text
    await idle(live)
    return answer.headers["x-session-id"]


async def shown(live: Live, session: str) -> list[tuple[str, str, str]]:
    found = (await live.http.get(f"/v1/sessions/{session}/messages")).json()["data"]
    return [(m["role"], m["speaker"], m["content"]) for m in found]


def expected() -> list[tuple[str, str, str]]:
    return [("user" if who == "Alex" else "assistant", who, text) for who, text in SAID]


@pytest.mark.parametrize("named", [False, True], ids=["no names", "names in the text"])
@pytest.mark.parametrize("tagged", [False, True], ids=["no tag", "extension"])
@pytest.mark.parametrize("mode", ["none", "merge", "semi", "strict"])
async def test_it_is_the_users_and_whole(
    live: Live, fake: FakeOpenAI, mode: str, tagged: bool, named: bool
) -> None:
    for n in (3, 5, 7):
        session = await tell(live, fake, SAID[:n], mode, tagged=tagged, named=named)
    found = await shown(live, session)
    assert [
        (role, who, text.removeprefix(f"{who}: " if named else "")) for role, who, text in found
    ] == expected()


async def test_events_and_imports_know_it_as_it_was_sent(live: Live, fake: FakeOpenAI) -> None:
    for n in (3, 5, 7):
        await tell(live, fake, SAID[:n], "none", tagged=True)
    messages = [row(*one, named=False) | {"name": one[0]} for one in SAID]
    event = {
        "type": "reply",
        "messages": messages,
        **{k: v for k, v in TAG.items() if k in ("chat_file", "character", "user_name")},
    }
    taken = (await live.http.post(f"/v1/sessions/{FILE}/events", json=event)).json()
    assert not taken["changed"]
    lines = [line(who, text, is_user=who == "Alex") for who, text in SAID]
    await put(live, chat_file(*lines), f"chats/Mira/{FILE}.jsonl")
    assert await shown(live, FILE) == expected()
    listed = (await live.http.get("/v1/sessions")).json()["data"]
    assert [one["messages"] for one in listed] == [len(SAID)]


async def test_a_plain_clients_message_is_kept_whole(live: Live, fake: FakeOpenAI) -> None:
    fake.script(says("It is."))
    system = {"role": "system", "content": "You are Mira, a lighthouse keeper, talking with Alex."}
    asked = {"role": "user", "content": "Mira: is a nice name."}
    answer = await live.http.post("/v1/chat/completions", json={"messages": [system, asked]})
    found = await shown(live, answer.headers["x-session-id"])
    assert [text for _, _, text in found] == ["Mira: is a nice name.", "It is."]
    assert found[0][1] != "Mira"
