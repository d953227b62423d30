"""The catalog is what the trees say, finds in bounded time, and can always be made anew."""

from __future__ import annotations

import sqlite3

import pytest

from graph.errors import NewerSchema
from memory.catalog import CANDIDATES, FILE, Catalog
from memory.files import tree_path
from memory.transcript_sqlite import SqliteTranscript
from memory.whose import Whose

CONTENT = (
    "SELECT owner, tree_id, revision FROM trees ORDER BY 1, 2",
    "SELECT tree_id, sessions.* FROM sessions JOIN trees ON number = tree ORDER BY 1, 3",
    "SELECT tree_id, pair, seen FROM pairs JOIN trees ON number = tree ORDER BY 1, 2",
    "SELECT * FROM dirty ORDER BY 1, 2",
)


def content(root) -> list[list[tuple]]:
    connection = sqlite3.connect(root / FILE)
    found = [connection.execute(query).fetchall() for query in CONTENT]
    connection.close()
    found[1] = [(row[0], *row[1:3], *row[4:]) for row in found[1]]
    return found


@pytest.fixture
async def chats(front_end):
    """A few chats with swipes, an edit, a fork, a branch and a deletion."""
    chat = ["a:Welcome.", "u:hi", "a:r0", "u:one", "a:r1", "u:two"]
    await front_end.send(*chat[:2], reply="a:swiped")
    await front_end.send(*chat, reply="a:r2")
    await front_end.send(*chat[:3], "u:changed", *chat[4:], "a:r2", "u:three", reply="a:r3")
    await front_end.send(*chat[:3], "u:fork", reply="a:f")
    await front_end.send(*chat[:5], "u:branch", reply="a:b", chat_id="branch")
    other = await front_end.send(*chat[:5], "u:branch too", reply="a:b", chat_id="branch too")
    assert other.forked_from
    await front_end.send("u:go on", "a:Nods.", "u:go on", "a:Nods.", "u:go on", reply="a:Nods.")
    gone = await front_end.send("u:to be deleted", reply="a:yes", chat_id="gone")
    await front_end.transcript.delete("local", gone.session_id)
    await front_end.transcript.delete("local", other.session_id)
    done = await front_end.send("u:nothing left to do", reply="a:yes", chat_id="done")
    jobs = await front_end.transcript.jobs(done.key, limit=99, now=float("inf"))
    await front_end.transcript.finish_jobs(done.key, [job.id for job in jobs])


async def test_rebuilt_it_equals_the_one_that_was_kept_up_to_date(chats, catalog, root):
    live = content(root)
    assert all(live)
    catalog.rebuild(root)
    assert content(root) == live


async def test_missing_or_damaged_it_is_rebuilt_at_the_start(chats, transcript, catalog, root):
    live = content(root)
    await transcript.close()
    for damage in (lambda path: path.unlink(), lambda path: path.write_bytes(b"damaged" * 1000)):
        for suffix in ("-wal", "-shm"):
            (root / (FILE + suffix)).unlink(missing_ok=True)
        damage(root / FILE)
        again = Catalog.open(root)
        assert content(root) == live
        again.close()


async def test_a_newer_one_refuses_to_open(root, catalog):
    connection = sqlite3.connect(root / FILE)
    connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(NewerSchema, match=r"catalog\.sqlite"):
        Catalog.open(root)


async def test_a_tree_newer_than_the_catalog_is_catalogued_when_it_opens(
    front_end, transcript, catalog, root
):
    sent = await front_end.send("a:Welcome.", "u:hi", reply="a:r")
    live = content(root)
    connection = sqlite3.connect(root / FILE)
    connection.execute("UPDATE trees SET revision = 0")
    connection.execute("DELETE FROM pairs")
    connection.execute("UPDATE sessions SET version = 0")
    connection.commit()
    connection.close()
    again = await SqliteTranscript.open(root, catalog)
    assert content(root) == live
    assert await again.trees_with_jobs() == [sent.key]
    await again.close()


async def test_a_turn_is_kept_when_the_catalog_cannot_be_written(front_end, transcript, catalog, root):
    chat = ["a:Welcome.", "u:hi", "a:r"]
    sent = await front_end.send(*chat[:2], reply="a:r")
    connection = sqlite3.connect(root / FILE)
    connection.execute(
        "CREATE TRIGGER full BEFORE INSERT ON pairs BEGIN SELECT RAISE(ABORT, 'disk full'); END"
    )
    connection.commit()
    await front_end.send(*chat, "u:more", reply="a:s")
    connection.execute("DROP TRIGGER full")
    connection.commit()
    connection.close()
    assert (await transcript.session("local", sent.session_id)).version == 2
    await front_end.send(*chat, "u:more", "a:s", "u:again", reply="a:t")
    live = content(root)
    catalog.rebuild(root)
    assert content(root) == live


async def test_a_chat_whose_file_was_taken_away_is_forgotten(front_end, transcript, catalog, root):
    sent = await front_end.send("a:Welcome.", "u:hi", reply="a:r")
    await transcript.close()
    tree_path(root, sent.key).unlink()
    again = await SqliteTranscript.open(root, catalog)
    assert await again.session("local", sent.session_id) is None
    assert (await again.sessions("local")).total == 0
    await again.close()


async def test_what_very_many_chats_share_yields_a_bounded_few_the_newest_first(front_end, catalog, said):
    chat = ["a:Welcome.", "u:hi"]
    sent = [await front_end.send(*chat, reply="a:r", chat_id=f"chat {n}") for n in range(CANDIDATES + 4)]
    for n in range(CANDIDATES + 4):
        await front_end.send("u:hi", "a:r", f"u:own {n}", reply="a:s", session_id=f"own-{n}")
    found = await catalog.holding("local", [row.fingerprint for row in said("u:hi", "a:r")])
    assert len(found) == CANDIDATES
    assert sent[0].key not in found


async def test_a_telling_exchange_outweighs_a_common_beginning(front_end, catalog, said):
    common = ["a:Welcome.", "u:hi", "a:Hello."]
    mine = await front_end.send(*common, "u:my cat is Tom", "a:Tom!", "u:yes", reply="a:r", session_id="mine")
    for n in range(20):
        await front_end.send(*common, f"u:{n}", reply="a:r", session_id=f"other-{n}")
    window = said(*common, "u:my cat is Tom", "a:Tom!", "u:yes", "a:r", "u:next")
    assert (await catalog.holding("local", [row.fingerprint for row in window]))[0] == mine.key


async def test_owners_share_no_pairs(front_end, catalog, said):
    await front_end.send("u:hi", reply="a:r")
    fingerprints = [row.fingerprint for row in said("u:hi", "a:r")]
    assert await catalog.holding("other", fingerprints) == []
    assert len(await catalog.holding("local", fingerprints)) == 1


async def test_a_chat_id_names_the_session_that_goes_on(front_end, catalog):
    await front_end.send("u:hi", reply="a:r", chat_id="chat")
    assert await catalog.of_chat("local", "chat") == "chat"
    assert await catalog.of_chat("local", "other") is None
    assert await catalog.of_chat("other", "chat") is None


async def test_the_empty_chat_id_names_no_session(front_end, catalog):
    await front_end.send("u:hi", reply="a:r")
    assert await catalog.of_chat("local", "") is None


async def test_a_person_is_found_with_their_character_only(front_end, catalog):
    sent = await front_end.send("u:hi", reply="a:r", user="ann", character="Mira")
    assert await catalog.of_person("local", "ann", "Mira") == sent.session_id
    assert await catalog.of_person("local", "ann", "") is None


async def test_the_recent_sessions_of_a_character_are_listed_the_last_used_first(front_end, catalog):
    sent = [
        await front_end.send("u:hi", reply="a:r", chat_id=f"chat {n}", character="Mira") for n in range(3)
    ]
    await front_end.send("u:hi", reply="a:r", chat_id="toms", character="Tom")
    await front_end.send("u:hi", "a:r", "u:again", reply="a:s", chat_id="chat 0", character="Mira")
    recent = await catalog.recent_of_character("local", "Mira", "", 2)
    assert recent == [(sent[n].session_id, sent[n].key) for n in (0, 2)]
    assert await catalog.recent_of_character("other", "Mira", "", 2) == []


async def test_recent_sessions_are_of_one_person_and_of_no_group(front_end, catalog):
    for user in ("ann", "ben", ""):
        await front_end.send("u:hi", reply="a:r", chat_id=f"of {user}", character="Mira", user=user)
    group = Whose("Mira", is_group=True)
    await front_end.send("u:hi", reply="a:r", chat_id="group", character="Mira", whose=group)
    for user in ("ann", "ben", ""):
        [[name, _]] = await catalog.recent_of_character("local", "Mira", user, 9)
        assert (await front_end.transcript.session("local", name)).chat_id == f"of {user}"
    assert await catalog.recent_of_character("local", "Mira", "eve", 9) == []


async def test_a_session_that_a_fork_left_behind_is_no_recent_one(front_end, catalog):
    chat = ["a:Welcome.", "u:one", "a:r1", "u:two", "a:r2", "u:three", "a:r3"]
    for n in (2, 4, 6):
        await front_end.send(*chat[:n], reply=chat[n], character="Mira")
    fork = await front_end.send(*chat[:3], "u:another road", reply="a:s", character="Mira")
    assert fork.forked_from
    assert [name for name, _ in await catalog.recent_of_character("local", "Mira", "", 9)] == [
        fork.session_id
    ]
