"""What a browser test acts on: SillyTavern's page, our server behind it, and the provider behind that."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.browser.front_end import FrontEnd
from tests.browser.our_server import Memory, Remembered
from tests.browser.provider import Provider
from tests.browser.relay import Recording, running_relay


@dataclass(frozen=True, slots=True)
class Stage:
    """One SillyTavern with a chat open."""

    tavern: FrontEnd
    memory: Memory
    provider: Provider

    def shown(self) -> list[tuple[str, str]]:
        """Role and text of what the open chat shows to a model."""
        return [(line.role, line.text) for line in self.tavern.chat() if not line.hidden]

    def spoken(self) -> list[Remembered]:
        """The same with who spoke."""
        return [Remembered(one.role, one.name, one.text) for one in self.tavern.chat() if not one.hidden]

    def of_this_chat(self) -> list[Remembered]:
        """What our server holds of the chat with the open chat's id; nothing where it has no session."""
        return self.memory.messages(self.tavern.chat_id())

    def remembered(self) -> list[tuple[str, str]]:
        """Role and text of what our server holds of the session used last."""
        return [(one.role, one.text) for one in self.memory.messages(self.memory.newest())]

    @contextmanager
    def told(self) -> Iterator[None]:
        """Await that the extension has told what the chat shows after what is done within the block."""
        with self.tavern.page.expect_response(
            lambda answer: answer.url.endswith("/events") and answer.request.method == "POST"
        ):
            yield

    @contextmanager
    def recorded(self, yaml: str) -> Iterator[Recording]:
        """The requests made within the block, with `yaml` as Include Body Parameters."""
        with running_relay(self.memory.url) as recording:
            self.tavern.include(yaml)
            self.tavern.set_endpoint(recording.url)
            yield recording
            self.tavern.set_endpoint(f"{self.memory.url}/v1")
            self.tavern.include("")
