"""An event of a long chat keeps nobody waiting."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from memory.align import align
from server.sessions import events
from tests.fakes.openai_server import FakeOpenAI
from tests.fakes.wire import says
from tests.server.live import Live, idle, until

FILE = "Mira - 1"
TAG = {"character": "Mira", "user_name": "Alex", "chat_file": FILE}


def chat(length: int) -> list[dict[str, str]]:
    return [{"role": ("assistant", "user")[n % 2], "content": f"Line {n} of the log."} for n in range(length)]


class Comparing:
    """An aligner that stands still, in a thread of its own as it should be, until it is let go."""

    def __init__(self) -> None:
        self.reached, self.open = threading.Event(), threading.Event()
        self.beside: list[bool] = []

    def __call__(self, *args: Any, **named: Any) -> Any:
        """Any: as `align` has them."""
        self.beside.append(threading.current_thread() is not threading.main_thread())
        self.reached.set()
        assert not self.beside[-1] or self.open.wait(60)
        return align(*args, **named)


@pytest.mark.parametrize("part", ["finding its session", "comparing it with what is stored"])
async def test_while_a_long_chat_is_compared_others_are_answered(
    live: Live, fake: FakeOpenAI, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    fake.script(says("Line 2 of the log."))
    asked = {"messages": chat(2), "metadata": {"chat_id": FILE, **TAG}}
    assert (await live.http.post("/v1/chat/completions", json=asked)).status_code == 200
    await idle(live)
    comparing = Comparing()
    if part == "finding its session":
        monkeypatch.setattr(live.resources.sessions._assigner, "_align", comparing)
    else:
        monkeypatch.setattr(events, "align", comparing)
    length = 1500
    body = {"type": "change", "messages": chat(length), **TAG}
    telling = asyncio.create_task(live.http.post(f"/v1/sessions/{FILE}/events", json=body))
    await until(comparing.reached.is_set)
    assert (await live.http.get("/health")).status_code == 200
    comparing.open.set()
    answer = await telling
    assert all(comparing.beside)
    assert (answer.status_code, answer.json()["messages"]) == (200, length)
