"""An import runs beside turns: no request waits for it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from memory import assign
from memory.align import align
from server.cli.transfer import Item, weight
from server.cli.transfer import send as send_file
from server.transfer import chat_import, restore, sent
from tests.fakes.openai_server import FakeOpenAI
from tests.fakes.wire import says
from tests.server.importing import MIRA, SHOWN, put, send, shown
from tests.server.live import Live, stored, until
from tests.server.silly_files import chat


class Gate:
    """A step of the import that stands still until it is let go."""

    def __init__(self) -> None:
        self.reached, self.open = threading.Event(), threading.Event()

    def around(self, step: Any) -> Any:
        """The step, waiting before it starts (Any: a function of any shape)."""

        def waiting(*args: Any, **named: Any) -> Any:
            self.reached.set()
            assert self.open.wait(60)
            return step(*args, **named)

        return waiting


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open.set()


async def answered_during(live: Live, fake: FakeOpenAI, gate: Gate, content: bytes) -> dict[str, Any]:
    """What an import counted that stood still while a turn was answered (Any: JSON)."""
    importing = asyncio.create_task(put(live, content))
    await until(gate.reached.is_set)
    fake.script(says("Here."))
    await send(live, [], "Are you there?", metadata={"chat_id": "another"})
    assert not importing.done()
    gate.open.set()
    return await importing


@pytest.mark.parametrize(
    ("where", "step"),
    [(sent.Sender, "lines"), (chat_import._Laying, "lay"), (chat_import, "encode")],
    ids=["reading", "laying out", "its path"],
)
async def test_a_turn_is_answered_while_a_chat_is_imported(
    live: Live, fake: FakeOpenAI, gate: Gate, monkeypatch: pytest.MonkeyPatch, where: Any, step: str
) -> None:
    slow = gate.around(getattr(where, step))
    monkeypatch.setattr(where, step, lambda *args: slow(*args))
    report = await answered_during(live, fake, gate, chat(*MIRA))
    assert len(await shown(live, report["sessions"][0]["id"])) == len(MIRA)


async def test_a_turn_is_answered_while_an_imported_chat_is_aligned(
    live: Live, fake: FakeOpenAI, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = gate.around(align)

    def aligner(window: Any, *args: Any, **named: Any) -> Any:
        return (slow if len(window) == len(MIRA) else align)(window, *args, **named)

    await put(live, chat(*MIRA[:4]))
    monkeypatch.setattr(live.resources.sessions._assigner, "_align", aligner)
    monkeypatch.setattr(assign, "align", aligner)
    report = await answered_during(live, fake, gate, chat(*MIRA))
    assert report["added"] == 1


async def test_a_turn_is_answered_while_an_export_is_restored(
    live: Live, fake: FakeOpenAI, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put(live, chat(*MIRA))
    content = (await live.http.get("/v1/export")).content
    monkeypatch.setattr(restore._Laid, "write", gate.around(restore._Laid.write))
    report = await answered_during(live, fake, gate, content)
    assert report["added"] == 0


async def test_an_import_tells_how_far_it_is(live: Live, gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_import._Laying, "lay", gate.around(chat_import._Laying.lay))
    query = {"name": "Mira - 1.jsonl", "progress": "true"}
    told: list[dict[str, Any]] = []
    async with live.http.stream("POST", "/v1/import", params=query, content=chat(*MIRA)) as answer:
        async for row in answer.aiter_lines():
            told.append(json.loads(row))
            if told[-1].get("read") == len(MIRA) + 1:
                gate.open.set()
    *steps, report = told
    assert steps[0] == {"object": "import.progress", "read": len(MIRA) + 1, "stored": 0}
    assert (report["object"], report["added"]) == ("import", len(MIRA))


async def test_what_goes_wrong_in_an_import_that_tells_is_its_last_line(live: Live) -> None:
    answer = await live.http.post("/v1/import", params={"progress": "true"}, content=b"hello")
    error = json.loads(answer.text.splitlines()[-1])["error"]
    assert (error["type"], error["code"]) == ("invalid_request_error", "bad_request")


async def test_an_import_whose_client_left_is_brought_to_its_end(
    live: Live, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat_import._Laying, "lay", gate.around(chat_import._Laying.lay))
    query = {"name": "Mira - 1.jsonl", "progress": "true"}
    async with live.http.stream("POST", "/v1/import", params=query, content=chat(*MIRA)):
        await until(gate.reached.is_set)
    gate.open.set()
    while not await stored(live, "Mira - 1"):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    assert await stored(live, "Mira - 1") == SHOWN


async def test_the_command_follows_one_big_file(
    live: Live, gate: Gate, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(chat_import._Laying, "lay", gate.around(chat_import._Laying.lay))
    file = tmp_path / "Mira - 1.jsonl"
    file.write_bytes(chat(*MIRA))
    told: list[tuple[int, int]] = []

    def tell(read: int, stored: int) -> None:
        told.append((read, stored))
        gate.open.set()

    with httpx.Client(base_url=live.url, timeout=60) as client:
        report = await asyncio.to_thread(send_file, client, Item(file, file.name, asked_for=True), tell)
    assert told[0] == (weight(file), 0) == (len(MIRA) + 1, 0) and report.added == len(MIRA)
