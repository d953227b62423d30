"""Tabs of one chat, each with the extension and a stale copy: memory is what the tab shows that told last."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest

from server.sessions.protocol import ChatEvent, EventType
from server.sillytavern import Markers
from tests.truth.chat import GREETING, Chat, Said
from tests.truth.front_end import Style, Wanted, request
from tests.truth.held import Kept
from tests.truth.lines import plain
from tests.truth.memory_under_test import Memory
from tests.truth.texts import Texts

ACTIONS = 25
FILE = "Mira - 2026-11-22@10h04m05s123ms"


class Tabs:
    """Pages that show one chat as each of them loaded or changed it."""

    def __init__(self, memory: Memory, seed: int, tabs: int) -> None:
        self.memory, self.rng = memory, Random(seed)
        self.texts = Texts(self.rng)
        self.tabs = [Chat(["Mira"], FILE, said=[Said("assistant", "Mira", [GREETING])]) for _ in range(tabs)]
        self.saved = 0
        """Which of them wrote the chat's file last."""

    async def act(self) -> None:
        """Something that a user does in one of the tabs; the first time a message in the first."""
        tab = self.rng.choice(self.tabs) if len(self.tabs[0].said) > 1 else self.tabs[0]
        match self.rng.randrange(6):
            case 0 if len(tab.visible) > 2:
                for said in tab.visible[1:][-self.rng.randrange(1, 6) :]:
                    said.gone = True
                await self.tell(tab, "delete")
            case 1 if len(tab.visible) > 1:
                self.rng.choice(tab.visible).swipes = [self.texts.new(common=False)]
                await self.tell(tab, "edit")
            case 2:
                file = self.tabs[self.saved].visible
                tab.said = [Said(one.role, one.speaker, [one.text]) for one in file]
                await self.tell(tab, "open")
            case _:
                await self.send(tab)

    async def send(self, tab: Chat) -> None:
        """A message, asked for with a window of the chat's end, and the reply told with the whole chat."""
        tab.said.append(Said("user", "Alex", [self.texts.new()]))
        window, reply = tab.visible[-self.rng.choice([5, 12, 40]) :], self.texts.new()
        body = request(tab, window, Style(), Wanted("normal", "Mira"), "extension")
        kept = await self.memory.ask(body, {}, [reply], Markers())
        tab.said.append(Said("assistant", "Mira", [reply]))
        assert kept is not None and _lines(kept)[-len(window) - 1 :] == _shown([*window, tab.said[-1]])
        await self.tell(tab, "reply")

    async def tell(self, tab: Chat, kind: EventType) -> None:
        """The tab writes the file and tells what it shows: memory is that, in one session."""
        self.saved = self.tabs.index(tab)
        shown = [{"role": s.role, "name": s.speaker, "content": s.text} for s in tab.visible]
        who = {"character": "Mira", "user_name": "Alex", "chat_file": FILE}
        event = ChatEvent.model_validate({"type": kind, "messages": shown, **who})
        kept = await self.memory.tell(FILE, event)
        page = await self.memory.transcript.sessions("local")
        assert [s.chat_id for s in page.sessions] == [FILE] * (kept is not None)
        assert kept is None or _lines(kept) == _shown(tab.visible)
        assert kept is None or not kept.session.left_behind


def _shown(said: Sequence[Said]) -> list[tuple[str, str]]:
    return [(one.role, plain(one.text)) for one in said]


def _lines(kept: Kept) -> list[tuple[str, str]]:
    return [(message.role, plain(message.text)) for message in kept.path]


@pytest.mark.parametrize("seed", range(30))
async def test_memory_is_the_tab_that_told_last_in_one_session(tmp_path: Path, seed: int) -> None:
    memory = await Memory.open(tmp_path)
    try:
        tabs = Tabs(memory, seed, tabs=2 + seed % 2)
        for _ in range(ACTIONS):
            await tabs.act()
    finally:
        await memory.close()
