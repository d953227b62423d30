"""An imported chat that goes on live under an id of its own (README's YAML) stays one session."""

from __future__ import annotations

import pytest

from tests.fakes.openai_server import FakeOpenAI
from tests.fakes.wire import says
from tests.server.importing import MIRA, SHOWN, put, send, shown
from tests.server.live import Live
from tests.server.silly_files import chat, line

MEMORY_ID = "2026-11-22 18:04 123456789"
TAG = {"metadata": {"chat_id": MEMORY_ID}}


async def test_an_imported_chat_takes_the_id_under_which_it_goes_on(live: Live, fake: FakeOpenAI) -> None:
    (session,) = (await put(live, chat(*MIRA)))["sessions"]
    fake.script(says("Ines."), says("Yes."))
    answer = await send(live, SHOWN, "What is her name?", **TAG)
    assert (answer.headers["x-session-id"], answer.headers["x-turn-change"]) == (session["id"], "append")
    answer = await send(live, [*SHOWN, ("user", "What is her name?"), ("assistant", "Ines.")], "Sure?", **TAG)
    assert answer.headers["x-session-id"] == session["id"]
    said = await shown(live, session["id"])
    header = {"chat_metadata": {"variables": {"memory_id": MEMORY_ID}}}
    for head in (None, header):
        report = await put(live, chat(*MIRA, header=head))
        assert report["sessions"][0]["id"] == session["id"]
    assert (await live.http.get("/v1/sessions")).json()["total"] == 1
    assert await shown(live, session["id"]) == said and len(said) == 9
    assert (await live.http.get("/v1/sessions/Mira - 1")).json()["chat_id"] == MEMORY_ID


@pytest.mark.parametrize("edited", [1, 2, 4])
@pytest.mark.parametrize("window", [5, 4])
async def test_an_imported_chat_goes_on_under_its_id_with_an_edit(
    live: Live, fake: FakeOpenAI, edited: int, window: int
) -> None:
    """What was edited away is told by no other session."""
    (session,) = (await put(live, chat(*MIRA)))["sessions"]
    said = [(who, "Rather this." if n == edited else text) for n, (who, text) in enumerate(SHOWN)]
    fake.script(says("Ines."))
    answer = await send(live, said[-window:], "What is her name?", **TAG)
    assert (answer.headers["x-session-id"], answer.headers["x-turn-change"]) == (session["id"], "edit")
    assert await shown(live, session["id"]) == [
        *said,
        ("user", "What is her name?"),
        ("assistant", "Ines."),
    ]
    assert (await live.http.get("/v1/sessions")).json()["total"] == 1


async def test_a_chat_that_was_live_under_an_id_gives_it_to_no_other(live: Live, fake: FakeOpenAI) -> None:
    await put(live, chat(*MIRA))
    fake.script(says("Ines."), says("Ada."))
    one = await send(live, SHOWN, "Name?", **TAG)
    said = [*SHOWN, ("user", "Name?"), ("assistant", "Ines.")]
    two = await send(live, said, "Sure?", metadata={"chat_id": "another"})
    assert one.headers["x-session-id"] != two.headers["x-session-id"]


async def test_another_line_of_an_imported_chat_is_a_session_of_its_own(live: Live, fake: FakeOpenAI) -> None:
    lines = [*MIRA, line("Alex", "And fog?", 6), line("Mira", "Worse.", 6)]
    (session,) = (await put(live, chat(*lines)))["sessions"]
    fake.script(says("Well."))
    answer = await send(live, SHOWN[:3], "Rather tell me a tale.", **TAG)
    assert answer.headers["x-session-id"] != session["id"]
    assert len(await shown(live, session["id"])) == 7
