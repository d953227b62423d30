"""Lore of characters of exactly one name: each has its own card's, its own chats' and what its file is linked to."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import Any

import pytest

from graph.settings import Settings
from memory.chat_books import Cast, ChatBook
from memory.library import FILE
from memory.whose import Whose
from tests.server.importing import put
from tests.server.live import Live, serving
from tests.server.silly_files import chat, line

MIRA, COPY = Whose("Mira", avatar="Mira"), Whose("Mira", avatar="Mira_1")
TALK = [line("Mira", "Mira waves."), line("Alex", "Hello, Mira."), line("Mira", "Tea?")]
OLDER = """
    DROP TABLE chat_books; DROP TABLE lore; DROP TABLE books;
    CREATE TABLE books(id INTEGER PRIMARY KEY AUTOINCREMENT, owner TEXT NOT NULL, name TEXT NOT NULL,
        character TEXT NOT NULL, UNIQUE(owner, name, character));
    CREATE TABLE lore(id INTEGER PRIMARY KEY AUTOINCREMENT, book INTEGER NOT NULL REFERENCES books ON DELETE
        CASCADE, uid TEXT NOT NULL, content TEXT NOT NULL, keys TEXT NOT NULL, secondary_keys TEXT NOT NULL,
        comment TEXT NOT NULL, enabled INTEGER NOT NULL, constant INTEGER NOT NULL,
        insertion_order REAL NOT NULL, details TEXT NOT NULL, hash TEXT NOT NULL, imported_at REAL NOT NULL,
        UNIQUE(book, uid));
    CREATE TABLE chat_books(owner TEXT NOT NULL, book TEXT NOT NULL, chat_id TEXT NOT NULL,
        character TEXT NOT NULL, is_group INTEGER NOT NULL,
        PRIMARY KEY(owner, chat_id, character, is_group, book)) WITHOUT ROWID;
    INSERT INTO books VALUES (7, 'local', 'Own', 'Mira'), (9, 'local', 'Coast', '');
    INSERT INTO lore VALUES (5, 7, '0', 'The original''s lore.', '[]', '[]', '', 1, 0, 1, '{}', 'h', 0);
    INSERT INTO lore VALUES (6, 9, '0', 'The coast is long.', '[]', '[]', '', 1, 0, 1, '{}', 'h', 0);
    INSERT INTO chat_books VALUES ('local', 'Coast', 'Main', 'Mira', 0);
    PRAGMA user_version = 3;
"""
"""A library as the version before avatars left it."""


def card(lore: str = "", world: str = "") -> bytes:
    """A card of a Mira, with lore in it and linked to a world."""
    data: dict[str, Any] = {
        "name": "Mira",
        "description": "Keeps a lighthouse.",
        "extensions": {"world": world},
    }
    if lore:
        data["character_book"] = {"name": "Own", "entries": [{"id": 0, "keys": ["x"], "content": lore}]}
    return json.dumps({"spec": "chara_card_v2", "spec_version": "2.0", "data": data}).encode()


def world(content: str) -> bytes:
    return json.dumps({"entries": {"0": {"uid": 0, "key": ["x"], "content": content}}}).encode()


def lore(live: Live, avatar: str, chat_id: str = "") -> list[str]:
    """What is recalled of for Mira of this avatar, in this chat."""
    library, asked = live.resources.library, ("local", Cast(frozenset({"Mira"}), avatar=avatar), chat_id)
    known, found = library.known_lore(*asked), library.lore_of(*asked)
    assert known in (None, found) and library.known_lore(*asked) == found
    return sorted(text for _, text in found)


async def test_each_has_the_book_of_its_own_card(live: Live) -> None:
    for avatar in ("Mira", "Mira_1", "Mira"):
        await put(live, card(f"I am {avatar}."), f"characters/{avatar}.json")
    assert [lore(live, avatar) for avatar in ("Mira", "Mira_1")] == [["I am Mira."], ["I am Mira_1."]]
    assert lore(live, "") == ["I am Mira.", "I am Mira_1."]


async def test_a_card_that_comes_alone_is_the_only_one_there_is(live: Live) -> None:
    await put(live, card("I am Mira."), "characters/Mira.json")
    await put(live, card("I am older."), "Mira.json")
    assert lore(live, "Mira") == ["I am older."]
    assert lore(live, "Mira_1") == []


async def test_each_has_the_world_that_its_own_card_is_linked_to(live: Live) -> None:
    await put(live, world("The coast is long."), "worlds/Coast.json")
    await put(live, card(world="Coast"), "Mira.json")
    assert lore(live, "Mira_1") == ["The coast is long."]
    await put(live, card(world="Coast"), "characters/Mira.json")
    await put(live, card(), "characters/Mira_1.json")
    assert [lore(live, avatar) for avatar in ("Mira", "Mira_1", "")] == [
        ["The coast is long."],
        [],
        ["The coast is long."],
    ]
    await put(live, card(), "characters/Mira.json")
    assert lore(live, "Mira") == []


async def test_books_that_the_settings_choose_for_a_characters_file_are_that_ones(live: Live) -> None:
    await put(live, world("The coast is long."), "worlds/Coast.json")
    chosen = {"charLore": [{"name": "Mira_1", "extraBooks": ["Coast"]}]}
    await put(
        live,
        json.dumps({"world_info_settings": {"world_info": chosen}}).encode(),
        "default-user/settings.json",
    )
    assert [lore(live, avatar) for avatar in ("Mira", "Mira_1")] == [[], ["The coast is long."]]


@pytest.mark.parametrize("order", [("Mira", "Mira_1"), ("Mira_1", "Mira")])
async def test_each_chat_of_one_file_name_has_its_own_book(live: Live, order: tuple[str, str]) -> None:
    await put(live, world("The coast is long."), "worlds/Coast.json")
    for avatar in order:
        header = {"chat_metadata": {"world_info": "Coast"} if avatar == "Mira" else {}, "user_name": "x"}
        rows = [*TALK, line("Alex", f"Are you {avatar}?"), line("Mira", "I am.")]
        await put(live, chat(*rows, header=header), f"chats/{avatar}/Main.jsonl")
    assert live.resources.library.chat_books("local") == [ChatBook("Coast", "Main", MIRA)]
    assert [lore(live, avatar, "Main") for avatar in ("Mira", "Mira_1")] == [["The coast is long."], []]
    answer = await live.http.delete("/v1/sessions/Mira_1%2FMain")
    assert answer.status_code == 200
    assert live.resources.library.chat_books("local") == [ChatBook("Coast", "Main", MIRA)]
    assert (await live.http.delete("/v1/sessions/Mira%2FMain")).status_code == 200
    assert live.resources.library.chat_books("local") == []


async def test_a_library_of_before_avatars_is_that_of_the_first_that_is_told(settings: Settings) -> None:
    async with serving(settings):
        pass
    with closing(sqlite3.connect(settings.db_path / FILE, isolation_level=None)) as older:
        older.executescript(OLDER)
    async with serving(settings) as live:
        both = ["The coast is long.", "The original's lore."]
        assert [lore(live, avatar, "Main") for avatar in ("", "Mira", "Mira_1")] == [both, both, both]
        await put(live, card("The original's lore."), "characters/Mira.json")
        await put(live, card("A copy's."), "characters/Mira_1.json")
        assert [lore(live, avatar) for avatar in ("Mira", "Mira_1")] == [
            ["The original's lore."],
            ["A copy's."],
        ]
        header = {"chat_metadata": {"world_info": "Coast"}, "user_name": "x"}
        await put(live, chat(*TALK, header=header), "chats/Mira/Main.jsonl")
        assert live.resources.library.chat_books("local") == [ChatBook("Coast", "Main", MIRA)]
        live.resources.library.rename_chat("local", "Main", MIRA, "Main", COPY)
        assert live.resources.library.chat_books("local") == [ChatBook("Coast", "Main", COPY)]
