"""Export: what was written imports back to an equal state."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graph.resources import Resources
from memory.align import fingerprint
from memory.catalog import Catalog
from memory.files import safe_name
from memory.path import Path as MessagePath
from memory.sessions import Sessions
from memory.stored import Card, NewMessage, TreeKey, TurnWrite
from memory.transcript_sqlite import SqliteTranscript
from memory.working import RamWorkingMemory
from server.transfer.export import write_export
from server.transfer.lines import json_lines
from server.transfer.progress import Progress
from server.transfer.report import Report
from server.transfer.restore import restore
from tests.fakes.openai_server import FakeOpenAI
from tests.fakes.wire import says
from tests.server.live import Live, idle, said, stored
from tests.server.process import command, ended, environment

WORDS = st.sampled_from(["yes", "no", "tea?", "Grüße, Łódź", "a\nb", "\u2028", "naïve \U0001f600", "x" * 300])


@asynccontextmanager
async def folder() -> AsyncIterator[Resources]:
    """What an import uses of the resources, over an empty folder."""
    with tempfile.TemporaryDirectory() as name:
        catalog = Catalog.open(Path(name))
        transcript = await SqliteTranscript.open(Path(name), catalog)
        try:
            parts = SimpleNamespace(
                transcript=transcript,
                catalog=catalog,
                sessions=Sessions(transcript, catalog),
                working=RamWorkingMemory(20),
                worker=SimpleNamespace(wake=lambda key: None),
            )
            yield cast(Resources, parts)
        finally:
            await transcript.close()
            catalog.close()


async def exported(resources: Resources, *ids: str) -> bytes:
    """The export of these sessions, or of all."""
    page = await resources.transcript.sessions("local", limit=1000)
    chosen = [s for s in page.sessions if not ids or s.session_id in ids]
    with tempfile.TemporaryFile() as file:
        await write_export(resources.transcript, sorted(chosen, key=lambda s: s.session_id), file)
        file.seek(0)
        return file.read()


async def restored(resources: Resources, content: bytes) -> Report:
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.seek(0)
        return await restore(resources, json_lines(file), Progress())


def new(role: str, text: str, **more: Any) -> NewMessage:
    return NewMessage(role, "Mira" if role == "assistant" else "Alex", text, fingerprint(role, text), **more)


async def play(resources: Resources, turns: list[tuple[str, str, str, int]], tree: str) -> None:
    """A few sessions of one tree: turns, swipes, deletions and forks as they come."""
    key, transcript = TreeKey("local", tree), resources.transcript
    lines: list[str] = []
    for number, (kind, text, other, pick) in enumerate(turns):
        fork = kind == "fork" or not lines
        base = lines[pick % len(lines)] if lines else ""
        known = await transcript.session("local", base) if base else None
        path = known.path if known else MessagePath([])
        kept = path.prefix(max(0, len(path) - pick % 3) if kind in ("swipe", "fork") else len(path))
        name = f"{tree}-{number}" if fork else base
        lines += [name] if fork else []
        user = new("user", text, emotion="joy", confidence=0.7, emotion_known=True)
        replies = [new("assistant", other, unsettled=pick % 2 == 0), new("assistant", f"{other}!")]
        card = Card("Mira", f"Mira {pick % 2}", "Alex is old.", str(pick % 2)) if kind == "card" else None
        write = TurnWrite(
            key, name, f"t{number}", [*kept.ranges, [-1, -1]], [user], replies[: 1 + pick % 2],
            chat_id=f"c-{name}" if pick % 3 else "", character="Mira", forked_from=base if fork else "",
            card=card, history_from=pick % 4, window_from=pick % 5, window_tokens=9 * pick,
            is_group=pick == 5, person="ann" * (pick % 2),
            glue=[number] if kind == "glue" else (),
        )  # fmt: skip
        done = await transcript.commit(write)
        if kind == "summary":
            over = done.path.between(0, len(done.path) - 1)
            await transcript.add_summary(key, over, f"They said {text}.", "extractive", -1)
        if kind == "feel":
            await transcript.set_emotion(key, done.reply_ids[0], "fear", 0.25, 0.75)
        if kind == "delete" and len(lines) > 1:
            await transcript.delete("local", lines.pop(0))


TURNS = st.lists(
    st.tuples(
        st.sampled_from(["go", "swipe", "fork", "card", "summary", "feel", "delete", "glue"]),
        WORDS,
        WORDS,
        st.integers(0, 5),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(first=TURNS, second=TURNS)
def test_an_export_imports_back_to_an_equal_state(first: Any, second: Any) -> None:
    async def check() -> None:
        async with folder() as one, folder() as other:
            await play(one, first, "one")
            await play(one, second, safe_name("Mira - 2026-11-22@10h04m"))
            content = await exported(one)
            report = await restored(other, content)
            assert not report.problem_count
            assert await exported(other) == content
            again = await restored(other, content)
            assert again.added == 0 and await exported(other) == content

    asyncio.run(check())


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(turns=TURNS, pick=st.integers(0, 5))
def test_one_session_of_a_tree_exports_alone(turns: Any, pick: int) -> None:
    async def check() -> None:
        async with folder() as one, folder() as other:
            await play(one, turns, "one")
            sessions = (await one.transcript.sessions("local")).sessions
            name = sessions[pick % len(sessions)].session_id
            content = await exported(one, name)
            report = await restored(other, content)
            assert not report.problem_count and [s.id for s in report.sessions] == [name]
            assert await exported(other) == content
            before = await exported(one)
            await restored(one, content)
            assert await exported(one) == before

    asyncio.run(check())


async def test_what_is_newer_here_is_kept() -> None:
    async with folder() as one:
        await play(one, [("go", "yes", "no", 1)], "one")
        old = await exported(one)
        await play(one, [("go", "tea?", "no", 1), ("go", "later", "no", 1)], "one")
        before = await exported(one)
        await restored(one, old)
        assert await exported(one) == before


async def test_another_chat_of_the_same_id_is_left_alone() -> None:
    async with folder() as one, folder() as other:
        await play(one, [("go", "yes", "no", 1)], "one")
        await play(other, [("go", "tea?", "rum", 1)], "one")
        mine, content = await one.transcript.session("local", "one-0"), await exported(other)
        for _ in range(2):
            report = await restored(one, content)
        assert report.added == 0 and report.sessions[0].id.startswith("one-0-")
        assert await one.transcript.session("local", "one-0") == mine
        assert (await one.transcript.sessions("local")).total == 2


async def test_broken_lines_name_their_number_and_lose_nothing_else() -> None:
    async with folder() as one, folder() as other:
        await play(one, [("go", "yes", "no", 1), ("go", "tea?", "rum", 1)], "one")
        rows = (await exported(one)).decode().splitlines()
        at = next(n for n, row in enumerate(rows) if '"kind":"message"' in row)
        wild = {"kind": "session", "session_id": "x", "path": [[1, 2**62]]}
        rows[at:at] = ["{", '{"kind":"message","id":"one"}', '{"kind":"song"}', json.dumps(wild)]
        report = await restored(other, "\n".join(rows).encode())
        assert [p.line for p in report.problems] == [at + 1, at + 2, at + 3, at + 4]
        assert await exported(other) == await exported(one)


async def test_hostile_numbers_are_bounded() -> None:
    async with folder() as one, folder() as other:
        await play(one, [("go", "yes", "no", 1)], "one")
        rows = [json.loads(row) for row in (await exported(one)).decode().splitlines()]
        for row in rows:
            if row.get("kind") == "message":
                row["id"] += 2**40
            if row.get("kind") == "session":
                row["path"] = [[1, 2**52]]
        await restored(other, "\n".join(map(json.dumps, rows)).encode())
        session = await other.transcript.session("local", "one-0")
        assert session is not None and session.path.ranges[-1][1] <= 3


async def test_a_session_is_exported_over_http_and_taken_up_again_after_deletion(
    live: Live, fake: FakeOpenAI
) -> None:
    fake.script(says("Hello."), says("Ines."))
    body = {"messages": said("Hi", "Hello.", "Name?"), "metadata": {"chat_id": "c1"}}
    assert (await live.http.post("/v1/chat/completions", json=body)).status_code == 200
    await idle(live)
    answer = await live.http.get("/v1/sessions/c1/export")
    assert answer.headers["content-disposition"] == 'attachment; filename="c1.jsonl"'
    before = await stored(live, "c1")
    assert (await live.http.delete("/v1/sessions/c1")).status_code == 200
    report = (await live.http.post("/v1/import", content=answer.content)).json()
    assert report["added"] == 4 and await stored(live, "c1") == before
    await idle(live)
    assert (await live.http.get("/v1/sessions/c1/export")).content == answer.content
    again = {"messages": said("Hi", "Hello.", "Name?", before[-1][1], "Sure?")}
    turn = await live.http.post("/v1/chat/completions", json=again)
    assert (turn.headers["x-turn-change"], turn.headers["x-session-id"]) == ("append", "c1")


async def test_an_export_into_the_folder_it_came_from_adds_nothing(live: Live, fake: FakeOpenAI) -> None:
    fake.script(says("Hello."))
    chat = {"chat_id": "Mira - 2026-11-22@10h04m05s123ms"}
    body = {"messages": said("Hi"), "metadata": chat}
    assert (await live.http.post("/v1/chat/completions", json=body)).status_code == 200
    content = (await live.http.get("/v1/export")).content
    report = (await live.http.post("/v1/import", content=content)).json()
    assert report["added"] == 0
    assert (await live.http.get("/v1/sessions")).json()["total"] == 1


async def test_an_unknown_session_is_not_exported(live: Live) -> None:
    for path in ("/v1/sessions/nobody/export", "/v1/export?session=nobody"):
        answer = await live.http.get(path)
        assert answer.status_code == 404 and "nobody" in answer.json()["error"]["message"]


async def test_the_command_exports_with_and_without_a_server(
    live: Live, settings: Any, fake: FakeOpenAI, tmp_path: Path
) -> None:
    body = {"messages": said("Hi"), "metadata": {"chat_id": "c1"}}
    assert (await live.http.post("/v1/chat/completions", json=body)).status_code == 200
    await idle(live)
    env = environment(settings, fake)
    code, _, err = await ended(await command("export", "c1", "-o", str(tmp_path / "a.jsonl"), env=env))
    assert code == 0, err
    elsewhere = env | {"DB_PATH": str(tmp_path / "other"), "CHROMADB_PATH": str(tmp_path / "other-chroma")}
    code, _, err = await ended(await command("import", str(tmp_path / "a.jsonl"), env=elsewhere))
    assert code == 0, err
    code, _, err = await ended(
        await command("export", "--all", "-o", str(tmp_path / "b.jsonl"), env=elsewhere)
    )
    assert code == 0, err
    assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.jsonl").read_bytes()
    for wrong in (["-o", "x"], ["c1", "--all", "-o", "x"], ["nobody", "-o", "x"]):
        code, _, err = await ended(await command("export", *wrong, env=env))
        assert code == 2 and err.count("\n") == 1, err
    assert not (tmp_path / "x").exists() and not (tmp_path / "x.part").exists()
