"""Import: what SillyTavern's files hold is stored as if it had been said here, once."""

from __future__ import annotations

import asyncio
import io
import json
import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.cli import main
from server.transfer.dates import parse_date
from server.transfer.upload import FilePart
from tests.fakes.openai_server import FakeOpenAI
from tests.fakes.wire import says
from tests.server.importing import MIRA, SHOWN, count, messages, put, send, shown
from tests.server.live import Live, idle
from tests.server.process import command, ended, environment, server_process
from tests.server.silly_files import CARD, WORLD, chat, line, png, user_folder


async def test_a_chat_file_becomes_a_session_with_its_dates_swipes_and_names(live: Live) -> None:
    report = await put(live, chat(*MIRA))
    assert (report["read"], report["added"], report["swipes"]) == (5, 5, 2)
    (session,) = report["sessions"]
    stored = await messages(live, session["id"])
    assert [(m["role"], m["content"]) for m in stored] == SHOWN
    assert [m["speaker"] for m in stored] == ["Mira", "Alex", "Mira", "Alex", "Mira"]
    assert datetime.fromtimestamp(stored[1]["created_at"]).date().isoformat() == "2024-03-02"
    known = (await live.http.get("/v1/sessions/Mira - 1")).json()
    assert (known["chat_id"], known["character"], known["user_name"]) == ("Mira - 1", "Mira", "Alex")


async def test_swipes_become_siblings(live: Live) -> None:
    await put(live, chat(*MIRA))
    exported = (await live.http.get("/v1/export")).text.splitlines()
    rows = [row for row in map(json.loads, exported) if row.get("kind") == "message"]
    parents = {row["text"]: row["parent"] for row in rows}
    assert parents["Who?"] == parents["A good name."] and parents["Rain, Alex."] is None


@pytest.mark.parametrize("tag", [{}, {"metadata": {"chat_id": "Mira - 1"}}], ids=["untagged", "tagged"])
@pytest.mark.parametrize("trimmed", [0, 1, 2])
async def test_an_imported_chat_goes_on_live_as_an_append(
    live: Live, fake: FakeOpenAI, tag: dict[str, Any], trimmed: int
) -> None:
    (session,) = (await put(live, chat(*MIRA)))["sessions"]
    fake.script(says("Ines, of course."))
    answer = await send(live, SHOWN[trimmed:], "What is her name?", **tag)
    assert answer.headers["x-turn-change"] == "append"
    assert answer.headers["x-session-id"] == session["id"]
    expected = [*SHOWN, ("user", "What is her name?"), ("assistant", "Ines, of course.")]
    assert await shown(live, session["id"]) == expected
    assert await count(live) == 9
    more = [line("Alex", "What is her name?", 6), line("Mira", "Ines, of course.", 6)]
    again = await put(live, chat(*MIRA, *more))
    assert again["added"] == 0 and await shown(live, session["id"]) == expected


async def test_a_message_of_long_ago_is_recalled_after_an_import(live: Live, fake: FakeOpenAI) -> None:
    filler = [line(("Alex", "Mira")[i % 2], f"Small talk number {i}.", 6) for i in range(60)]
    await put(live, chat(*MIRA, *filler))
    await idle(live)
    assert await live.resources.codes.count() == await live.resources.vectors.count() == await count(live)
    fake.script(says("Ines."))
    window = [(("user", "assistant")[i % 2], f"Small talk number {i}.") for i in range(40, 60)]
    await send(live, window, "What is my sister called?")
    (asked,) = (c.body["messages"] for c in fake.calls if "my sister called?" in str(c.body["messages"][-1]))
    prompt = "\n".join(str(m["content"]) for m in asked)
    assert "My sister is called Ines." in prompt and "2024" in prompt


async def test_hidden_messages_are_kept_off_the_path_until_they_are_shown(
    live: Live, fake: FakeOpenAI
) -> None:
    secret = line("Mira", "A secret.", 5, is_system=True)
    lines = [*MIRA[:3], secret, *MIRA[3:]]
    (session,) = (await put(live, chat(*lines)))["sessions"]
    assert await shown(live, session["id"]) == SHOWN
    stored = await count(live)
    unhidden = [*SHOWN[:3], ("assistant", "A secret."), *SHOWN[3:]]
    fake.script(says("Yes."))
    await send(live, unhidden, "Really?")
    assert (await shown(live, session["id"]))[:6] == unhidden
    assert await count(live) == stored + 2


async def test_narrator_lines_and_notices_are_nothing_that_someone_said(live: Live, fake: FakeOpenAI) -> None:
    narrator = line("Narrator", "Thunder rolls.", 3, extra={"type": "narrator"})
    notice = line("SillyTavern System", "Type /help", 3, is_system=True, extra={"type": "help"})
    tool = line("Mira", "[]", 3, is_system=True, extra={"tool_invocations": []})
    lines = [*MIRA[:3], narrator, notice, tool, *MIRA[3:]]
    (session,) = (await put(live, chat(*lines)))["sessions"]
    assert await shown(live, session["id"]) == SHOWN
    exported = (await live.http.get("/v1/export")).text
    assert "Type /help" not in exported and "Thunder rolls." in exported
    window: list[tuple[str, str]] = [*SHOWN[:3], ("system", "Thunder rolls."), *SHOWN[3:]]
    fake.script(says("Yes."))
    assert (await send(live, window, "Hear that?")).headers["x-turn-change"] == "append"


async def test_a_group_chat_goes_on_live_with_its_speakers(live: Live, fake: FakeOpenAI) -> None:
    group = [
        line("Mira", "Tea?", 1, original_avatar="Mira.png"),
        line("Tobias", "Rum.", 1, original_avatar="Tobias.png"),
        line("Alex", "Both.", 2),
        line("Mira", "Good.", 2, original_avatar="Mira.png"),
    ]
    (session,) = (await put(live, chat(*group), name="group chats/g1.jsonl", group=True))["sessions"]
    stored = await messages(live, session["id"])
    assert [(m["speaker"], m["content"]) for m in stored] == [
        ("Mira", "Tea?"), ("Tobias", "Rum."), ("Alex", "Both."), ("Mira", "Good."),
    ]  # fmt: skip
    fake.script(says("Fine."))
    window = [
        {
            "role": "system",
            "content": "Write Tobias's next reply in a fictional chat between Tobias and Alex.",
        },
        {"role": "system", "content": "[Start a new group chat. Group members: Mira, Tobias]"},
        {"role": "assistant", "content": "Mira: Tea?"},
        {"role": "assistant", "content": "Tobias: Rum."},
        {"role": "user", "content": "Both."},
        {"role": "assistant", "content": "Mira: Good."},
        {"role": "user", "content": "And you, Tobias?"},
        {"role": "system", "content": "[Write the next reply only as Tobias.]"},
    ]
    answer = await live.http.post("/v1/chat/completions", json={"messages": window})
    assert answer.headers["x-turn-change"] == "append" and answer.headers["x-session-id"] == session["id"]
    assert await count(live) == 6


async def test_a_branch_shares_what_it_has_in_common(live: Live) -> None:
    (trunk,) = (await put(live, chat(*MIRA)))["sessions"]
    branch = [*MIRA[:3], line("Alex", "Tell me a tale.", 6), line("Mira", "Once ...", 6)]
    (other,) = (await put(live, chat(*branch), name="Branch #1.jsonl"))["sessions"]
    assert other["id"] != trunk["id"] and other["added"] == 2
    a, b = [(await live.http.get(f"/v1/sessions/{s['id']}")).json() for s in (trunk, other)]
    assert a["tree_id"] == b["tree_id"] and not a["left_behind"] and b["forked_from"] == trunk["id"]
    assert await shown(live, trunk["id"]) == SHOWN


async def test_two_chats_of_one_name_stay_apart(live: Live) -> None:
    (mine,) = (await put(live, chat(*MIRA), name="chats/Mira/1.jsonl"))["sessions"]
    theirs = chat(line("Tobias", "Ahoy.", 1), line("Alex", "Hi Tobias.", 2), line("Tobias", "Rum?", 2))
    for _ in range(2):
        report = await put(live, theirs, name="chats/Tobias/1.jsonl")
    (other,) = report["sessions"]
    assert other["id"] != mine["id"] and report["added"] == 0
    assert await shown(live, mine["id"]) == SHOWN and len(await shown(live, other["id"])) == 3


async def test_a_chat_of_a_greeting_alone_is_not_stored(live: Live) -> None:
    report = await put(live, chat(MIRA[0]))
    assert report["sessions"] == [] and "nothing was said" in report["problems"][0]["message"]


async def test_a_bad_line_names_its_number_and_loses_nothing_else(live: Live) -> None:
    broken = chat(*MIRA[:2], '{"mes": "cut o', *MIRA[2:], '{"mes": 7, "is_user": true}', "[1]", "null")
    report = await put(live, broken)
    assert [p["line"] for p in report["problems"]] == [4, 8, 9, 10]
    assert await shown(live, report["sessions"][0]["id"]) == SHOWN


async def test_an_old_chat_with_names_in_its_header_and_halves_of_letters_is_read(live: Live) -> None:
    old = {"user_name": "Alex", "character_name": "Mira", "create_date": "2023-07-16@13h22m11s123ms"}
    lines = [
        {"name": "Mira", "is_user": False, "mes": "Hi, <USER>. \ud83d"},
        {"name": "Alex", "is_user": True, "mes": "Hi."},
    ]
    report = await put(live, b"\xef\xbb\xbf" + chat(*lines, header=old).replace(b"\n", b"\r\n"))
    stored = await messages(live, report["sessions"][0]["id"])
    assert stored[0]["content"] == "Hi, Alex. ?"
    assert datetime.fromtimestamp(stored[0]["created_at"]).date().isoformat() == "2023-07-16"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2024-03-02T10:00:00.500Z", datetime.fromisoformat("2024-03-02T10:00:00.500+00:00")),
        ("June 19, 2023 4:13pm", datetime(2023, 6, 19, 16, 13)),
        ("July 5, 2023 12:05 AM", datetime(2023, 7, 5, 0, 5)),
        ("2023-07-16@13h22m11s123ms", datetime(2023, 7, 16, 13, 22, 11, 123000)),
        ("2023-7-6@13h2m1s", datetime(2023, 7, 6, 13, 2, 1)),
        ("2024-6-5 @14h 56m 50s 682ms", datetime(2024, 6, 5, 14, 56, 50, 682000)),
        (1718000000123, datetime.fromtimestamp(1718000000.123)),
        ("1718000000123", datetime.fromtimestamp(1718000000.123)),
        (1718000000, datetime.fromtimestamp(1718000000)),
    ],
)
def test_every_date_that_sillytavern_wrote_is_understood(written: object, expected: datetime) -> None:
    assert parse_date(written) == pytest.approx(expected.timestamp())


@pytest.mark.parametrize(
    "written", [None, "", "yesterday", True, -1, 1e400, [], "9" * 400, "2023-99-99@1h1m1s"]
)
def test_what_is_no_date_is_none(written: object) -> None:
    assert parse_date(written) is None


async def test_cards_and_worlds_are_lore_of_the_library_and_nothing_that_was_said(live: Live) -> None:
    card = await put(live, png(CARD, "ccv3"), name="Mira.png")
    world = await put(live, json.dumps(WORLD, indent=1).encode(), name="Coast.json")
    assert (card["characters"], card["lore"], world["lore"]) == (1, 1, 2)
    again = await put(live, png(CARD), name="Mira.png")
    assert (again["characters"], again["lore"]) == (0, 0)
    library = live.resources.library
    assert [c.name for c in library.characters("local")] == ["Mira"]
    coast, book = library.books("local")
    assert (book.name, book.character, book.entries[0].keys) == ("MiraBook", "Mira", ["lantern"])
    assert [(e.uid, e.enabled, e.constant, e.insertion_order) for e in coast.entries] == [
        ("0", True, True, 7.0), ("1", False, False, 100.0),
    ]  # fmt: skip
    assert library.scopes("local") == [("Coast", "character", "Mira")]
    assert await count(live) == 0
    fewer = {"entries": {"1": WORLD["entries"]["1"] | {"content": "Percy is a tern."}}}
    assert (await put(live, json.dumps(fewer).encode(), name="Coast.json"))["lore"] == 1
    assert [e.content for e in library.books("local")[0].entries] == ["Percy is a tern."]


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"hello", b"[]", b"7", b"{}", b'{"a": 1}', b"\xff\xfe\x00", b"[" * 100_000),
        *(b"\x89PNG\r\n\x1a\n", b"PK\x03\x04junk", b'{"format":"emotional-rag","version":99}'),
    ],
)
async def test_what_is_no_chat_is_an_error_in_openais_shape(live: Live, content: bytes) -> None:
    answer = await live.http.post("/v1/import", content=content)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert await count(live) == 0


async def test_a_form_upload_is_taken_in_pieces(live: Live) -> None:
    form = {"files": {"file": ("Mira - 1.jsonl", chat(*MIRA), "application/jsonl")}, "data": {"note": "x"}}
    answer = await live.http.post("/v1/import", **form)  # type: ignore[arg-type]
    assert answer.status_code == 200, answer.text
    assert answer.json()["sessions"][0]["chat_id"] == "Mira - 1"
    refused = await live.http.post("/v1/import", files={}, data={"note": "x"}, headers={
        "content-type": "multipart/form-data; boundary=x"})  # fmt: skip
    assert refused.status_code == 400 and "no file" in refused.json()["error"]["message"]


def folders_and_strangers(folder: Path) -> set[Path]:
    """Every file below a folder but databases."""
    return {path for path in folder.rglob("*") if path.is_file() and ".sqlite" not in path.name}


@given(size=st.integers(1, 70), content=st.binary(max_size=200))
def test_a_form_is_read_however_it_is_cut(size: int, content: bytes) -> None:
    body = (
        b'preamble\r\n--b0\r\ncontent-disposition: form-data; name="a"\r\n\r\nno file\r\n--b0\r\n'
        b'Content-Disposition: form-data; name="f"; filename="x.jsonl"\r\n\r\n'
        + content.replace(b"--b0", b"")
        + b"\r\n--b0--\r\n"
    )
    part = FilePart(b"b0")
    found = b"".join(part.feed(body[at : at + size]) for at in range(0, len(body), size))
    assert part.complete and part.name == "x.jsonl" and found == content.replace(b"--b0", b"")


async def test_an_archive_is_read_in_place_whatever_its_names_say(live: Live, tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../../chats/Mira/../../chats/evil/evil.jsonl", chat(*MIRA))
        archive.writestr("/etc\\chats\\Mira\\{{x}}.jsonl", chat(line("Alex", "Ahoy."), line("Mira", "Hm.")))
        archive.writestr("default-user/chats/Mira/broken.jsonl", b"junk")
        archive.writestr("default-user/characters/Mira.png", png(CARD))
    before = folders_and_strangers(tmp_path)
    report = await put(live, packed.getvalue(), name="backup.zip")
    assert sorted(s["chat_id"] for s in report["sessions"]) == ["", "evil"] and report["characters"] == 1
    assert [p["file"] for p in report["problems"]] == ["default-user/chats/Mira/broken.jsonl"]
    assert folders_and_strangers(tmp_path) == before


async def test_the_command_takes_a_whole_user_folder_and_again_changes_nothing(
    live: Live, tmp_path: Path, fake: FakeOpenAI, settings: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    group = chat(line("Mira", "Tea?"), line("Tobias", "Rum."), line("Alex", "Both."))
    chats = {"chats/Mira/Mira - 1.jsonl": chat(*MIRA), "group chats/g1.jsonl": group}
    folder = user_folder(tmp_path / "default-user", chats)
    env = environment(settings, fake)
    code, out, err = await ended(await command("import", str(folder), env=env))
    assert code == 0, err
    assert "2 chats with 8 messages: 8 stored, 0 known already" in " ".join(out.split())
    assert "2 swipes and 0 hidden messages stored" in " ".join(out.split())
    assert "1 cards, 1 groups, 3 lorebook entries and 1 of their bindings" in " ".join(out.split())
    await idle(live)
    before = (await live.http.get("/v1/export")).text
    code, out, _ = await ended(await command("import", str(folder), env=env))
    assert code == 0 and ": 0 stored, 8 known already" in " ".join(out.split())
    assert (await live.http.get("/v1/export")).text == before
    assert "An old copy." not in before


async def test_an_import_that_was_killed_is_taken_up_again(
    tmp_path: Path, fake: FakeOpenAI, settings: Any
) -> None:
    env = environment(settings, fake)
    chats = {
        f"chats/Mira/{n}.jsonl": chat(line("Mira", f"Hi {n}"), line("Alex", f"Question {n}"))
        for n in range(40)
    }
    folder = user_folder(tmp_path / "default-user", chats)
    async with server_process(env) as server:
        process = await command("import", str(folder), env=env)
        stored = 0
        while stored < 5:
            stored = (await server.http.get("/v1/sessions")).json()["total"]
        process.kill()
        await process.communicate()
        await server.kill()
    async with server_process(env) as server:
        code, _, err = await ended(await command("import", str(folder), env=env))
        assert code == 0, err
        assert (await server.http.get("/v1/sessions")).json()["total"] == 40
        exported = (await server.http.get("/v1/export")).text
        assert exported.count('"kind":"message"') == 80


async def test_the_command_says_what_it_cannot_take(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await asyncio.to_thread(main, ["import", str(tmp_path / "nothing.jsonl")]) == 2
    assert "nothing.jsonl" in capsys.readouterr().err


async def test_a_first_message_that_was_deleted_or_hidden_before_an_import_is_off_the_path(
    live: Live,
) -> None:
    await put(live, chat(*MIRA))
    deleted = chat(*MIRA[1:])
    hidden = chat(MIRA[0] | {"is_system": True}, *MIRA[1:])
    for file, rows in ((deleted, SHOWN[1:]), (chat(*MIRA), SHOWN), (hidden, SHOWN[1:])):
        [session] = (await put(live, file))["sessions"]
        assert await shown(live, session["id"]) == rows


async def test_a_file_shows_what_post_processing_had_merged(live: Live) -> None:
    tag = {"metadata": {"chat_id": "Mira - 1", "character": "Mira", "user_name": "Alex"}}
    merged = "My sister is called Ines.\n\nShe repairs clocks."
    asked = [{"role": "assistant", "content": "Hello, Alex."}, {"role": "user", "content": merged}]
    card = {"role": "system", "content": "Write Mira's next reply in a fictional chat between Mira and Alex."}
    answer = await live.http.post("/v1/chat/completions", json={"messages": [card, *asked], **tag})
    reply = answer.json()["choices"][0]["message"]["content"]
    said = [("Mira", "Hello, Alex."), *(("Alex", text) for text in merged.split("\n\n")), ("Mira", reply)]
    file = chat(*(line(name, text, day) for day, (name, text) in enumerate(said, 1)))
    for _ in range(2):
        [session] = (await put(live, file))["sessions"]
        assert [text for _, text in await shown(live, session["id"])] == [text for _, text in said]
