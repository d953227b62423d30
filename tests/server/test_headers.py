"""Headers of ours hold text as clients write it: in UTF-8, or in Latin-1."""

from __future__ import annotations

import pytest

from tests.fakes.openai_server import FakeOpenAI
from tests.server.live import Live, said

NAMES = ["Café 1", "Łódź — 渡し場", "🗼"]


async def in_chat(live: Live, path: str = "", **headers: bytes) -> str:
    """The chat id of the session that a turn goes to."""
    answer = await live.http.post(
        f"{path}/v1/chat/completions",
        json={"messages": said("Hello there.", "Hm?", "It is me."), "model": "default"},
        headers=[(name.replace("_", "-").encode(), value) for name, value in headers.items()],
    )
    assert answer.status_code == 200, answer.text
    session = (await live.http.get(f"/v1/sessions/{answer.headers['x-session-id']}")).json()
    return str(session["chat_id"])


@pytest.mark.parametrize("name", NAMES)
async def test_a_chat_id_is_the_same_in_a_header_and_in_the_path(
    live: Live, fake: FakeOpenAI, name: str
) -> None:
    assert await in_chat(live, x_chat_id=name.encode()) == name
    assert await in_chat(live, path=f"/c/{name}") == name
    assert (await live.http.get("/v1/sessions")).json()["total"] == 1


async def test_a_header_that_is_no_utf8_is_read_as_latin1(live: Live, fake: FakeOpenAI) -> None:
    assert await in_chat(live, x_chat_id="Café 1".encode("latin-1")) == "Café 1"


async def test_every_header_of_ours_is_read_so(live: Live, fake: FakeOpenAI) -> None:
    for name in ("x-memory-scope", "x-memory-emotion", "x-explain"):
        answer = await live.http.post(
            "/v1/chat/completions",
            json={"messages": said("Hello.")},
            headers=[(name.encode(), "überall".encode())],
        )
        assert answer.status_code == 400
        assert "'überall'" in answer.json()["error"]["message"]
