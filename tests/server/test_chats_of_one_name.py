"""Two characters' chats with the same file name are two chats: live, told by events, deleted and imported."""

from __future__ import annotations

import io
import zipfile
from typing import Any
from urllib.parse import quote

import pytest

from tests.fakes.openai_server import FakeOpenAI
from tests.fakes.wire import says
from tests.server.importing import count, put, shown
from tests.server.live import Live
from tests.server.silly_files import chat, line

Told = list[tuple[str, str]]
MIRA: Told = [("assistant", "Mira waves."), ("user", "Where is Ines?"), ("assistant", "At sea.")]
TOBIAS: Told = [("assistant", "Tobias nods."), ("user", "How is the ferry?"), ("assistant", "Wet.")]
BOTH = {"Mira": MIRA, "Tobias": TOBIAS}
MORE = [("user", "And now?"), ("assistant", "Now we wait.")]


async def turn(live: Live, fake: FakeOpenAI, who: str, chat: Told, **tag: Any) -> str:
    """A turn of the extension in a character's chat "Main"; `chat` ends with the reply that comes."""
    fake.script(says(chat[-1][1]))
    system = {
        "role": "system",
        "content": f"Write {who}'s next reply in a fictional chat between {who} and A.",
    }
    messages = [system, *({"role": role, "content": text} for role, text in chat[:-1])]
    told = {"chat_id": "Main", "kind": "normal", "character": who, "user_name": "A", **tag}
    answer = await live.http.post("/v1/chat/completions", json={"messages": messages, "metadata": told})
    assert answer.status_code == 200, answer.text
    return answer.headers["x-session-id"]


async def tell(live: Live, chat: Told, **more: Any) -> dict[str, Any]:
    body = {"type": "open", "messages": [{"role": r, "content": t} for r, t in chat], **more}
    answer = await live.http.post("/v1/sessions/Main/events", json=body)
    assert answer.status_code in (200, 202), answer.text
    taken: dict[str, Any] = answer.json()
    return taken


@pytest.fixture
async def sessions(live: Live, fake: FakeOpenAI) -> dict[str, str]:
    """Both chats with their first reply; Tobias's was used last."""
    return {who: await turn(live, fake, who, said) for who, said in BOTH.items()}


async def test_each_character_goes_on_in_their_own_chat(
    live: Live, fake: FakeOpenAI, sessions: dict[str, str]
) -> None:
    for who, said in BOTH.items():
        assert await turn(live, fake, who, [*said, *MORE]) == sessions[who]
    for who, said in BOTH.items():
        assert await shown(live, sessions[who]) == [*said, *MORE]
    listed = (await live.http.get("/v1/sessions")).json()["data"]
    assert sorted((s["character"], s["chat_id"], s["left_behind"]) for s in listed) == [
        ("Mira", "Main", False),
        ("Tobias", "Main", False),
    ]


async def test_an_id_alone_is_the_chat_used_last_and_character_slash_chat_is_exact(
    live: Live, sessions: dict[str, str]
) -> None:
    assert await shown(live, "Main") == TOBIAS
    for who, said in BOTH.items():
        assert await shown(live, f"{who}/Main") == said
        one = (await live.http.get(f"/v1/sessions/{quote(f'{who}/Main', safe='')}")).json()
        assert one["id"] == sessions[who]
        exported = (await live.http.get(f"/v1/sessions/{who}%2FMain/export")).text
        assert said[-1][1] in exported
    assert (await live.http.get("/v1/sessions/Bram/Main")).status_code == 404


async def test_deleting_one_leaves_the_other(live: Live, sessions: dict[str, str]) -> None:
    deleted = (await live.http.delete("/v1/sessions/Mira/Main")).json()
    assert deleted["id"] == sessions["Mira"]
    listed = (await live.http.get("/v1/sessions")).json()["data"]
    assert [s["id"] for s in listed] == [sessions["Tobias"]]
    assert await shown(live, "Main") == TOBIAS


async def test_deleting_by_the_id_alone_takes_the_chat_used_last_and_no_other(
    live: Live, sessions: dict[str, str]
) -> None:
    assert (await live.http.delete("/v1/sessions/Main")).json()["id"] == sessions["Tobias"]
    assert await shown(live, "Main") == MIRA


async def test_opening_another_characters_chat_of_the_name_touches_nothing(
    live: Live, fake: FakeOpenAI
) -> None:
    mira = await turn(live, fake, "Mira", MIRA)
    assert (await tell(live, TOBIAS, character="Tobias"))["id"] == ""
    assert await shown(live, mira) == MIRA


async def test_opening_a_groups_chat_of_the_name_touches_nothing(live: Live, fake: FakeOpenAI) -> None:
    mira = await turn(live, fake, "Mira", MIRA)
    assert (await tell(live, TOBIAS, is_group=True))["id"] == ""
    assert await shown(live, mira) == MIRA


async def test_events_reach_the_chat_of_their_character(live: Live, sessions: dict[str, str]) -> None:
    edited = [*MIRA[:2], ("assistant", "Ashore.")]
    assert (await tell(live, edited, character="Mira"))["id"] == sessions["Mira"]
    assert await shown(live, sessions["Mira"]) == edited
    assert await shown(live, sessions["Tobias"]) == TOBIAS


async def test_events_of_a_renamed_character_reach_the_chat(live: Live, fake: FakeOpenAI) -> None:
    mira = await turn(live, fake, "Mira", [*MIRA, *MORE])
    hidden = [*MIRA, MORE[0]]
    assert (await tell(live, hidden, character="Mirabel"))["id"] == mira
    assert await turn(live, fake, "Mirabel", [*MIRA, MORE[0], ("assistant", "So.")]) == mira
    assert (await live.http.get("/v1/sessions")).json()["total"] == 1


async def test_a_groups_chat_is_one_session_whoever_speaks(live: Live, fake: FakeOpenAI) -> None:
    members = ["Mira", "Tobias"]
    one = await turn(live, fake, "Mira", MIRA, group_members=members)
    assert await turn(live, fake, "Tobias", [*MIRA, *MORE], group_members=members) == one
    alone = await turn(live, fake, "Tobias", TOBIAS)
    assert alone != one
    assert (await tell(live, [*MIRA, *MORE], is_group=True))["id"] == one


async def test_a_name_with_a_comma_that_the_yaml_gives_as_group_is_no_group(
    live: Live, fake: FakeOpenAI
) -> None:
    """SillyTavern's {{group}} is the character's name where there is no group."""
    name = "Mira, keeper"
    one = await turn(live, fake, name, MIRA, group=name)
    assert (await live.http.get(f"/v1/sessions/{one}")).json()["is_group"] is False


def files(chats: dict[str, Told], *names: str) -> bytes:
    """SillyTavern's folder of chats with a "Main" of each character, as a ZIP archive."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for who in names:
            rows = [line(who if r == "assistant" else "Alex", text, 1) for r, text in chats[who]]
            archive.writestr(f"chats/{who}/Main.jsonl", chat(*rows))
    return packed.getvalue()


@pytest.mark.parametrize("order", [("Mira", "Tobias"), ("Tobias", "Mira")])
async def test_imported_chats_of_one_name_go_on_live(
    live: Live, fake: FakeOpenAI, order: tuple[str, str]
) -> None:
    found = {who: (await put(live, files(BOTH, who), "chats.zip"))["sessions"][0] for who in order}
    ids = {who: session["id"] for who, session in found.items()}
    assert {session["chat_id"] for session in found.values()} == {"Main"}
    for who, said in BOTH.items():
        assert await turn(live, fake, who, [*said, *MORE]) == ids[who]
        assert await shown(live, ids[who]) == [*said, *MORE]
    assert await count(live) == 10
    again = await put(live, files(BOTH, *BOTH), "chats.zip")
    assert again["added"] == 0 and [s["id"] for s in again["sessions"]] == [ids[who] for who in BOTH]


async def test_what_was_live_is_found_by_an_import(live: Live, sessions: dict[str, str]) -> None:
    report = await put(live, files(BOTH, *BOTH), "chats.zip")
    assert [s["id"] for s in report["sessions"]] == list(sessions.values())
    assert report["added"] == 0


async def test_imported_chats_of_one_name_that_go_on_under_ids_of_their_own_are_known_again(
    live: Live, fake: FakeOpenAI
) -> None:
    """README's YAML gives each chat an id that its file need not hold yet."""
    report = await put(live, files(BOTH, *BOTH), "chats.zip")
    ids = [s["id"] for s in report["sessions"]]
    for n, (who, said) in enumerate(BOTH.items()):
        assert await turn(live, fake, who, [*said, *MORE], chat_id=f"made {n}") == ids[n]
    again = await put(live, files(BOTH, *BOTH), "chats.zip")
    assert [s["id"] for s in again["sessions"]] == ids
    assert await count(live) == 10


async def test_a_branch_that_comes_before_its_main_chat_is_of_its_own_characters_chat(live: Live) -> None:
    def rows(*said: tuple[str, str]) -> list[dict[str, Any]]:
        return [
            line("Tobias" if r == "assistant" else "Alex", text, 1 + n) for n, (r, text) in enumerate(said)
        ]

    await put(live, files(BOTH, "Mira"), "chats.zip")
    header = {"chat_metadata": {"main_chat": "Main"}}
    branch = chat(*rows(*TOBIAS, ("user", "By boat?"), ("assistant", "No.")), header=header)
    (branched,) = (await put(live, branch, "Branch #1.jsonl"))["sessions"]
    (main,) = (await put(live, chat(*rows(*TOBIAS, *MORE)), "Main.jsonl"))["sessions"]
    told = (await live.http.get(f"/v1/sessions/{branched['id']}")).json()
    assert told["forked_from"] == main["id"]
    assert await shown(live, "Tobias/Main") == [*TOBIAS, *MORE]
    assert await shown(live, "Mira/Main") == MIRA
