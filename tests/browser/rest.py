"""Knows when SillyTavern's page is at rest: every wait in the browser tests is for such a condition."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Page

WATCH = """async () => {
    const script = await import('/script.js');
    const { eventSource, event_types } = SillyTavern.getContext();
    const test = globalThis.browserTest = { ended: 0, opened: 0, noted: 0, streamed: '' };
    test.last = () => SillyTavern.getContext().chat.at(-1);
    test.idle = () => !script.isGenerating() && !script.isChatSaving && script.swipeState === 'none'
        && document.body.dataset.generating !== 'true'
        && (script.streamingProcessor === null || script.streamingProcessor.isStopped);
    eventSource.on(event_types.GENERATION_ENDED, () => { test.ended++; });
    eventSource.on(event_types.GENERATION_STARTED, () => { test.streamed = ''; });
    eventSource.on(event_types.STREAM_TOKEN_RECEIVED, text => { test.streamed = text; });
    eventSource.on(event_types.CHAT_CHANGED, () => { test.opened++; });
    eventSource.on(event_types.CHARACTER_EDITED, () => { test.noted++; });
}"""
"""Counts ended generations, opened chats and characters whose open chat was noted. `idle` means that
SillyTavern does nothing more with it: it shows the end of a reply before it lets go of it, and loses a next
reply that is begun in between."""
OPENED = """({ opened, noted }) => browserTest.opened > opened && browserTest.last() && browserTest.idle()
    && (noted === null || SillyTavern.getContext().groupId || browserTest.noted > noted)"""


class Rest:
    """Waits on one page; `watch` must have been called since it was loaded."""

    def __init__(self, page: Page) -> None:
        self._page = page

    def watch(self) -> None:
        """Await that the page is loaded, connected and welcomes its user, and begin to count."""
        self.until("globalThis.SillyTavern?.getContext && !document.querySelector('#preloader')")
        self.until("SillyTavern.getContext().onlineStatus !== 'no_connection'")
        self.welcomed()
        self._page.evaluate(WATCH)

    def welcomed(self) -> None:
        """Await the welcome, which SillyTavern shows where no chat is open.

        It would go on writing it into a chat that was opened meanwhile.
        """
        self.until("SillyTavern.getContext().chat.some(one => one.extra?.type === 'assistant_message')")

    def until(self, condition: str, arg: Any = None) -> None:  # Any: what JavaScript can be given
        """Await that a JavaScript expression, or function of `arg`, is true."""
        self._page.wait_for_function(condition, arg=arg)

    def idle(self) -> None:
        self.until("browserTest.idle()")

    def streamed(self, ending: str) -> None:
        """Await that the reply under way ends with this so far."""
        self.until("text => browserTest.streamed.endsWith(text)", ending)

    @contextmanager
    def generated(self) -> Iterator[None]:
        """Await that a generation begun within the block has ended."""
        before = self._page.evaluate("browserTest.ended")
        yield
        self.until("n => browserTest.ended > n && browserTest.idle()", before)

    @contextmanager
    def opened(self, *, noted: bool = True) -> Iterator[None]:
        """Await that the chat opened within the block is there, and `noted` in its character's card.

        SillyTavern notes it up to a second later, reads the card anew, and would go on under that chat's name
        in whichever chat was opened meanwhile.
        """
        before = self._page.evaluate("({ opened: browserTest.opened, noted: browserTest.noted })")
        yield
        self.until(OPENED, before if noted else before | {"noted": None})

    @contextmanager
    def swiped(self) -> Iterator[None]:
        """Await that another reply of those that exist is on show."""
        before = self._page.evaluate("browserTest.last().swipe_id")
        yield
        self.until("n => browserTest.last().swipe_id !== n && browserTest.idle()", before)

    def length(self, messages: int) -> None:
        """Await that the chat has so many messages."""
        self.until("n => SillyTavern.getContext().chat.length === n && browserTest.idle()", messages)

    def hidden(self, index: int, hidden: bool) -> None:
        """Await that a message is, or is not, hidden."""
        condition = "([at, is]) => SillyTavern.getContext().chat[at].is_system === is && browserTest.idle()"
        self.until(condition, [index, hidden])
