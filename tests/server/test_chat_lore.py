"""A lorebook that is bound to a chat is that chat's, whoever else has a chat of the same name."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import Any

import pytest

from graph.settings import Settings
from memory.chat_books import ChatBook
from memory.library import FILE
from memory.whose import ANYBODY, Whose
from tests.fakes.openai_server import FakeOpenAI
from tests.server.importing import put
from tests.server.live import Live, idle, serving
from tests.server.silly_files import chat, line

LORE = "The blue stone on the north pier hides the key of the lamp room."
QUESTION = "Which key does the blue stone on the north pier hide?"
BOOK = json.dumps({"entries": {"0": {"uid": 0, "key": ["stone"], "content": LORE}}}).encode()
GROUP = Whose(is_group=True)


def of(character: str) -> Whose:
    """A character whose folder of chats has its name."""
    return Whose(character, avatar=character)


async def bring(live: Live, character: str, book: str, group: bool = False) -> None:
    """Import a chat `Main` of a character or a group, bound to a lorebook or to none."""
    header = {"chat_metadata": {"world_info": book} if book else {}, "user_name": "x", "character_name": "x"}
    lines = [
        line(character, f"{character} waves."),
        line("Alex", f"Hello, {character}."),
        line(character, "Tea?"),
    ]
    others = [line("Old Ben", "Aye.")] if group else []
    place = "group chats" if group else f"chats/{character}"
    await put(live, chat(*lines, *others, header=header), name=f"{place}/Main.jsonl", group=group)
    await idle(live)


async def ask(live: Live, fake: FakeOpenAI, character: str, **metadata: Any) -> str:
    """The prompt of a turn in a chat `Main` (Any: JSON)."""
    said = [f"{character} waves.", f"Hello, {character}.", "Tea?", QUESTION]
    messages = [{"role": ("assistant", "user")[n % 2], "content": text} for n, text in enumerate(said)]
    card = {"role": "system", "content": f"{character} keeps a harbour. {character} is dry and loyal."}
    tag = {"chat_id": "Main", "character": character, "user_name": "Alex", "kind": "normal"}
    body = {"messages": [card, *messages], "metadata": tag | metadata}
    answer = await live.http.post("/v1/chat/completions", json=body)
    assert answer.status_code == 200, answer.text
    await idle(live)
    return "\n".join(m["content"] for m in fake.calls[-1].body["messages"])


@pytest.mark.parametrize("order", [("Mira", "Tobias"), ("Tobias", "Mira")])
async def test_a_chats_book_stays_with_its_character_in_whatever_order_chats_come(
    live: Live, fake: FakeOpenAI, order: tuple[str, str]
) -> None:
    await put(live, BOOK, name="worlds/Coast.json")
    for character in order:
        await bring(live, character, "Coast" if character == "Mira" else "")
    assert live.resources.library.chat_books("local") == [ChatBook("Coast", "Main", of("Mira"))]
    assert LORE in await ask(live, fake, "Mira")
    assert LORE not in await ask(live, fake, "Tobias")


async def test_a_groups_chat_and_a_characters_of_one_name_have_books_of_their_own(
    live: Live, fake: FakeOpenAI
) -> None:
    await put(live, BOOK, name="worlds/Coast.json")
    await bring(live, "Mira", "", group=True)
    await bring(live, "Mira", "Coast")
    assert LORE in await ask(live, fake, "Mira")
    assert LORE not in await ask(live, fake, "Mira", group_members=["Mira", "Old Ben"])
    await bring(live, "Mira", "")
    await bring(live, "Mira", "Coast", group=True)
    assert live.resources.library.chat_books("local") == [ChatBook("Coast", "Main", GROUP)]
    assert LORE in await ask(live, fake, "Mira", group_members=["Mira", "Old Ben"])
    assert LORE not in await ask(live, fake, "Mira")


async def test_a_book_of_a_persona_or_chat_is_not_a_characters_of_that_name(
    live: Live, fake: FakeOpenAI
) -> None:
    await put(live, BOOK, name="worlds/Coast.json")
    persona = {"personas": {"a.png": "Tobias"}, "persona_descriptions": {"a.png": {"lorebook": "Coast"}}}
    await put(live, json.dumps({"power_user": persona}).encode(), name="settings.json")
    await bring(live, "Mira", "")
    live.resources.library.bind_chat("local", ChatBook("Coast", "Tobias", Whose("Mira")))
    assert LORE not in await ask(live, fake, "Tobias")


async def test_bindings_of_an_older_version_go_to_whom_the_chats_are(settings: Settings) -> None:
    async with serving(settings) as live:
        await bring(live, "Mira", "Coast")
        await bring(live, "Tobias", "")
        await put(
            live, json.dumps({"members": ["Mira.png"], "chats": ["Watch"]}).encode(), name="groups/1.json"
        )
    with closing(sqlite3.connect(settings.db_path / FILE, isolation_level=None)) as older:
        older.execute("DROP TABLE chat_books")
        older.execute("PRAGMA user_version = 2")
        bound = [("Coast", "Main"), ("Moon", "Watch"), ("Sun", "gone")]
        older.executemany("INSERT INTO book_scopes VALUES ('local', ?, 'chat', ?)", bound)
    async with serving(settings) as live:
        library = live.resources.library
        assert library.scopes("local") == []
        assert library.chat_books("local") == [
            ChatBook("Coast", "Main", of("Mira")),
            ChatBook("Coast", "Main", of("Tobias")),
            ChatBook("Moon", "Watch", GROUP),
            ChatBook("Sun", "gone", ANYBODY),
        ]
        await bring(live, "Tobias", "")
        assert ChatBook("Coast", "Main", of("Tobias")) not in library.chat_books("local")
        assert ChatBook("Coast", "Main", of("Mira")) in library.chat_books("local")
