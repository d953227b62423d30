"""What ranking knows of a tree: the same whether it grew with the chat, was read at once, or was kept."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path as FilePath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import memory.tree_lines
from memory.align import fingerprint
from memory.bulk import BulkMessage, BulkWrite, SessionLine
from memory.catalog import Catalog
from memory.files import tree_path
from memory.lines import NOBODY, PathLines, TreeLines
from memory.path import Path
from memory.ranking.reading import Holds
from memory.stored import NewMessage, Settled, TreeKey, TurnWrite
from memory.transcript_sqlite import SqliteTranscript

KEY = TreeKey("local", "tree")
WORDS = ["boat", "harbour", "lamp", "Porto", "violin"]


def said(text: str, role: str = "user", speaker: str = "", **more: object) -> NewMessage:
    return NewMessage(role, speaker, text, fingerprint(role, text), **more)  # type: ignore[arg-type]


class Chat:
    """One session of one tree, turn by turn."""

    def __init__(self, transcript: SqliteTranscript) -> None:
        self.transcript = transcript
        self.turns = 0

    async def say(
        self, *new: NewMessage, after: int = 0, settled: Sequence[Settled] = (), session: str = "session"
    ) -> list[int]:
        """Store messages after the first `after` ids."""
        self.turns += 1
        path = [[1, after]] if after else []
        write = TurnWrite(
            KEY, session, f"turn-{self.turns}", [*path, *([-n - 1] * 2 for n in range(len(new)))], new, []
        )
        return (await self.transcript.commit(replace(write, settled=settled))).new_ids

    async def lines(self) -> TreeLines:
        return await self.transcript.tree_lines(KEY)


@pytest.fixture
async def chat(transcript: SqliteTranscript) -> Chat:
    return Chat(transcript)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is read of four messages is worth keeping."""
    monkeypatch.setattr(memory.tree_lines, "KEPT_FROM", 4)


def columns(found: PathLines) -> dict[str, list[object]]:
    return {column.name: list(getattr(found, column.name)) for column in fields(found)}


def same(one: TreeLines, other: TreeLines, path: Path) -> bool:
    """Whether both know the same, whatever numbers they give to emotions."""
    named = []
    for lines in (one, other):
        found = columns(lines.of(path))
        found["emotion"] = [lines.emotions[n] for n in found["emotion"]]  # type: ignore[index]
        named.append((found, [part.tolist() for part in lines.impacts([w.lower() for w in WORDS], path)]))
    return named[0] == named[1]


def rows(root: FilePath) -> list[tuple[int, str]]:
    connection = sqlite3.connect(tree_path(root, KEY))
    found = connection.execute("SELECT newest, unsettled FROM kept_lines").fetchall()
    connection.close()
    return found


async def test_messages_of_a_path_are_described_in_its_order(chat: Chat) -> None:
    await chat.say(said("Did Tobias leave?", speaker="Anna"), said("Yesterday.", "assistant", "Mira"))
    lines = await chat.lines()
    found = lines.of(Path([[2, 2], [1, 1]]))
    assert [found.names[n] for n in found.speaker] == ["Mira", "Anna"]
    assert found.ids.tolist() == [2, 1] and found.user.tolist() == [False, True]
    assert found.holds.tolist() == [Holds.TIME, Holds.NAME | Holds.QUESTION | Holds.ENDS_ASKING]
    assert found.length.tolist() == [1, 3] and (found.created_at > 1e9).all()


async def test_what_is_not_stored_is_left_out_and_what_is_gone_is_nobodys(chat: Chat) -> None:
    await chat.say(said("The boat."))
    lines = await chat.lines()
    path = Path([[1, 2], [-1, -1], [900, 900]])
    assert lines.of(path).ids.tolist() == [1, 2, 900]
    assert lines.of(path).speaker.tolist() == [0, NOBODY, NOBODY]
    impacts, _ = lines.impacts(["boat"], path)
    assert impacts.shape == (1, 3) and impacts[0, 0] > 0 == impacts[0, 1] == impacts[0, 2]
    assert not any(columns(lines.of(Path([]))).values())


async def test_roles_without_names_are_speakers_of_their_own(chat: Chat) -> None:
    await chat.say(said("Hello."), said("Hello.", "assistant"))
    lines = await chat.lines()
    found = lines.of(Path([[1, 2]]))
    assert found.names == ["", ""] and found.speaker.tolist() == [0, 1]


async def test_an_unknown_tree_has_no_lines(transcript: SqliteTranscript) -> None:
    lines = await transcript.tree_lines(TreeKey("local", "never-seen"))
    assert len(lines.of(Path([])).ids) == 0 and lines.names(Path([])) == []


async def test_of_an_unsettled_message_only_what_its_speakers_name_leads_counts_until_it_is_settled(
    chat: Chat,
) -> None:
    text = "Alex: The boat.\n\nWrite in the style of a violin."
    [glued] = await chat.say(said(text, speaker="Alex", unsettled=True))
    path = Path([[glued, glued]])
    for lines in (await chat.lines(), await chat.lines()):
        assert (lines.impacts(["boat", "violin"], path)[0][:, 0] > 0).tolist() == [True, False]
    whole = Settled(glued, "The boat.\n\nA lamp?", fingerprint("user", "The boat.\n\nA lamp?"))
    await chat.say(said("More."), after=1, settled=[whole])
    lines = await chat.lines()
    assert (lines.impacts(["boat", "lamp"], path)[0][:, 0] > 0).tolist() == [True, True]
    assert lines.of(path).length.tolist() == [4] and lines.of(path).holds.tolist() == [
        Holds.QUESTION | Holds.ENDS_ASKING
    ]


async def test_an_emotion_read_later_is_known(chat: Chat) -> None:
    await chat.say(said("The boat."))
    lines = await chat.lines()
    await chat.transcript.set_emotion(KEY, 1, "fear", 0.9, 0.75)
    found = lines.of(Path([[1, 1]]))
    assert [lines.emotions[n] for n in found.emotion] == ["fear"] and found.importance.tolist() == [0.75]
    await chat.transcript.set_emotion(KEY, 4711, "joy", 0.9, 0.75)
    assert "joy" not in lines.emotions, "a message that is gone feels nothing"


async def test_a_speakers_name_is_no_news_in_messages_from_before_it_spoke(chat: Chat) -> None:
    await chat.say(said("I told Mira.", speaker="Anna"))
    assert (await chat.lines()).of(Path([[1, 1]])).holds[0] & Holds.NAME
    await chat.say(said("You did.", "assistant", "Mira"), after=1)
    lines = await chat.lines()
    assert not lines.of(Path([[1, 2]])).holds[0] & Holds.NAME
    assert not lines.of(Path([[1, 1]]), whole=Path([[1, 2]])).holds[0] & Holds.NAME


async def test_who_speaks_off_a_path_has_no_name_on_it(chat: Chat, root: FilePath, small: None) -> None:
    """Neither is that name less news there, nor does it change anybody's place; grown and read alike."""
    await chat.say(
        said("I told Mira Stone.", "user", "Anna"),
        said("You told Anna and Ruth.", "assistant", "Mira Stone"),
        said("Did Ruth hear?", "user", "user"),
        said("She did.", "user"),
    )
    for stranger in ("Ruth", "Stone"):
        await chat.say(said(f"I, {stranger}, told Anna.", "user", stranger), after=1, session=stranger)
    one, two = Path([[1, 4]]), Path([[2, 2], [5, 6]])
    for lines in (await chat.lines(), await reread(chat, root), await reread(chat, root)):
        found = lines.of(one)
        assert found.names == lines.names(one) == ["Anna", "Mira Stone", "user", ""]
        assert found.speaker.tolist() == [0, 1, 2, 3]
        assert [bool(held & Holds.NAME) for held in found.holds] == [False, True, True, False]
        found = lines.of(two)
        assert found.names == ["Mira Stone", "Ruth", "Stone"] and found.speaker.tolist() == [0, 1, 2]
        assert [bool(held & Holds.NAME) for held in found.holds] == [True, True, True]
        assert lines.of(Path([[5, 6], [1, 1]])).holds.tolist()[2] & Holds.NAME


async def test_what_a_settled_message_turned_out_not_to_name_is_no_news(chat: Chat) -> None:
    glued = said("Anna: I told Ruth.\n\nNotes.", speaker="Anna", unsettled=True)
    await chat.say(said("Here I am.", speaker="Ruth"), session="other")
    await chat.say(said("The boat.", speaker="Anna"), glued, session="session")
    path = Path([[2, 3]])
    assert (await chat.lines()).of(path).holds.tolist() == [0, Holds.NAME | Holds.FIRST_PERSON]
    settled = Settled(3, "I told her.", fingerprint("user", "I told her."))
    await chat.say(said("The lamp.", speaker="Anna"), after=3, settled=[settled])
    assert (await chat.lines()).of(path).holds.tolist() == [0, Holds.FIRST_PERSON]


async def test_a_removed_session_leaves_no_words(chat: Chat, root: FilePath, small: None) -> None:
    await chat.say(*(said(f"The lamp number {n}.") for n in range(4)))
    await chat.say(said("zanzibar"), after=4, session="other")
    await reread(chat, root)
    assert b"zanzibar" in on_disk(root)
    await chat.transcript.delete("local", "other")
    lines = await chat.lines()
    assert lines.impacts(["zanzibar"], Path([[1, 5]]))[0].max() == 0
    assert lines.of(Path([[5, 5]])).speaker.tolist() == [NOBODY]
    assert b"zanzibar" not in on_disk(root)


def on_disk(root: FilePath) -> bytes:
    """The tree's file and what SQLite has beside it."""
    return b"".join(file.read_bytes() for file in tree_path(root, KEY).parent.iterdir())


async def reread(chat: Chat, root: FilePath) -> TreeLines:
    """What a transcript that is opened anew reads, and what it keeps."""
    catalog = Catalog.open(root)
    again = await SqliteTranscript.open(root, catalog)
    await finish(again)
    lines = await again.tree_lines(KEY)
    await again.close()
    catalog.close()
    return lines


async def finish(transcript: SqliteTranscript) -> None:
    jobs = await transcript.jobs(KEY, limit=10_000, now=float("inf"))
    await transcript.finish_jobs(KEY, [job.id for job in jobs])


async def test_a_large_tree_is_kept_and_read_with_what_came_since(
    chat: Chat, root: FilePath, small: None
) -> None:
    glued = said("The harbour.\n\nNotes.", unsettled=True)
    await chat.say(said("The boat."), glued, said("A lamp.", emotion="joy"), said("Porto?"))
    await reread(chat, root)
    assert rows(root) == [(4, "[2]")]
    await chat.say(said("A violin."), after=4, settled=[Settled(2, "The harbour.", 1)])
    again = await reread(chat, root)
    assert rows(root) == [(4, "[2]")]
    assert same(again, await chat.lines(), Path([[1, 5]]))
    assert again.impacts(["harbour"], Path([[1, 5]]))[0].tolist()[0][1] > 0


async def test_what_is_kept_is_made_anew_when_much_came_since_or_somebody_new_spoke(
    chat: Chat, root: FilePath, small: None
) -> None:
    await chat.say(*(said(f"The boat {n}.") for n in range(4)))
    await reread(chat, root)
    await chat.say(said("Hello, boat.", "assistant", "Mira"), after=4)
    assert (await reread(chat, root)).names(Path([[1, 5]])) == ["", "Mira"] and rows(root) == [(5, "[]")]
    await chat.say(*(said(f"The lamp {n}.") for n in range(4)), after=5)
    await reread(chat, root)
    assert rows(root) == [(9, "[]")]


async def test_what_is_kept_is_dropped_when_an_emotion_changes_or_the_code_did(
    chat: Chat, root: FilePath, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    await chat.say(*(said(f"The boat {n}.") for n in range(4)))
    await reread(chat, root)
    await chat.transcript.set_emotion(KEY, 2, "joy", 1.0, 0.9)
    assert rows(root) == []
    again = await reread(chat, root)
    assert again.emotions[again.of(Path([[2, 2]])).emotion[0]] == "joy"
    monkeypatch.setattr(memory.tree_lines, "_format", lambda: "other code")
    connection = sqlite3.connect(tree_path(root, KEY))
    connection.execute("UPDATE messages SET text = 'The violin.' WHERE id = 1")
    connection.commit()
    connection.close()
    assert (await reread(chat, root)).impacts(["violin"], Path([[1, 4]]))[0].max() > 0


async def test_nothing_is_kept_while_emotions_are_still_to_be_read(chat: Chat, small: None) -> None:
    await chat.say(*(said(f"The boat {n}.") for n in range(4)))
    await chat.lines()
    held = sqlite3.connect(tree_path(chat.transcript._trees._root, KEY))
    assert held.execute("SELECT count(*) FROM kept_lines").fetchone() == (0,)
    held.close()


texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(" ".join)
speakers = st.sampled_from([("user", "Anna"), ("assistant", "Mira"), ("assistant", "")])
turns = st.lists(
    st.tuples(st.lists(st.tuples(speakers, texts, st.booleans()), max_size=3), st.booleans()), max_size=6
)


@settings(max_examples=25, deadline=None)
@given(turns, st.booleans())
def test_lines_that_grew_are_those_that_are_read(turns: list, imported: bool) -> None:
    asyncio.run(_grown_and_read(turns, imported))


async def _grown_and_read(turns: list, imported: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = FilePath(folder)
        catalog = Catalog.open(root)
        transcript = await SqliteTranscript.open(root, catalog)
        chat, unsettled, count = Chat(transcript), {}, 0
        for fresh, settle in turns:
            new = [
                said(
                    f"{text} {count + n}.\n\nNotes." if glued else f"{text} {count + n}.",
                    *who,
                    unsettled=glued,
                )
                for n, (who, text, glued) in enumerate(fresh)
            ]
            known = [Settled(i, "A lamp.", i) for i in unsettled] if settle and count else []
            unsettled = {} if known else unsettled
            if imported and new:
                ids = (await transcript.absorb(bulk(new, count))).ids
            else:
                ids = await chat.say(*new, after=count, settled=known)
            unsettled |= {i: True for i, message in zip(ids, new, strict=True) if message.unsettled}
            count += len(new)
            await chat.lines()
        if count:
            assert same(await chat.lines(), await reread(chat, root), Path([[1, count]]))
        await transcript.close()
        catalog.close()


def bulk(new: Sequence[NewMessage], after: int) -> BulkWrite:
    told = [
        BulkMessage(after if n == 0 and after else (-n or None), m.role, m.speaker, m.text, m.fingerprint, 1e9,
                    unsettled=m.unsettled)
        for n, m in enumerate(new)
    ]  # fmt: skip
    path = [[1, after]] if after else []
    line = SessionLine("session", [*path, *([-n - 1] * 2 for n in range(len(new)))], 1e9, 1e9)
    return BulkWrite(KEY, [line], told)
