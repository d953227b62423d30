"""The fake provider in a thread of its own, for tests that are not asynchronous themselves."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.fakes.openai_server import FakeOpenAI
from tests.fakes.wire import Fail, Hang, Request, Say, says

PATIENCE = 60.0


class Provider:
    """Scripts the fake and reads what it was asked. Without a script no two replies are the same."""

    def __init__(self, fake: FakeOpenAI, loop: asyncio.AbstractEventLoop) -> None:
        self.url = fake.url
        self._fake = fake
        self._loop = loop

    def will_say(self, *pieces: str) -> None:
        """Answer the next call with this text."""
        self._fake.script(says(*pieces))

    def will_hang_after(self, *pieces: str) -> None:
        """Answer the next call with this text, and never end."""
        self._fake.script([*map(Say, pieces), Hang()])

    def will_refuse(self, reason: str) -> None:
        """Answer the next call with an error that is not worth another try."""
        self._fake.script(Fail(400, {"error": {"message": reason, "type": "invalid_request_error"}}))

    def prompts(self) -> list[list[dict[str, Any]]]:  # Any: chat messages
        """The messages of every call, oldest call first."""
        return [call.body["messages"] for call in self.calls()]

    def calls(self) -> list[Request]:
        """Every call as it came, oldest first."""
        return list(self._fake.calls)

    def await_call(self, number: int) -> None:
        """Await the call with this number, counted from 1."""
        deadline = time.monotonic() + PATIENCE
        while len(self._fake.calls) < number:
            assert time.monotonic() < deadline, f"call {number} did not come"
            time.sleep(0.01)

    def await_left(self) -> None:
        """Await that the client of the newest call has closed the connection."""
        left = self._fake.calls[-1].left.wait()
        asyncio.run_coroutine_threadsafe(left, self._loop).result(PATIENCE)


@contextmanager
def running_provider() -> Iterator[Provider]:
    """A provider that listens on loopback; ends with the block."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    fake = FakeOpenAI()
    try:
        asyncio.run_coroutine_threadsafe(fake.__aenter__(), loop).result(PATIENCE)
        yield Provider(fake, loop)
    finally:
        asyncio.run_coroutine_threadsafe(fake.__aexit__(None, None, None), loop).result(PATIENCE)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
