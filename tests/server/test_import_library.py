"""Cards and lorebooks in the library: which files are one thing, and which are two."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from tests.server.importing import put
from tests.server.live import Live
from tests.server.silly_files import CARD, png

DOWNLOAD = "main_spec_v2.png"
LOREBOOK: dict[str, Any] = {  # Any: JSON
    "spec": "lorebook_v3",
    "data": {
        "name": "Coast",
        "extensions": {},
        "entries": [
            {"keys": ["gull"], "content": "The gull is named Percy.", "enabled": True, "insertion_order": 3},
            {"keys": ["cellar"], "content": "The cellar is flooded.", "enabled": False, "constant": True},
        ],
    },
}


def card(name: str, **more: str) -> bytes:
    """A card of a character of this name."""
    one = copy.deepcopy(CARD)
    one["data"] |= {"name": name, **more}
    return png(one)


def characters(live: Live) -> list[tuple[str, str]]:
    return [(c.name, c.card["data"]["description"]) for c in live.resources.library.characters("local")]


async def test_cards_of_two_characters_with_one_file_name_are_two(live: Live) -> None:
    for name in ("Mira", "Tobias", "Mira"):
        await put(live, card(name, description=f"{name} keeps a lighthouse."), name=DOWNLOAD)
    assert characters(live) == [(n, f"{n} keeps a lighthouse.") for n in ("Mira", "Tobias")]


@pytest.mark.parametrize("other", [DOWNLOAD, "main_spec_v2 (1).png", "Mira.png", "characters/Mira.png", ""])
async def test_a_card_under_another_file_name_is_the_same(live: Live, other: str) -> None:
    assert (await put(live, card("Mira"), name=DOWNLOAD))["characters"] == 1
    assert (await put(live, card("Mira"), name=other))["characters"] == 0


@pytest.mark.parametrize("folder", ["", "default-user/characters/"])
async def test_two_characters_of_one_name_in_sillytavern_are_two(live: Live, folder: str) -> None:
    for avatar, description in (("Mira", "A keeper."), ("Mira1", "A sailor."), ("Mira1", "A pilot.")):
        await put(live, card("Mira", description=description), name=f"{folder}{avatar}.png")
    assert characters(live) == [("Mira", "A keeper."), ("Mira", "A pilot.")]


async def test_a_users_folder_tells_cards_by_their_files_whatever_their_names(live: Live) -> None:
    group = {"id": "1", "name": "Coast", "members": ["Old.png", "Tobias.png"], "chats": ["g"]}
    await put(live, card("Mira"), name="characters/Old.png")
    await put(live, json.dumps(group).encode(), name="groups/1.json")
    assert live.resources.library.members_of_chat("local", "g") == ["Mira", "Tobias"]


async def test_a_v3_lorebook_by_itself_is_a_lorebook(live: Live) -> None:
    content = json.dumps(LOREBOOK).encode()
    assert (await put(live, content, name="lorebook.json"))["lore"] == 2
    assert (await put(live, content, name="lorebook.json"))["lore"] == 0
    [book] = live.resources.library.books("local")
    assert (book.name, book.character, live.resources.library.characters("local")) == ("Coast", "", [])
    assert [(e.keys, e.enabled, e.constant) for e in book.entries] == [
        (["gull"], True, False), (["cellar"], False, True),
    ]  # fmt: skip


async def test_a_v3_lorebook_without_a_name_is_named_by_its_file(live: Live) -> None:
    data = {key: value for key, value in LOREBOOK["data"].items() if key != "name"}
    await put(live, json.dumps({"spec": "lorebook_v3", "data": data}).encode(), name="Sea.json")
    assert [book.name for book in live.resources.library.books("local")] == ["Sea"]


async def test_a_v3_lorebook_without_data_is_refused(live: Live) -> None:
    answer = await live.http.post("/v1/import", content=b'{"spec": "lorebook_v3"}')
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, "The lorebook has no data.")


async def test_half_an_emoji_in_a_card_or_a_lorebook_keeps_nothing_out(live: Live) -> None:
    torn = copy.deepcopy(CARD)
    torn["data"] |= {"name": "Mira\ud83d", "description": "Keeps a lighthouse \ud83d"}
    assert (await put(live, png(torn), name="Mira.png"))["characters"] == 1
    assert characters(live) == [("Mira\ufffd", "Keeps a lighthouse \ufffd")]
    book = copy.deepcopy(LOREBOOK)
    book["data"]["entries"][0]["content"] = "The gull \udc80 is named Percy."
    assert (await put(live, json.dumps(book).encode(), name="Coast.json"))["lore"] == 2


async def test_a_group_file_on_one_line_with_its_chats_metadata_is_a_group(live: Live) -> None:
    """As SillyTavern wrote it before chats had their own."""
    group = {"id": "171", "name": "Tower", "members": ["Mira.png", "Tobias.png"], "chat_metadata": {}}
    file = json.dumps(group | {"chat_id": "g1", "chats": ["g1"]}).encode()
    assert (await put(live, file, name="groups/171.json"))["groups"] == 1
