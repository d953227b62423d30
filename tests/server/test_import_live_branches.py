"""A chat and a branch of it, live in turns and imported in between: each file is one session, which shows that file."""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.fakes.openai_server import FakeOpenAI
from tests.fakes.wire import says
from tests.server.importing import MIRA, SHOWN, put, send, shown
from tests.server.live import Live
from tests.server.silly_files import chat, line

Message = dict[str, Any]  # Any: JSON


class Files:
    """A SillyTavern folder with chat A and its branch B; with `yaml` each makes an id at its first turn."""

    def __init__(self, live: Live, fake: FakeOpenAI, *, yaml: bool) -> None:
        self.live, self.fake, self.yaml = live, fake, yaml
        more = [line("Alex", "And gulls?", 6), line("Mira", "Noisy.", 7)]
        self.lines: dict[str, list[Message]] = {"A": [*deepcopy(MIRA), *more]}
        self.said = {"A": [*SHOWN, ("user", "And gulls?"), ("assistant", "Noisy.")]}
        self.variables: dict[str, dict[str, str]] = {"A": {}}
        self.turns = 0

    def branch(self, *, without: int) -> None:
        """B is A without its last messages, variables and all."""
        self.lines["B"], self.said["B"] = self.lines["A"][:-without], self.said["A"][:-without]
        self.variables["B"] = dict(self.variables["A"])

    async def chat(self, name: str) -> None:
        self.turns += 1
        text, reply = f"Line {self.turns} in {name}.", f"Answer {self.turns} in {name}."
        metadata: dict[str, str] = {}
        if self.yaml:
            made = self.variables[name].setdefault("memory_id", f"2026-11-23 18:2{self.turns} 77{self.turns}")
            metadata = {"chat_id": made, "gen_type": "normal", "character": "Mira", "user_name": "Alex"}
        self.fake.script(says(reply))
        await send(self.live, self.said[name], text, metadata=metadata)
        now = datetime.now(UTC).isoformat()
        self.lines[name] = [
            *self.lines[name],
            line("Alex", text, 8) | {"send_date": now},
            line("Mira", reply, 8) | {"send_date": now},
        ]
        self.said[name] = [*self.said[name], ("user", text), ("assistant", reply)]

    async def bring(self) -> None:
        """As a folder's import does: A, its branch, A once more."""
        for name in (*self.lines, *("A" for _ in self.lines if "B" in self.lines)):
            metadata = {"variables": self.variables[name]} | ({"main_chat": "A"} if name == "B" else {})
            header = {"chat_metadata": metadata, "user_name": "unused", "character_name": "unused"}
            file = chat(*self.lines[name], header=header)
            await put(self.live, file, f"default-user/chats/Mira/{name}.jsonl")

    async def are_the_sessions(self) -> None:
        """Those that are not left behind show a file each."""
        found = (await self.live.http.get("/v1/sessions")).json()["data"]
        paths = [await shown(self.live, session["id"]) for session in found if not session["left_behind"]]
        assert sorted(paths) == sorted(self.said.values())

    async def are_the_sessions_however_often_they_come(self) -> None:
        for _ in range(2):
            await self.bring()
            await self.are_the_sessions()


@pytest.mark.parametrize("yaml", [False, True], ids=["no id", "its own id"])
async def test_a_chat_that_a_branch_left_behind_is_one_again_by_its_file(
    live: Live, fake: FakeOpenAI, yaml: bool
) -> None:
    files = Files(live, fake, yaml=yaml)
    await files.bring()
    files.branch(without=4)
    await files.chat("B")
    await files.chat("B")
    await files.bring()
    await files.are_the_sessions()


async def test_a_branch_that_made_an_id_in_its_origins_session_keeps_it(live: Live, fake: FakeOpenAI) -> None:
    """The imported chat itself went on later, and made another one."""
    files = Files(live, fake, yaml=True)
    await files.bring()
    files.branch(without=2)
    for name in ("B", "B", "A"):
        await files.chat(name)
    await files.are_the_sessions_however_often_they_come()


async def test_an_imported_branch_goes_on_with_the_id_it_inherited(live: Live, fake: FakeOpenAI) -> None:
    files = Files(live, fake, yaml=True)
    await files.bring()
    await files.chat("A")
    files.branch(without=2)
    await files.bring()
    await files.chat("B")
    await files.chat("A")
    await files.bring()
    await files.are_the_sessions()


async def test_a_chat_that_went_on_beside_its_branch_without_an_id_is_one(
    live: Live, fake: FakeOpenAI
) -> None:
    files = Files(live, fake, yaml=False)
    await files.chat("A")
    await files.bring()
    files.branch(without=2)
    for name in ("B", "A", "B"):
        await files.chat(name)
    await files.are_the_sessions_however_often_they_come()
