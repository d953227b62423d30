"""A front-end's chat ids are file names: several characters, and groups, may have a chat of one name."""

from __future__ import annotations

import sqlite3

import pytest

from memory.catalog import FILE, Catalog
from memory.whose import Whose
from server.sillytavern import Markers
from tests.memory.messages import GREETING, character, texts, user
from tests.truth.memory_under_test import Memory

MIRA, TOBIAS = Whose("Mira"), Whose("Tobias")
GROUP = Whose("Mira", is_group=True)
AT_SEA = ["a:Mira waves.", "u:hi", "a:Aye.", "u:storm?", "a:Soon."]
ASHORE = ["a:Tobias nods.", "u:hi", "a:Yes.", "u:rain?", "a:Later."]


async def send(front_end, *lines: str, reply: str, whose: Whose | None, chat_id: str = "Main") -> str:
    """A turn that is told whose chat it is; the session it was stored in."""
    told = {"whose": whose} if whose else {}
    sent = await front_end.send(*lines, reply=reply, chat_id=chat_id, **told)
    return sent.session_id


async def test_two_characters_chats_of_one_name_are_a_session_each(front_end):
    found = set()
    for n in (2, 4):
        for whose, chat in ((MIRA, AT_SEA), (TOBIAS, ASHORE)):
            found.add(session := await send(front_end, *chat[:n], reply=chat[n], whose=whose))
            assert await front_end.path(session) == chat[: n + 1]
    assert len(found) == 2
    trees = {(await front_end.transcript.session("local", session)).key for session in found}
    assert len(trees) == 2


async def test_a_lone_message_goes_to_the_chat_of_its_character(front_end):
    mira = await send(front_end, "u:hello", reply="a:Aye.", whose=MIRA)
    tobias = await send(front_end, "u:hello", reply="a:Yes.", whose=TOBIAS)
    assert await send(front_end, "u:more", reply="a:Soon.", whose=MIRA) == mira
    assert await send(front_end, "u:more", reply="a:Later.", whose=TOBIAS) == tobias
    assert await front_end.path(mira) == ["u:hello", "a:Aye.", "u:more", "a:Soon."]


async def test_a_lone_message_begins_a_group_whose_file_is_named_as_its_members_chat_is(front_end):
    alone = await send(front_end, *AT_SEA[:2], reply=AT_SEA[2], whose=MIRA)
    sent = await front_end.send("u:hello", reply="a:All.", chat_id="Main", whose=GROUP, exact=True)
    assert sent.session_id != alone
    assert await front_end.path(sent.session_id) == ["u:hello", "a:All."]


async def test_a_group_is_one_chat_whoever_speaks(front_end):
    talk = [*AT_SEA, "u:and you?", "a:I stay here."]
    found = {
        await send(front_end, *talk[:n], reply=talk[n], whose=Whose(name, is_group=True))
        for n, name in ((2, "Mira"), (4, "Tobias"), (6, "Mira"))
    }
    assert len(found) == 1
    alone = await send(front_end, "u:yes?", reply="a:Nods.", whose=Whose("Bram", is_group=True))
    assert {alone} == found


async def test_a_group_and_its_member_may_have_chats_of_one_name(front_end):
    alone = await send(front_end, *AT_SEA[:2], reply=AT_SEA[2], whose=MIRA)
    group = await send(front_end, AT_SEA[0], "u:who is here?", reply="a:All.", whose=GROUP)
    assert group != alone
    assert await send(front_end, *AT_SEA[:4], reply=AT_SEA[4], whose=MIRA) == alone
    talk = [AT_SEA[0], "u:who is here?", "a:All.", "u:good"]
    assert await send(front_end, *talk, reply="a:Yes.", whose=GROUP) == group


async def test_a_group_that_begins_with_what_its_member_heard_much_later_is_another_chat(front_end):
    later = [*AT_SEA, "u:and then?", "a:Calm.", "u:tell me more"]
    alone = await send(front_end, *later, reply="a:The sea sleeps.", whose=MIRA)
    group = await send(front_end, AT_SEA[0], "u:tell me more", reply="a:All.", whose=GROUP)
    assert group != alone
    assert await front_end.path(alone) == [*later, "a:The sea sleeps."]


async def test_a_greeting_alone_is_not_a_groups_chat_of_the_same_name(front_end):
    talk = [AT_SEA[0], "u:who is here?"]
    group = await send(front_end, *talk, reply="a:All.", whose=GROUP)
    for shown in (AT_SEA[:1], []):
        assert (await front_end.find(*shown, chat_id="Main", whose=MIRA)).session is None
        assert (await front_end.find(*shown, chat_id="Main", whose=GROUP)).session_id == group


async def test_two_groups_may_have_chats_of_one_name(front_end):
    found = set()
    for n in (2, 4):
        for chat in (AT_SEA, ["a:Bram sings.", "u:ho", "a:Hum.", "u:louder", "a:HUM."]):
            found.add(session := await send(front_end, *chat[:n], reply=chat[n], whose=GROUP))
            assert await front_end.path(session) == chat[: n + 1]
    assert len(found) == 2


async def test_a_character_renamed_in_the_middle_keeps_the_chat(front_end):
    mira = await send(front_end, *AT_SEA[:2], reply=AT_SEA[2], whose=MIRA)
    renamed = await send(front_end, *AT_SEA[:4], reply=AT_SEA[4], whose=Whose("Mirabel"))
    assert renamed == mira
    assert await send(front_end, "u:still here?", reply="a:Aye.", whose=Whose("Mirabel")) == mira
    assert (await front_end.transcript.sessions("local")).total == 1


async def test_a_greeting_and_hi_in_common_make_no_renamed_character(front_end):
    mira = await send(front_end, "a:Welcome.", "u:hi", reply="a:Aye.", whose=MIRA)
    assert await send(front_end, "a:Welcome.", "u:hi", reply="a:Yes.", whose=TOBIAS) != mira
    assert await front_end.path(mira) == ["a:Welcome.", "u:hi", "a:Aye."]


async def test_a_request_that_names_nobody_means_the_chat_used_last(front_end):
    await send(front_end, *AT_SEA[:2], reply=AT_SEA[2], whose=MIRA)
    tobias = await send(front_end, *ASHORE[:2], reply=ASHORE[2], whose=TOBIAS)
    assert await send(front_end, *ASHORE[:4], reply=ASHORE[4], whose=None) == tobias


async def test_a_chat_that_began_without_a_name_is_that_of_the_first_who_comes(front_end):
    first = await send(front_end, "u:hello", reply="a:hi", whose=None)
    assert await send(front_end, "u:more", reply="a:yes", whose=MIRA) == first
    assert await send(front_end, "u:hello", reply="a:hi", whose=TOBIAS) != first


@pytest.mark.parametrize("whose", [MIRA, GROUP])
async def test_everything_edited_away_leaves_a_chat_itself(front_end, whose):
    """A window that holds nothing, or one message, of a chat with its name is that chat."""
    first = await send(front_end, *AT_SEA[:2], reply=AT_SEA[2], whose=whose)
    assert await send(front_end, "u:hi, rather", reply="a:Aye?", whose=whose) == first


async def test_a_catalog_of_an_older_version_is_made_anew(front_end, transcript, catalog, root):
    mira = await send(front_end, *AT_SEA[:2], reply=AT_SEA[2], whose=MIRA)
    tobias = await send(front_end, *ASHORE[:2], reply=ASHORE[2], whose=TOBIAS)
    await transcript.close()
    catalog.close()
    connection = sqlite3.connect(root / FILE)
    connection.executescript("ALTER TABLE sessions DROP COLUMN person; PRAGMA user_version=2")
    connection.close()
    again = Catalog.open(root)
    assert await again.of_chat("local", "Main", MIRA) == mira
    assert await again.of_chat("local", "Main", TOBIAS) == tobias
    again.close()


def tagged(chat_id: str, messages: list[dict[str, str]], **who: object) -> dict[str, object]:
    """A request with what the extension tells."""
    told = {"chat_id": chat_id, "chat_file": chat_id, "kind": "normal", "user_name": "Alex", **who}
    return {"messages": messages, "metadata": told}


async def test_a_groups_file_is_no_chat_of_its_members_that_begins_alike(memory: Memory) -> None:
    """The extension tells both: nothing needs guessing."""
    messages = [character(GREETING), user("Yes.")]
    members = {"character": "Mira", "group_members": ["Mira", "Tobias"]}
    group = await memory.ask(tagged("Main", messages, **members), {}, ["Aye."], Markers())
    alone = await memory.ask(tagged("Main", messages, character="Mira"), {}, ["No."], Markers())
    assert group is not None
    assert alone is not None
    assert alone.session.session_id != group.session.session_id
    assert texts(await memory.kept("local", group.session.session_id))[-1] == "Aye."


async def test_chats_of_two_characters_that_begin_alike_are_two(memory: Memory) -> None:
    """No id and no tag: the prompt that front-ends begin with names who writes."""
    found = []
    for name, reply in (("Mira", "Aye."), ("Tobias", "No."), ("Mira", "Well.")):
        main = f"Write {name}'s next reply in a fictional chat between {name} and Alex."
        body = {"messages": [{"role": "system", "content": main}, character(GREETING), user("Hi")]}
        kept = await memory.ask(body, {}, [reply], Markers())
        assert kept is not None
        found.append(kept.session.session_id)
    assert found[0] != found[1]
    assert found[0] == found[2]


async def test_a_first_regenerate_stays_in_its_chat_where_several_are_named(front_end):
    """Nothing begins a group's prompt: the names alone show that several may take part."""
    one = await front_end.send(*AT_SEA[:2], reply="a:Aye.", shows_group=True)
    again = await front_end.send(*AT_SEA[:2], reply="a:No.", shows_group=True)
    assert again.session_id == one.session_id
    marked = await front_end.send(*AT_SEA[:2], reply="a:All.", shows_group=True, is_group=True)
    assert marked.session_id != one.session_id
