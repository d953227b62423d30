"""A whole SillyTavern user folder: groups, and which lorebooks are bound to what."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from memory.whose import Whose
from server.transfer.archive import folder_files
from tests.fakes.openai_server import FakeOpenAI
from tests.fakes.wire import says
from tests.server.importing import MIRA, put
from tests.server.live import Live
from tests.server.silly_files import chat, line, user_folder

GROUP: dict[str, Any] = {
    "id": "1700000000000",
    "name": "The watch",
    "members": ["Mira.png", "Tobias.png", "Old Ben.png"],
    "disabled_members": ["Old Ben.png"],
    "chat_id": "g1",
    "chats": ["g0", "g1"],
}
SETTINGS: dict[str, Any] = {
    "username": "Alex",
    "user_avatar": "alex.png",
    "world_info_settings": {
        "world_info": {
            "globalSelect": ["Coast", "Weather"],
            "charLore": [{"name": "Mira", "extraBooks": ["Ships"]}],
        }
    },
    "power_user": {
        "personas": {"alex.png": "Alex", "ada.png": "Ada"},
        "persona_descriptions": {"alex.png": {"lorebook": "Family"}, "ada.png": {"description": "x"}},
        "persona_description_lorebook": "Family",
    },
    "oai_settings": {"proxy_password": "hunter2"},
}
HEADER = {"chat_metadata": {"world_info": "Tides"}, "user_name": "unused", "character_name": "unused"}


def of(content: dict[str, Any]) -> bytes:
    return json.dumps(content, indent=4).encode()


async def test_a_group_is_kept_with_its_name_members_and_chats(live: Live) -> None:
    report = await put(live, of(GROUP), name="groups/1700000000000.json")
    again = await put(live, of(GROUP), name="groups/1700000000000.json")
    assert (report["groups"], again["groups"], report["characters"]) == (1, 0, 0)
    (group,) = live.resources.library.groups("local")
    assert (group.name, group.members, group.disabled) == (
        "The watch",
        ["Mira", "Tobias", "Old Ben"],
        ["Old Ben"],
    )
    assert group.chats == ["g0", "g1"]
    await put(live, of(GROUP | {"chats": ["g1"]}), name="groups/1700000000000.json")
    assert [g.chats for g in live.resources.library.groups("local")] == [["g1"]]


async def test_the_lorebooks_that_are_chosen_in_the_settings_are_bound(live: Live) -> None:
    report = await put(live, of(SETTINGS), name="settings.json")
    assert report["bindings"] == 4
    assert live.resources.library.scopes("local") == [
        ("Coast", "global", ""),
        ("Family", "persona", "Alex"),
        ("Ships", "extra", "Mira"),
        ("Weather", "global", ""),
    ]
    assert (await put(live, of(SETTINGS), name="settings.json"))["bindings"] == 0
    less = SETTINGS | {"world_info_settings": {"world_info": {"globalSelect": ["Coast"]}}}
    assert (await put(live, of(less), name="settings.json"))["bindings"] == 2
    assert live.resources.library.scopes("local") == [("Coast", "global", ""), ("Family", "persona", "Alex")]


async def test_nothing_else_of_the_settings_is_kept(live: Live) -> None:
    await put(live, of(SETTINGS), name="settings.json")
    folder = live.resources.settings.db_path
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert not [path for path in files if b"hunter2" in path.read_bytes()]


async def test_a_chats_lorebook_is_bound_to_it_and_let_go_with_it(live: Live) -> None:
    await put(live, chat(*MIRA, header=HEADER))
    assert live.resources.library.chat_books("local") == [("Tides", "Mira - 1", Whose("Mira"))]
    await put(live, chat(*MIRA))
    assert live.resources.library.chat_books("local") == []


async def test_the_lorebook_of_an_old_group_chat_stands_in_the_group(live: Live) -> None:
    old = GROUP | {"chat_metadata": {"world_info": "Tides"}, "past_metadata": {"g0": {"world_info": "Moon"}}}
    await put(live, of(old), name="groups/1.json")
    lines = [line("Mira", "Tea?"), line("Alex", "Yes.")]
    await put(
        live, b"\n".join(json.dumps(row).encode() for row in lines), name="group chats/g1.jsonl", group=True
    )
    group = Whose(is_group=True)
    assert live.resources.library.chat_books("local") == [("Moon", "g0", group), ("Tides", "g1", group)]


@pytest.mark.parametrize("place", ["g1.jsonl", "group chats/g1.jsonl"])
async def test_a_chat_of_a_group_in_which_one_has_spoken_is_a_group_chat(
    live: Live, fake: FakeOpenAI, place: str
) -> None:
    """It goes on live when another member answers."""
    await put(live, of(GROUP), name="groups/1.json")
    lines = [line("Mira", "Tea?", 1), line("Alex", "Rum.", 2), line("Mira", "Hm.", 2)]
    (session,) = (await put(live, chat(*lines), name=place))["sessions"]
    assert (await live.http.get(f"/v1/sessions/{session['id']}")).json()["is_group"]
    window = [
        {"role": "assistant", "content": "Mira: Tea?"},
        {"role": "user", "content": "Rum."},
        {"role": "assistant", "content": "Mira: Hm."},
        {"role": "user", "content": "Tobias?"},
        {"role": "system", "content": "[Write the next reply only as Tobias.]"},
    ]
    fake.script(says("Aye."))
    answer = await live.http.post("/v1/chat/completions", json={"messages": window})
    assert (answer.headers["x-session-id"], answer.headers["x-turn-change"]) == (session["id"], "append")


async def test_a_private_chat_of_the_same_name_is_no_group_chat(live: Live) -> None:
    await put(live, of(GROUP | {"chats": ["Mira - 1"]}), name="groups/1.json")
    (session,) = (await put(live, chat(*MIRA), name="default-user/chats/Mira/Mira - 1.jsonl"))["sessions"]
    assert not (await live.http.get(f"/v1/sessions/{session['id']}")).json()["is_group"]


def test_groups_and_settings_come_before_the_chats(tmp_path: Path) -> None:
    folder = user_folder(tmp_path / "default-user", {"chats/Mira/1.jsonl": b"", "group chats/g1.jsonl": b""})
    (folder / "chats/Mira/settings.json").write_bytes(b"{}")
    names = [path.relative_to(folder).as_posix() for path in folder_files(tmp_path)]
    assert sorted(names[:4]) == ["characters/Mira.png", "groups/1.json", "settings.json", "worlds/Coast.json"]
    assert names[4:] == ["chats/Mira/1.jsonl", "group chats/g1.jsonl"]


async def test_a_folder_in_an_archive_brings_all_of_it(live: Live) -> None:
    packed = io.BytesIO()
    files = {
        "group chats/g1.jsonl": chat(line("Tobias", "Ahoy."), line("Alex", "Evening.")),
        "groups/1.json": of(GROUP),
        "settings.json": of(SETTINGS),
    }
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            archive.writestr(f"backup/default-user/{name}", content)
    report = await put(live, packed.getvalue(), name="backup.zip")
    assert (report["groups"], report["bindings"], report["problem_count"]) == (1, 4, 0)
    assert len(report["sessions"]) == 1
