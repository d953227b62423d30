"""What a browser test acts on: SillyTavern's page, our server behind it, and the provider behind that."""

from __future__ import annotations

from dataclasses import dataclass

from tests.browser.front_end import FrontEnd
from tests.browser.our_server import Memory
from tests.browser.provider import Provider


@dataclass(frozen=True, slots=True)
class Stage:
    """One SillyTavern with a chat open."""

    tavern: FrontEnd
    memory: Memory
    provider: Provider

    def shown(self) -> list[tuple[str, str]]:
        """Role and text of what the open chat shows to a model."""
        return [(line.role, line.text) for line in self.tavern.chat() if not line.hidden]

    def remembered(self) -> list[tuple[str, str]]:
        """Role and text of what our server holds of the session used last."""
        return [(one.role, one.text) for one in self.memory.messages(self.memory.newest())]
