"""A chat that is live and imported is one session: whatever came first, with its own id or without one."""

from __future__ import annotations

import asyncio
import io
import zipfile
from pathlib import Path
from typing import Any

import pytest

from server.transfer.archive import folder_files
from tests.fakes.openai_server import FakeOpenAI
from tests.fakes.wire import Wait, says
from tests.server.importing import MIRA, SHOWN, put, send, shown
from tests.server.live import Live
from tests.server.silly_files import chat, line

MEMORY_ID = "2026-11-22 18:04 123456789"
YAML = {"metadata": {"chat_id": MEMORY_ID, "character": "Mira", "user_name": "Alex"}}
MADE = {"chat_metadata": {"variables": {"memory_id": MEMORY_ID}}}
TAGS = pytest.mark.parametrize("tag", [{}, YAML], ids=["no id", "its own id"])
Lines = list[dict[str, Any]]  # Any: JSON

NEXT = [line("Alex", "What is her name?", 6), line("Mira", "Ines.", 6)]
LATER = ("user", "What is her name?"), ("assistant", "Ines.")
BRANCH = [*MIRA[:3], line("Alex", "Tell me a tale.", 6), line("Mira", "Once ...", 6)]
TALE = [*SHOWN[:3], ("user", "Tell me a tale."), ("assistant", "Once ...")]


def header(tag: dict[str, Any], main: str = "") -> dict[str, Any]:
    """What begins the file of a chat that went on with a tag (Any: JSON)."""
    metadata = dict(MADE["chat_metadata"]) if tag else {}
    return {"chat_metadata": metadata | ({"main_chat": main} if main else {}), "user_name": "unused"}


async def sessions(live: Live) -> list[dict[str, Any]]:
    """All of them (Any: JSON)."""
    found: list[dict[str, Any]] = (await live.http.get("/v1/sessions")).json()["data"]
    return found


@TAGS
async def test_an_older_file_of_a_live_chat_is_that_chat(
    live: Live, fake: FakeOpenAI, tag: dict[str, Any]
) -> None:
    """It was written before the chat's first live turn."""
    fake.script(says("Ines."))
    session = (await send(live, SHOWN, "What is her name?", **tag)).headers["x-session-id"]
    for file in (chat(*MIRA), chat(*MIRA, *NEXT, header=header(tag))):
        (found,) = (await put(live, file))["sessions"]
        assert found["id"] == session
        assert await shown(live, session) == [*SHOWN, *LATER]
    assert [s["chat_id"] for s in await sessions(live)] == [MEMORY_ID if tag else "Mira - 1"]


@TAGS
@pytest.mark.parametrize("edited", [1, 2, 4])
async def test_an_older_file_of_a_live_chat_with_an_edit_is_that_chat(
    live: Live, fake: FakeOpenAI, tag: dict[str, Any], edited: int
) -> None:
    said = [(who, "Rather this." if n == edited else text) for n, (who, text) in enumerate(SHOWN)]
    fake.script(says("Ines."))
    session = (await send(live, said, "What is her name?", **tag)).headers["x-session-id"]
    await put(live, chat(*MIRA))
    assert [s["id"] for s in await sessions(live)] == [session]
    assert await shown(live, session) == [*said, *LATER]


@TAGS
async def test_another_line_of_a_live_chat_is_a_chat_of_its_own(
    live: Live, fake: FakeOpenAI, tag: dict[str, Any]
) -> None:
    """Two of the user's messages stand in the file in the place of three."""
    other = [line(who, f"{who} {n}.", 7 + n) for n in range(2) for who in ("Alex", "Mira")]
    for said in (SHOWN, [*SHOWN, *LATER]):
        fake.script(says("Ines."))
        await send(live, said, "What is her name?", **tag)
    await put(live, chat(*MIRA[:3], *other))
    assert sorted(s["messages"] for s in await sessions(live)) == [7, 9]


async def test_an_older_file_is_no_chat_whose_id_is_another_files_name(live: Live, fake: FakeOpenAI) -> None:
    fake.script(says("Ines."))
    await send(live, SHOWN, "What is her name?", metadata={"chat_id": "Mira - 2", "chat_file": "Mira - 2"})
    await put(live, chat(*MIRA))
    assert sorted(s["chat_id"] for s in await sessions(live)) == ["Mira - 1", "Mira - 2"]


async def test_a_chat_that_parted_from_its_file_under_an_id_of_its_own_is_that_file(
    live: Live, fake: FakeOpenAI
) -> None:
    """It lost its end after it was imported: until its file tells, it may be a branch."""
    (imported,) = (await put(live, chat(*MIRA, *NEXT)))["sessions"]
    fake.script(says("Who does not?"))
    answer = await send(live, SHOWN[:3], SHOWN[3][1], **YAML)
    assert answer.headers["x-turn-change"] == "fork"
    said = [*MIRA[:4], line("Mira", "Who does not?", 7)]
    for _ in range(2):
        (found,) = (await put(live, chat(*said, header=MADE)))["sessions"]
        assert found["id"] == answer.headers["x-session-id"]
        assert [(s["chat_id"], s["forked_from"]) for s in await sessions(live) if not s["left_behind"]] == [
            (MEMORY_ID, "")
        ]
    assert await shown(live, found["id"]) == [*SHOWN[:4], ("assistant", "Who does not?")]
    assert [(s["id"], s["messages"]) for s in await sessions(live) if s["left_behind"]] == [
        (imported["id"], 7)
    ]


async def test_an_import_waits_for_the_first_turn_of_its_chat(live: Live, fake: FakeOpenAI) -> None:
    answered = asyncio.Event()
    fake.script([Wait(answered), *says("Ines.")])
    turn = asyncio.create_task(send(live, SHOWN, "What is her name?"))
    await fake.called()
    importing = asyncio.create_task(put(live, chat(*MIRA)))
    await asyncio.wait({importing}, timeout=0.5)
    assert not importing.done()
    answered.set()
    session = (await turn).headers["x-session-id"]
    assert [s["id"] for s in (await importing)["sessions"]] == [session]
    assert await shown(live, session) == [*SHOWN, *LATER]
    assert [s["chat_id"] for s in await sessions(live)] == ["Mira - 1"]


async def test_a_chat_that_was_imported_while_it_began_under_an_id_of_its_own_is_one(
    live: Live, fake: FakeOpenAI
) -> None:
    """Only the file that is written after that turn has the id."""
    answered = asyncio.Event()
    fake.script([Wait(answered), *says("Ines.")])
    turn = asyncio.create_task(send(live, SHOWN, "What is her name?", **YAML))
    await fake.called()
    await put(live, chat(*MIRA))
    answered.set()
    session = (await turn).headers["x-session-id"]
    for _ in range(2):
        (found,) = (await put(live, chat(*MIRA, *NEXT, header=MADE)))["sessions"]
        assert found["id"] == session
        assert [s["id"] for s in await sessions(live) if not s["left_behind"]] == [session]
    assert await shown(live, session) == [*SHOWN, *LATER]


async def test_a_group_in_which_nobody_spoke_but_its_members_greetings_is_left_out(
    live: Live, fake: FakeOpenAI
) -> None:
    greetings = [line("Mira", "*Mira waves.*"), line("Tobias", "Tobias nods.")]
    group = {"name": "group chats/G1.jsonl", "group": "true"}
    report = await put(live, chat(*greetings), **group)
    assert report["sessions"] == [] and report["problem_count"] == 1
    again = [*greetings, line("Mira", "So, Tobias?", 2)]
    assert (await put(live, chat(*again), name="group chats/G2.jsonl", group="true"))["added"] == 3


def archived(files: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, file in files.items():
            archive.writestr(name, file)
    return content.getvalue()


@TAGS
@pytest.mark.parametrize("imported", [True, False])
async def test_an_origin_is_what_its_file_shows_after_its_branch_went_on_in_its_session(
    live: Live, fake: FakeOpenAI, tag: dict[str, Any], imported: bool
) -> None:
    """The branch left one of the user's messages, which no request tells from an edit."""
    for reply, end in (("A good name.", 1), ("They pay my wages.", 3)):
        fake.script(says(reply))
        await send(live, SHOWN[:end], SHOWN[end][1], **tag)
    files = {"Mira.jsonl": chat(*MIRA, header=header(tag))}
    if imported:
        await put(live, files["Mira.jsonl"], name="Mira.jsonl")
    fake.script(says("Once ..."))
    answer = await send(live, SHOWN[:3], "Tell me a tale.", **tag)
    assert answer.headers["x-turn-change"] == "edit"
    files["Mira - Branch.jsonl"] = chat(*BRANCH, header=header(tag, "Mira"))
    states = []
    for _ in range(2):
        await put(live, archived(files), name="backup.zip")
        states.append([(s["id"], s["forked_from"], s["messages"]) for s in await sessions(live)])
    assert states[0] == states[1] and len(states[0]) == 2
    texts = {s["id"]: await shown(live, s["id"]) for s in await sessions(live)}
    (branch,) = [s for s in await sessions(live) if s["forked_from"]]
    assert texts.pop(branch["id"]) == TALE and texts == {branch["forked_from"]: SHOWN}
    for said, session in ((SHOWN, branch["forked_from"]), (TALE, branch["id"])):
        fake.script(says("Yes."))
        answer = await send(live, said, f"What came of {session}?", **tag)
        assert (answer.headers["x-session-id"], answer.headers["x-turn-change"]) == (session, "append")


async def test_a_branch_that_was_live_itself_takes_nothing_from_its_origin(
    live: Live, fake: FakeOpenAI
) -> None:
    """The origin's file is an older copy: what it lacks came before the branch."""
    for name, reply in (("Mira", "Ines."), ("Branch", "Ines, rather.")):
        fake.script(says(reply))
        tag = {"metadata": {"chat_id": name, "chat_file": name, "character": "Mira", "user_name": "Alex"}}
        await send(live, SHOWN, "What is her name?", **tag)
    await put(live, chat(*MIRA), name="Mira.jsonl")
    assert await shown(live, "Mira") == [*SHOWN, *LATER]


def test_a_chat_is_imported_again_after_its_branches(tmp_path: Path) -> None:
    """Those that were imported before it tell it at once what is theirs."""
    folder = tmp_path / "chats" / "Mira"
    folder.mkdir(parents=True)
    mains = {"Mira": "", "Mira - Branch": "Mira", "Twig": "Mira - Branch", "A": "Twig", "Other": "Gone"}
    for name, main in mains.items():
        (folder / f"{name}.jsonl").write_bytes(chat(*MIRA, header=header({}, main)))
    (folder / "Broken.jsonl").write_bytes(b"\xff\n")
    (tmp_path / "chats" / "Tobias").mkdir()
    (tmp_path / "chats" / "Tobias" / "Zed.jsonl").write_bytes(chat(*MIRA, header=header({}, "Mira")))
    names = [path.stem for path in folder_files(tmp_path)]
    once = ["A", "Broken", "Mira", "Mira - Branch", "Other", "Twig", "Zed"]
    assert names == [*once, "Mira - Branch", "Mira"]
