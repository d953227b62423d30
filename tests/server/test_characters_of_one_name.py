"""Characters of one name are told apart by their avatars: SillyTavern's "Duplicate" keeps the chat's name as well."""

from __future__ import annotations

import io
import zipfile
from typing import Any
from urllib.parse import quote

import pytest

from tests.fakes.openai_server import FakeOpenAI
from tests.fakes.wire import says
from tests.server.importing import count, put, shown
from tests.server.live import Live, idle
from tests.server.silly_files import chat as chat_file
from tests.server.silly_files import line

Told = list[tuple[str, str]]
MAIN = "Mira - 2026-11-22@10h04m05s123ms"
GREETING = ("assistant", "Mira greets you at the lighthouse door.")
CARD = {"role": "system", "content": "Write Mira's next reply in a fictional chat between Mira and Alex."}


class Chat:
    """A chat of one of the characters, as SillyTavern has it; with an avatar the extension tells it."""

    def __init__(self, live: Live, fake: FakeOpenAI, avatar: str = "", name: str = "Mira") -> None:
        self.live, self.fake, self.avatar, self.name = live, fake, avatar, name
        self.shown: Told = [GREETING]
        self.session = ""

    @property
    def whose(self) -> dict[str, Any]:
        told = {"character": self.name, "user_name": "Alex"}
        return told | ({"avatar": f"{self.avatar}.png"} if self.avatar else {})

    async def turn(self, text: str, reply: str, **tag: Any) -> str:
        """A turn; the session that it was stored in."""
        self.fake.script(says(reply))
        self.shown.append(("user", text))
        said = [{"role": role, "content": content} for role, content in self.shown]
        metadata = {"chat_id": MAIN, "chat_file": MAIN, "kind": "normal", **self.whose, **tag}
        body = {"messages": [CARD, *said], "metadata": metadata}
        answer = await self.live.http.post("/v1/chat/completions", json=body)
        assert answer.status_code == 200, answer.text
        self.shown.append(("assistant", reply))
        self.session = answer.headers["x-session-id"]
        return self.session

    async def talk(self, about: str, turns: int = 3) -> Chat:
        for n in range(turns):
            await self.turn(f"Tell me of the {about}, {n}.", f"The {about} again, {n}.")
        return self

    async def tell(self, kind: str, **more: Any) -> dict[str, Any]:
        """An event; what the server answered."""
        names = {"user": "Alex", "assistant": self.name}
        said = [{"role": role, "name": names[role], "content": text} for role, text in self.shown]
        whole = {} if kind.startswith("chat_") else {"messages": said, "chat_file": MAIN}
        body = {"type": kind, **self.whose, **whole, **more}
        answer = await self.live.http.post(f"/v1/sessions/{quote(MAIN, safe='')}/events", json=body)
        assert answer.status_code in (200, 202), answer.text
        taken: dict[str, Any] = answer.json()
        return taken

    async def stored(self) -> Told:
        return await shown(self.live, self.session)


@pytest.fixture
async def both(live: Live, fake: FakeOpenAI) -> list[Chat]:
    """Mira's chat and her duplicate's, of one file name and one beginning."""
    return [await Chat(live, fake, avatar).talk(about) for avatar, about in PAIR.items()]


PAIR = {"Mira": "sea", "Mira_1": "giraffe"}


async def listed(live: Live) -> list[tuple[str, str, int]]:
    """Character, avatar and length of every session of the id."""
    rows = (await live.http.get("/v1/sessions")).json()["data"]
    return sorted((s["character"], s["avatar"], s["messages"]) for s in rows if s["chat_id"] == MAIN)


async def test_each_has_a_session_of_its_own(live: Live, both: list[Chat]) -> None:
    sessions = [chat.session for chat in both]
    assert len({*sessions}) == 2
    for chat in [*both, *both]:
        assert await chat.turn("And now?", "Now we wait.") in sessions
        assert (await chat.tell("reply"))["id"] == chat.session
    assert [chat.session for chat in both] == sessions
    for chat in both:
        assert await chat.stored() == chat.shown
    assert await listed(live) == [("Mira", "Mira", 11), ("Mira", "Mira_1", 11)]


async def test_a_first_line_that_both_have_is_shared_by_neither(live: Live, fake: FakeOpenAI) -> None:
    original, copy = Chat(live, fake, "Mira"), Chat(live, fake, "Mira_1")
    await original.turn("Hi.", "Good evening.")
    await copy.turn("Hi.", "Morning.")
    assert original.session != copy.session
    assert await original.stored() == original.shown
    assert await copy.stored() == copy.shown


async def test_opening_or_deleting_the_duplicate_leaves_the_original(live: Live, fake: FakeOpenAI) -> None:
    original, copy = await Chat(live, fake, "Mira").talk("sea"), Chat(live, fake, "Mira_1")
    assert (await copy.tell("open"))["id"] == ""
    assert (await copy.tell("chat_deleted"))["id"] == ""
    assert await original.stored() == original.shown
    await copy.talk("giraffe")
    assert (await copy.tell("chat_deleted"))["id"] == copy.session
    assert await listed(live) == [("Mira", "Mira", 7)]


async def test_a_session_of_before_avatars_is_that_of_the_first_whose_chat_it_shows(
    live: Live, fake: FakeOpenAI
) -> None:
    original = await Chat(live, fake).talk("sea")
    before, copy = original.session, Chat(live, fake, "Mira_1")
    assert (await copy.tell("open"))["id"] == ""
    await copy.turn("Tell me of the giraffe.", "It is tall.")
    assert await shown(live, before) == original.shown
    original.avatar = "Mira"
    assert (await original.tell("open"))["id"] == before
    assert await original.turn("And now?", "Now we wait.") == before
    await copy.turn("Taller?", "Yes.")
    assert await copy.stored() == copy.shown
    assert await listed(live) == [("Mira", "Mira", 9), ("Mira", "Mira_1", 5)]


async def test_a_chat_of_before_avatars_is_deleted_unless_it_may_be_a_namesakes(
    live: Live, fake: FakeOpenAI
) -> None:
    original = await Chat(live, fake).talk("sea")
    original.avatar = "Mira"
    assert (await original.tell("chat_deleted", has_namesakes=True))["id"] == ""
    renamed = {"new_character": "Anna", "new_avatar": "Anna.png"}
    assert (await original.tell("chat_renamed", has_namesakes=True, **renamed))["id"] == ""
    assert await original.stored() == original.shown
    assert (await original.tell("chat_deleted"))["id"] == original.session


async def test_a_copied_chat_goes_its_own_way(live: Live, fake: FakeOpenAI) -> None:
    """Someone copied the chats' folder too."""
    original, copy = await Chat(live, fake, "Mira").talk("sea"), Chat(live, fake, "Mira_1")
    copy.shown = list(original.shown)
    await copy.turn("And the giraffe?", "It swims.")
    await original.turn("And the gulls?", "They fly.")
    await copy.turn("Far?", "No.")
    assert copy.session != original.session
    assert await original.stored() == original.shown
    assert await copy.stored() == copy.shown


async def test_who_tells_no_avatar_goes_on_where_the_chat_shows(live: Live, both: list[Chat]) -> None:
    for chat in [*both, *both]:
        session, avatar = chat.session, chat.avatar
        chat.avatar = ""
        assert await chat.turn("And now?", "Now we wait.") == session
        assert (await chat.tell("reply"))["id"] == session
        chat.avatar = avatar
    for chat in both:
        assert await chat.stored() == chat.shown


async def test_an_avatar_slash_chat_is_exact(live: Live, both: list[Chat]) -> None:
    for chat in both:
        assert await shown(live, quote(f"{chat.avatar}/{MAIN}", safe="")) == chat.shown
    deleted = await live.http.delete(f"/v1/sessions/{quote(f'Mira_1/{MAIN}', safe='')}")
    assert deleted.json()["id"] == both[1].session
    assert await listed(live) == [("Mira", "Mira", 7)]


async def test_a_character_renamed_onto_anothers_name_keeps_its_chats(live: Live, fake: FakeOpenAI) -> None:
    mira, anna = Chat(live, fake, "Mira"), Chat(live, fake, "Anna", "Anna")
    for chat, about in ((mira, "sea"), (anna, "mill")):
        await chat.talk(about)
    taken = await mira.tell("chat_renamed", new_character="Anna", new_avatar="Anna1.png")
    assert (taken["id"], taken["changed"]) == (mira.session, True)
    assert await listed(live) == [("Anna", "Anna", 7), ("Anna", "Anna1", 7)]
    sessions = (mira.session, anna.session)
    mira.avatar, mira.name = "Anna1", "Anna"
    for chat in (anna, mira, anna):
        assert (await chat.tell("open"))["id"] == chat.session
        await chat.turn("And now?", "Now we wait.")
        assert await chat.stored() == chat.shown
    assert (mira.session, anna.session) == sessions
    assert (await mira.tell("chat_deleted"))["id"] == mira.session
    assert await anna.stored() == anna.shown


async def test_without_avatars_chats_renamed_onto_one_name_are_known_by_what_they_show(
    live: Live, fake: FakeOpenAI
) -> None:
    mira, anna = await Chat(live, fake).talk("sea"), await Chat(live, fake, name="Anna").talk("mill")
    assert (await mira.tell("chat_renamed", new_character="Anna"))["id"] == mira.session
    assert await listed(live) == [("Anna", "", 7), ("Anna", "", 7)]
    sessions = (mira.session, anna.session)
    mira.name = "Anna"
    for chat in (anna, mira, anna, mira):
        assert (await chat.tell("open"))["id"] == chat.session
        await chat.turn("And now?", "Now we wait.")
        assert await chat.stored() == chat.shown
    assert (mira.session, anna.session) == sessions
    assert (await anna.tell("chat_deleted"))["id"] == mira.session  # it shows nothing: the one used last
    assert await anna.stored() == anna.shown


async def test_a_rename_that_nobody_told_is_known_by_what_the_chat_shows(
    live: Live, fake: FakeOpenAI
) -> None:
    """The server takes events from pages of its own machine only."""
    chat = await Chat(live, fake, "Mira").talk("sea")
    session = chat.session
    chat.avatar, chat.name = "Anna", "Anna"
    assert await chat.turn("And now?", "Now we wait.") == session
    assert await listed(live) == [("Anna", "Anna", 9)]


async def test_a_card_replaced_by_one_of_another_name_keeps_its_chat(live: Live, fake: FakeOpenAI) -> None:
    chat = await Chat(live, fake, "Mira").talk("sea", 1)
    session = chat.session
    chat.name, chat.shown = "Mirabel", [("assistant", "Mirabel greets you.")]
    assert await chat.turn("Who are you?", "Mirabel.") == session


async def test_a_groups_chat_has_no_avatar(live: Live, fake: FakeOpenAI) -> None:
    chat = Chat(live, fake, "Mira")
    await chat.turn("Good evening, both.", "Evening.", group_members=["Mira", "Bram"])
    chat.avatar = "Mira_1"
    session = chat.session
    assert await chat.turn("Well?", "Hm.", group_members=["Mira", "Bram"]) == session
    assert (await live.http.get(f"/v1/sessions/{session}")).json()["avatar"] == ""


def user_folder(*avatars: str, more: Told = []) -> bytes:  # noqa: B006
    """A user's folder with both characters' chats of the one name, as a ZIP archive."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for avatar in avatars:
            said = [GREETING]
            for n in range(3):
                said += [("user", f"Tell me of the {PAIR[avatar]}, {n}.")]
                said += [("assistant", f"The {PAIR[avatar]} again, {n}.")]
            rows = [line("Mira" if r == "assistant" else "Alex", text, 1) for r, text in [*said, *more]]
            archive.writestr(f"chats/{avatar}/{MAIN}.jsonl", chat_file(*rows))
    return packed.getvalue()


@pytest.mark.parametrize("order", [("Mira", "Mira_1"), ("Mira_1", "Mira")])
async def test_a_folder_is_imported_as_two_and_goes_on_as_two(
    live: Live, fake: FakeOpenAI, order: tuple[str, str]
) -> None:
    found = {who: (await put(live, user_folder(who), "data.zip"))["sessions"][0]["id"] for who in order}
    assert await listed(live) == [("Mira", "Mira", 7), ("Mira", "Mira_1", 7)]
    for avatar, about in PAIR.items():
        chat = Chat(live, fake, avatar)
        chat.shown += [
            said
            for n in range(3)
            for said in (
                ("user", f"Tell me of the {about}, {n}."),
                ("assistant", f"The {about} again, {n}."),
            )
        ]
        assert await chat.turn("And now?", "Now we wait.") == found[avatar]
        assert await chat.stored() == chat.shown
    again = await put(live, user_folder(*PAIR), "data.zip")
    assert again["added"] == 0 and [s["id"] for s in again["sessions"]] == [found[who] for who in PAIR]
    assert await count(live) == 18


async def test_what_was_live_is_found_by_an_import_of_the_folder(live: Live, both: list[Chat]) -> None:
    report = await put(live, user_folder(*PAIR), "data.zip")
    assert (report["added"], [s["id"] for s in report["sessions"]]) == (0, [chat.session for chat in both])


async def test_a_file_alone_is_the_one_that_it_shows(live: Live, both: list[Chat]) -> None:
    for chat in both:
        rows = [line("Mira" if r == "assistant" else "Alex", text, 1) for r, text in chat.shown]
        report = await put(live, chat_file(*rows), f"{MAIN}.jsonl")
        assert (report["added"], report["sessions"][0]["id"]) == (0, chat.session)
    assert await listed(live) == [("Mira", "Mira", 7), ("Mira", "Mira_1", 7)]


async def test_a_folder_over_chats_of_before_avatars_tells_whose_they_are(
    live: Live, fake: FakeOpenAI
) -> None:
    original = await Chat(live, fake).talk("sea")
    report = await put(live, user_folder("Mira_1", "Mira"), "data.zip")
    ids = {session["id"] for session in report["sessions"]}
    assert original.session in ids and len(ids) == 2
    assert await original.stored() == original.shown
    assert await listed(live) == [("Mira", "Mira", 7), ("Mira", "Mira_1", 7)]


async def test_an_export_tells_the_avatar(live: Live, both: list[Chat]) -> None:
    exported = (await live.http.get("/v1/export")).content
    for chat in both:
        await live.http.delete(f"/v1/sessions/{chat.session}")
    await put(live, exported, "export.jsonl")
    for chat in both:
        await chat.turn("And now?", "Now we wait.")
        assert await chat.stored() == chat.shown
    assert await listed(live) == [("Mira", "Mira", 9), ("Mira", "Mira_1", 9)]


async def test_what_one_heard_is_no_memory_of_the_other(live: Live, fake: FakeOpenAI) -> None:
    secret = "My sister Ines repairs clocks in Lisbon."
    await Chat(live, fake, "Mira").turn(secret, "Clocks. How dull.")
    await idle(live)
    scope = {"chat_id": "other", "chat_file": "other", "memory_scope": "character"}
    for avatar, recalls in (("Mira", True), ("Mira_1", False), ("", True)):
        question = Chat(live, fake, avatar)
        await question.turn("What does my sister Ines do in Lisbon?", "Clocks.", **scope)
        assert ("repairs clocks" in str(fake.calls[-1].body["messages"])) == recalls
        await live.http.delete(f"/v1/sessions/{question.session}")
