"""The transcript keeps what it acknowledged, once, and never half of it."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path as FilePath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graph.errors import NewerSchema, NotFound
from memory.catalog import FILE, Catalog
from memory.files import tree_path
from memory.path import Path, encode
from memory.stored import Card, NewMessage, TreeKey, TurnWrite
from memory.transcript_sqlite import SqliteTranscript
from memory.whose import Whose

KEY = TreeKey("local", "tree")
CARD = Card("Mira", "Mira is a lighthouse keeper. " * 20, "Alex, a cartographer", "hash-1")


@pytest.fixture
def turn(new):
    """A turn of session "s" in one tree: what stands before it, what is new, what is answered."""

    def make(path, fresh=(), replies=(), **more) -> TurnWrite:
        more = {"key": KEY, "session_id": "s", "turn_id": f"{path}{fresh}{replies}"} | more
        return TurnWrite(
            path=[*path, *([-n - 1, -n - 1] for n in range(len(fresh)))],
            new=[new(line) for line in fresh],
            replies=[new(line) for line in replies],
            **more,
        )

    return make


def rows(root: FilePath, query: str, key: TreeKey = KEY) -> list[tuple]:
    connection = sqlite3.connect(tree_path(root, key))
    found = connection.execute(query).fetchall()
    connection.close()
    return found


def execute(root: FilePath, statement: str, key: TreeKey = KEY) -> None:
    connection = sqlite3.connect(tree_path(root, key))
    connection.execute(statement)
    connection.commit()
    connection.close()


async def test_a_first_turn_makes_tree_and_session(transcript, turn):
    done = await transcript.commit(turn([], ["a:Welcome.", "u:hi"], ["a:r"], chat_id="c", character="Mira"))
    assert (done.version, done.path.ranges, done.new_ids, done.reply_ids) == (1, [[1, 3]], [1, 2], [3])
    session = await transcript.session("local", "s")
    assert (session.chat_id, session.character, session.path.ranges) == ("c", "Mira", [[1, 3]])
    messages = await transcript.messages(KEY, [3, 1])
    assert [(m.id, m.parent, m.role, m.text) for m in messages] == [
        (3, 2, "assistant", "r"),
        (1, None, "assistant", "Welcome."),
    ]


async def test_a_turn_repeated_with_its_id_changes_nothing_and_returns_the_same(transcript, turn, root):
    await transcript.commit(turn([], ["u:hi"], ["a:r"]))
    write = turn([[1, 2]], ["u:more"], ["a:x", "a:y"])
    first = await transcript.commit(write)
    before = rows(root, "SELECT * FROM messages UNION ALL SELECT * FROM messages")
    again = await transcript.commit(write)
    assert again.path.ranges == first.path.ranges
    assert (again.version, again.new_ids, again.reply_ids) == (2, [3], [4, 5])
    assert rows(root, "SELECT * FROM messages UNION ALL SELECT * FROM messages") == before


async def test_a_turn_is_repeatable_after_a_restart(transcript, turn, root, catalog):
    write = turn([], ["u:hi"], ["a:r"])
    first = await transcript.commit(write)
    again = await (await SqliteTranscript.open(root, catalog)).commit(write)
    assert (again.version, again.new_ids, again.reply_ids) == (first.version, [1], [2])


async def test_equal_replies_under_one_message_are_stored_once(transcript, turn, root):
    await transcript.commit(turn([], ["u:hi"], ["a:one"]))
    done = await transcript.commit(turn([[1, 1]], [], ["a:two"]))
    back = await transcript.commit(turn([[1, 1]], [], ["a:one", "a:one"]))
    assert (done.path.ranges, back.path.ranges, back.reply_ids) == ([[1, 1], [3, 3]], [[1, 2]], [2, 2])
    assert rows(root, "SELECT count(*) FROM messages") == [(3,)]


async def test_other_replies_are_siblings_off_the_path(transcript, turn):
    done = await transcript.commit(turn([], ["u:hi"], ["a:one", "a:two", "a:three"]))
    assert done.path.ranges == [[1, 2]] and done.reply_ids == [2, 3, 4]
    tree = await transcript.tree(KEY)
    assert [tree.parent(i) for i in done.reply_ids] == [1, 1, 1]


async def test_what_was_hidden_is_not_stored_again_when_it_comes_back(transcript, turn, root, new):
    await transcript.commit(turn([], ["u:one", "a:r1", "u:two", "a:r2", "u:three"], ["a:r3"]))
    await transcript.commit(turn([[1, 1], [5, 6]], ["u:four"], ["a:r4"]))
    write = replace(
        turn([], [], ["a:r5"]), path=[[1, 1], [-1, -1], [3, 8]], new=[new("a:r1")], turn_id="unhide"
    )
    done = await transcript.commit(write)
    assert done.new_ids == [2]


async def test_two_equal_messages_on_one_path_are_two(transcript, turn):
    done = await transcript.commit(turn([], ["u:go on", "a:Nods.", "u:go on"], ["a:Nods."]))
    assert done.path.ranges == [[1, 4]]
    moved = await transcript.commit(
        replace(turn([], ["u:go on"]), path=[[4, 4], [-1, -1], [2, 3]], turn_id="moved")
    )
    assert len(set(moved.path)) == 4


async def test_an_id_the_tree_does_not_hold_is_refused_and_nothing_is_stored(transcript, turn, root):
    with pytest.raises(NotFound):
        await transcript.commit(turn([[7, 9]], ["u:hi"], ["a:r"]))
    assert await transcript.session("local", "s") is None
    assert not tree_path(root, KEY).exists()
    assert await transcript.trees_with_jobs() == []


async def test_every_new_text_waits_in_the_outbox_embeddings_first(transcript, turn, new):
    write = turn([], ["u:hi"], ["a:r"], card=CARD)
    await transcript.commit(replace(write, new=[new("u:hi", emotion_known=True)]))
    jobs = await transcript.jobs(KEY, limit=10, now=float("inf"))
    assert [(job.kind, job.ref) for job in jobs] == [
        ("embed_message", 1),
        ("embed_message", 2),
        ("embed_card", 1),
        ("read_emotion", 2),
    ]
    chunks = await transcript.card_chunks(KEY, jobs[2].payload["chunks"])
    assert {chunk.card_hash for chunk in chunks} == {"hash-1"} and len(chunks) > 2
    assert await transcript.trees_with_jobs() == [KEY]
    await transcript.finish_jobs(KEY, [job.id for job in jobs])
    assert await transcript.trees_with_jobs() == []


async def test_a_postponed_job_comes_back_when_it_is_due(transcript, turn):
    await transcript.commit(turn([], ["u:hi"]))
    job = (await transcript.jobs(KEY, limit=1, now=float("inf")))[0]
    await transcript.postpone_job(KEY, job.id, job.due_at + 60, "model is down")
    assert job.id not in {j.id for j in await transcript.jobs(KEY, limit=9, now=job.due_at + 59)}
    later = await transcript.jobs(KEY, limit=9, now=job.due_at + 60)
    assert (later[0].id, later[0].attempts) == (job.id, 1)


async def test_the_card_seen_last_is_the_card(transcript, turn):
    other = replace(CARD, text="Mira is a pirate.", hash="hash-2")
    for n, card in enumerate((CARD, other, replace(CARD, name="Tobias", hash="hash-3"), CARD)):
        await transcript.commit(turn([], ["u:hi"], card=card, turn_id=str(n)))
        for name in (card.name, ""):
            assert await transcript.card(KEY, name) == await transcript.card(KEY, name) == card
    assert await transcript.card(KEY, "Mira") == CARD
    assert (await transcript.card(KEY)).name == "Mira"
    assert (await transcript.card(KEY, "Tobias")).hash == "hash-3"
    assert await transcript.card(KEY, "nobody") is None


async def test_summaries_stand_while_every_message_of_theirs_is_on_the_path(transcript, turn):
    await transcript.commit(turn([], [f"{'ua'[n % 2]}:{n}" for n in range(12)]))
    job = await transcript.enqueue_summary(KEY, "s", [[1, 4]])
    assert await transcript.enqueue_summary(KEY, "s", [[1, 4]]) == job
    await transcript.add_summary(KEY, [[5, 8]], "second", "extractive", -1)
    await transcript.add_summary(KEY, [[1, 4]], "first", "extractive", job)
    await transcript.add_summary(KEY, [[1, 2], [4, 5]], "overlaps, newer", "extractive", -1)
    assert job not in {j.id for j in await transcript.jobs(KEY, limit=99, now=float("inf"))}
    texts = [s.text for s in await transcript.summaries(KEY, Path([[1, 12]]))]
    assert texts == ["overlaps, newer"]
    texts = [s.text for s in await transcript.summaries(KEY, Path([[1, 3], [20, 20], [5, 8]]))]
    assert texts == ["second"]


async def test_an_emotion_is_written_to_its_message(transcript, turn):
    await transcript.commit(turn([], ["u:hi"]))
    await transcript.set_emotion(KEY, 1, "joy", 0.9, 0.7)
    message = (await transcript.messages(KEY, [1]))[0]
    assert (message.emotion, message.confidence, message.importance) == ("joy", 0.9, 0.7)


async def test_the_start_of_the_history_is_held(transcript, turn):
    await transcript.commit(turn([], ["u:1", "a:2", "u:3"], history_from=1))
    assert (await transcript.session("local", "s")).history_from == 2
    await transcript.commit(turn([[1, 3]], ["a:4"]))
    assert (await transcript.session("local", "s")).history_from == 2


async def test_a_turn_that_fails_half_way_leaves_the_file_and_what_is_read_as_it_was(transcript, turn, root):
    await transcript.commit(turn([], ["u:hi"], ["a:r"]))
    everything = "SELECT count(*) FROM messages UNION ALL SELECT count(*) FROM outbox"
    before = rows(root, everything), rows(root, "SELECT * FROM sessions")
    execute(root, "CREATE TRIGGER full BEFORE INSERT ON cards BEGIN SELECT RAISE(ABORT, 'disk full'); END")
    write = turn([[1, 2]], ["u:more"], ["a:x"], card=CARD)
    with pytest.raises(sqlite3.Error, match="disk full"):
        await transcript.commit(write)
    assert (rows(root, everything), rows(root, "SELECT * FROM sessions")) == before
    assert (await transcript.session("local", "s")).version == 1
    execute(root, "DROP TRIGGER full")
    done = await transcript.commit(write)
    assert (done.version, done.path.ranges) == (2, [[1, 4]])


async def test_a_first_turn_that_fails_leaves_no_trace(transcript, turn, root, new):
    with pytest.raises(sqlite3.Error):
        await transcript.commit(replace(turn([], ["u:hi"]), new=[replace(new("u:hi"), text=None)]))
    assert not tree_path(root, KEY).exists()
    assert (await transcript.sessions("local")).total == 0


async def test_a_fork_marks_what_it_leaves_unless_it_has_an_id(transcript, turn):
    await transcript.commit(turn([], ["u:1", "a:2", "u:3"]))
    await transcript.commit(turn([[1, 2]], ["u:4"], session_id="branch", forked_from="s", chat_id="b"))
    assert not (await transcript.session("local", "s")).left_behind
    await transcript.commit(turn([[1, 2]], ["u:5"], session_id="fork", forked_from="s"))
    assert (await transcript.session("local", "s")).left_behind
    assert (await transcript.session("local", "fork")).forked_from == "s"
    await transcript.commit(turn([[1, 3]], ["a:6"]))
    assert not (await transcript.session("local", "s")).left_behind
    assert {line.session_id for line in await transcript.lines(KEY)} == {"s", "branch", "fork"}


async def test_deleting_removes_what_no_other_session_needs(transcript, turn, root):
    await transcript.commit(turn([], ["u:shared", "a:also"], ["a:mine"]))
    await transcript.commit(turn([[1, 2]], ["u:secret one"], ["a:r"]))
    await transcript.commit(turn([[1, 2]], ["u:other"], ["a:s"], session_id="other", forked_from="s"))
    await transcript.commit(turn([[1, 2], [6, 6]], [], ["a:swiped"], session_id="other", turn_id="swipe"))
    removed = await transcript.delete("local", "s")
    assert removed == [3, 4, 5]
    assert await transcript.session("local", "s") is None
    left = [text for (text,) in rows(root, "SELECT text FROM messages ORDER BY id")]
    assert left == ["shared", "also", "other", "s", "swiped"]
    assert {ref for (ref,) in rows(root, "SELECT ref FROM outbox")}.isdisjoint(removed)
    assert b"secret one" not in tree_path(root, KEY).read_bytes()
    done = await transcript.commit(turn([[1, 2]], ["u:again"], session_id="other"))
    assert done.new_ids == [9]
    with pytest.raises(NotFound):
        await transcript.delete("local", "s")


async def test_deleting_the_last_session_removes_the_file(transcript, turn, root):
    await transcript.commit(turn([], ["u:hi"], ["a:r"]))
    assert await transcript.delete("local", "s") == [1, 2]
    assert list(root.glob("local/*")) == []
    assert await transcript.trees_with_jobs() == []
    assert (await transcript.commit(turn([], ["u:hi"]))).version == 1


async def test_owners_do_not_see_each_other(transcript, turn):
    await transcript.commit(turn([], ["u:hi"]))
    await transcript.commit(turn([], ["u:ho"], key=TreeKey("other", "tree")))
    assert (await transcript.sessions("local")).total == 1
    assert await transcript.session("nobody", "s") is None
    assert (await transcript.session("other", "s")).key.owner == "other"


async def test_sessions_come_most_recently_used_first(transcript, turn):
    for name in ("a", "b", "c"):
        await transcript.commit(turn([], ["u:hi"], key=TreeKey("local", name), session_id=name))
    await transcript.commit(turn([[1, 1]], ["a:r"], key=TreeKey("local", "a"), session_id="a"))
    page = await transcript.sessions("local", limit=2)
    assert ([s.session_id for s in page.sessions], page.total) == (["a", "c"], 3)
    page = await transcript.sessions("local", limit=2, offset=2)
    assert [s.session_id for s in page.sessions] == ["b"]


async def test_more_trees_than_may_be_open_work_at_once(root, catalog, turn):
    transcript = await SqliteTranscript.open(root, catalog, open_trees=2)
    keys = [TreeKey("local", f"tree{n}") for n in range(12)]
    for _ in range(2):
        turns = (transcript.commit(turn([], ["u:hi"], key=key, session_id=key.tree_id)) for key in keys)
        await asyncio.gather(*turns)
    assert [len(await transcript.messages(key, [1])) for key in keys] == [1] * 12
    await transcript.close()


async def test_a_file_of_a_newer_version_refuses_to_open_and_names_itself(transcript, turn, root, catalog):
    await transcript.commit(turn([], ["u:hi"]))
    await transcript.close()
    execute(root, "PRAGMA user_version=99")
    with pytest.raises(NewerSchema, match=r"tree\.sqlite.*99"):
        await SqliteTranscript.open(root, catalog)


async def test_a_file_of_the_first_version_is_brought_up_to_date(transcript, turn, root, catalog):
    said = [NewMessage("assistant", name, f"I am {name}.", n) for n, name in enumerate(["Mira", "Tom"])]
    await transcript.commit(turn([], ["u:hi"], key=KEY, session_id="alone"))
    group = TreeKey("local", "group")
    await transcript.commit(replace(turn([], ["u:hi"], key=group, session_id="group"), replies=said))
    await transcript.close()
    for key in (KEY, group):
        for column in ("is_group", "person", "avatar", "window_from", "window_tokens"):
            execute(root, f"ALTER TABLE sessions DROP COLUMN {column}", key)
        execute(root, "PRAGMA user_version=1", key)
    again = await SqliteTranscript.open(root, catalog)
    assert not (await again.session("local", "alone")).is_group
    assert (await again.session("local", "group")).is_group
    await again.close()


async def test_a_file_of_the_second_version_asks_for_vectors_and_codes(transcript, turn, root, catalog):
    await transcript.commit(turn([], ["u:hi"], ["a:r"], card=CARD))
    jobs = await transcript.jobs(KEY, limit=9, now=float("inf"))
    await transcript.finish_jobs(KEY, [job.id for job in jobs])
    await transcript.close()
    execute(root, "CREATE TABLE vectors(kind TEXT, ref INTEGER, piece INTEGER, weights TEXT, vector BLOB)")
    execute(root, "DROP TABLE kept_lines")
    for column in ("person", "avatar", "window_from", "window_tokens"):
        execute(root, f"ALTER TABLE sessions DROP COLUMN {column}")
    execute(root, "PRAGMA user_version=2")
    assert catalog.dirty() == []
    again = await SqliteTranscript.open(root, catalog)
    assert await again.session("local", "s")
    assert await again.trees_with_jobs() == [KEY]
    asked = await again.jobs(KEY, limit=9, now=float("inf"))
    embedded = [(job.kind, job.ref, job.payload) for job in jobs if job.kind != "read_emotion"]
    assert sorted((job.kind, job.ref) for job in asked) == sorted((kind, ref) for kind, ref, _ in embedded)
    assert {str(job.payload) for job in asked} == {str(payload) for *_, payload in embedded}
    assert rows(root, "SELECT name FROM sqlite_master WHERE name = 'vectors'") == []
    await again.close()


async def test_a_chat_keeps_the_person_that_told_first_and_so_does_its_branch(transcript, turn):
    begun = await transcript.commit(turn([], ["u:hi"], ["a:r"]))
    for n, person in enumerate(["ann", "ben", ""]):
        await transcript.commit(turn(begun.path.ranges, [f"u:{n}"], ["a:r"], person=person))
        assert (await transcript.session("local", "s")).person == "ann"
    branch = {"session_id": "branch", "forked_from": "s", "chat_id": "c"}
    await transcript.commit(turn(begun.path.ranges, ["u:branch"], ["a:r"], person="ben", **branch))
    assert (await transcript.session("local", "branch")).person == "ann"


async def test_in_a_file_of_the_third_version_a_chat_is_its_users_by_the_name_in_it(
    transcript, turn, root, catalog
):
    await transcript.commit(turn([], ["u:hi"], ["a:r"], user_name="ann", character="Mira"))
    await transcript.close()
    catalog.close()
    for column in ("person", "avatar", "window_from", "window_tokens"):
        execute(root, f"ALTER TABLE sessions DROP COLUMN {column}")
    execute(root, "PRAGMA user_version=3")
    with closing(sqlite3.connect(root / FILE)) as connection:
        connection.execute("PRAGMA user_version=2")
    with closing(Catalog.open(root)) as newer:
        again = await SqliteTranscript.open(root, newer)
        assert (await again.session("local", "s")).person is None
        assert await newer.of_person("local", "ann", "Mira") == "s"
        assert await newer.recent_of_character("local", "Mira", "ben", 9) == []
        await again.commit(turn([[1, 2]], ["u:more"], ["a:r"], user_name="ann", person="ann"))
        assert await newer.recent_of_character("local", "Mira", "ann", 9) == [("s", KEY)]
        assert await newer.recent_of_character("local", "Mira", "", 9) == []
        await again.close()


async def test_in_a_file_of_the_fourth_version_no_chat_tells_an_avatar_and_the_first_one_told_is_kept(
    transcript, turn, root, catalog
):
    await transcript.commit(turn([], ["u:hi"], ["a:r"], character="Mira", chat_id="Main", avatar="none yet"))
    await transcript.close()
    catalog.close()
    for column in ("avatar", "window_from", "window_tokens"):
        execute(root, f"ALTER TABLE sessions DROP COLUMN {column}")
    execute(root, "PRAGMA user_version=4")
    with closing(sqlite3.connect(root / FILE)) as connection:
        connection.executescript("ALTER TABLE sessions DROP COLUMN avatar; PRAGMA user_version=3")
    with closing(Catalog.open(root)) as newer:
        again = await SqliteTranscript.open(root, newer)
        assert (await again.session("local", "s")).avatar == ""
        copy = Whose("Mira", avatar="Mira_1")
        assert await newer.of_chat("local", "Main", copy) == "s"
        await again.commit(turn([[1, 2]], ["u:more"], ["a:r"], avatar="Mira"))
        await again.commit(turn([[1, 4]], ["u:more"], ["a:r"]))
        assert (await again.session("local", "s")).avatar == "Mira"
        assert await newer.of_chat("local", "Main", Whose("Mira", avatar="Mira")) == "s"
        assert await newer.of_chat("local", "Main", Whose("Mira")) == "s"
        assert await newer.of_chat("local", "Main", copy) is None
        assert await newer.recent_of_character("local", "Mira", "", 9, "Mira_1") == []
        await again.close()


async def test_in_a_file_of_the_fifth_version_no_window_is_known(transcript, turn, root, catalog):
    await transcript.commit(turn([], ["u:hi", "a:r", "u:so"], window_from=1, window_tokens=7))
    session = await transcript.session("local", "s")
    assert (session.window_from, session.window_tokens) == (2, 7)
    await transcript.close()
    for column in ("window_from", "window_tokens"):
        execute(root, f"ALTER TABLE sessions DROP COLUMN {column}")
    execute(root, "PRAGMA user_version=5")
    again = await SqliteTranscript.open(root, catalog)
    session = await again.session("local", "s")
    assert (session.window_from, session.window_tokens) == (None, 0)
    await again.commit(turn([[1, 3]], ["u:more"], window_from=3))
    await again.commit(turn([[1, 4]], ["u:other"]))
    assert (await again.session("local", "s")).window_from == 4
    await again.close()


async def test_a_chat_without_work_left_has_an_empty_journal(transcript, turn, root):
    await transcript.commit(turn([], ["u:hi"], ["a:r"]))
    journal = tree_path(root, KEY).with_suffix(".sqlite-wal")
    assert journal.stat().st_size > 0
    await transcript.finish_jobs(KEY, [job.id for job in await transcript.jobs(KEY, limit=9, now=1e12)])
    assert journal.stat().st_size == 0
    assert [m.text for m in await transcript.messages(KEY, [1, 2])] == ["hi", "r"]


async def test_reindexing_asks_for_everything_that_does_not_wait_already(transcript, turn):
    await transcript.commit(turn([], ["u:hi"], ["a:r"], card=CARD))
    assert await transcript.reindex_jobs() == 0
    jobs = await transcript.jobs(KEY, limit=9, now=float("inf"))
    chunks = next(job.payload for job in jobs if job.kind == "embed_card")
    await transcript.finish_jobs(KEY, [job.id for job in jobs])
    assert await transcript.reindex_jobs() == 3
    again = await transcript.jobs(KEY, limit=9, now=float("inf"))
    assert [(job.kind, job.ref) for job in again] == [
        ("embed_message", 1),
        ("embed_message", 2),
        ("embed_card", 1),
    ]
    assert again[2].payload == chunks


async def test_an_unknown_tree_is_empty_and_stays_unmade(transcript, root):
    assert (await transcript.tree(KEY)).ids_of(1) == ()
    assert await transcript.jobs(KEY, limit=1, now=0) == []
    assert await transcript.summaries(KEY, Path([])) == []
    assert await transcript.messages(KEY, []) == []
    with pytest.raises(NotFound):
        await transcript.messages(KEY, [1])
    assert list(root.glob("*/*")) == []


COMMITTING = """
import asyncio, sys
from pathlib import Path
from memory.align import fingerprint
from memory.catalog import FILE, Catalog
from memory.stored import NewMessage, TreeKey, TurnWrite
from memory.transcript_sqlite import SqliteTranscript

def said(role, text):
    return NewMessage(role, "", text, fingerprint(role, text))

async def main():
    root = Path(sys.argv[1])
    transcript = await SqliteTranscript.open(root, Catalog.open(root))
    path = []
    for n in range(100000):
        done = await transcript.commit(TurnWrite(TreeKey("local", "tree"), "s", str(n), [*path, [-1, -1]],
            [said("user", f"u{n}")], [said("assistant", f"a{n}")]))
        path = done.path.ranges
        print(n, flush=True)

asyncio.run(main())
"""


@pytest.fixture
def acknowledged(root) -> int:
    """The last of the turns that a process acknowledged before it was killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", COMMITTING, str(root)],
        stdout=subprocess.PIPE,
        cwd=FilePath(__file__).parents[2],
    )
    for _ in range(25):
        process.stdout.readline()
    process.kill()
    last = process.stdout.read().split()
    process.stdout.close()
    process.wait()
    return int(last[-1]) if last else 24


async def test_killed_in_the_middle_nothing_acknowledged_is_lost_and_nothing_half_is_there(
    root, acknowledged
):
    catalog = Catalog.open(root)
    transcript = await SqliteTranscript.open(root, catalog)
    session = await transcript.session("local", "s")
    messages = await transcript.messages(KEY, list(session.path))
    assert session.version in (acknowledged + 1, acknowledged + 2)
    assert [m.text for m in messages] == [f"{r}{n}" for n in range(session.version) for r in "ua"]
    assert rows(root, "SELECT count(*) FROM messages") == [(2 * session.version,)]
    assert await transcript.trees_with_jobs() == [KEY]
    assert catalog.revision(KEY) == session.version
    await transcript.close()
    catalog.close()


LINES = st.lists(st.sampled_from(["u:a", "u:b", "a:c", "a:d"]), min_size=1, max_size=6)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(LINES, st.sampled_from(["a:x", "a:y"])), min_size=1, max_size=6))
def test_what_the_path_says_is_what_the_front_end_showed(front_end_over, turns):
    """Any windows, one after another, pinned to one chat: the stored path ends as each of them did."""

    async def run(root: FilePath) -> None:
        catalog = Catalog.open(root)
        transcript = await SqliteTranscript.open(root, catalog)
        front_end = front_end_over(transcript, catalog)
        for lines, reply in turns:
            sent, done = await front_end.turn(*lines, reply=reply, chat_id="chat")
            path = await front_end.path(sent.session_id)
            assert path[-len(lines) - 1 :] == [*lines, reply]
            tree = await transcript.tree(sent.key)
            assert encode(done.path) == done.path.ranges and len(set(done.path)) == len(done.path)
            assert all(tree.parent(i) is None or tree.parent(i) < i for i in done.path)
        await transcript.close()
        catalog.close()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(FilePath(folder)))
