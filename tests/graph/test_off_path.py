"""What is off the path changes nothing: the memories of a chat are those of a fresh replay of what it shows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any

import pytest

import models.embedding_queue
from graph.state import ChatMessage
from memory.path import Path
from tests.graph.conftest import Machine, open_machine

LINES = {
    3: "I met Ruth at the harbour in May, and Tobias Berg was with her.",
    4: "Ruth is a fine sailor.",
    9: "My sister Ines lives in Lisbon.",
    16: "Tobias gave me a compass yesterday.",
    17: "A compass from Tobias, how kind. Where did you get it?",
    22: "Did you write to Ruth when the lamp broke?",
    31: "I told Tobias that the lamp of the lighthouse is broken.",
    38: "A compass from Tobias, how kind. Where did you get it?",
}
QUESTIONS = (
    "Who gave me the compass, was it Tobias? And where did I meet Ruth?",
    "When did you meet Ruth?",
    "What did Tobias tell you about the lamp?",
    "Where does your sister live?",
    "*thinks of Ruth, of the harbour and of the compass*",
)
Said = tuple[str, str, str]
"""Role, name and text."""
RUTH: Said = ("user", "Ruth", "I am Ruth. I met Tobias Berg at the harbour, he gave me a compass!")
TOBIAS: Said = (
    "assistant",
    "Tobias Berg",
    "The compass, the harbour, the lamp: I told Ruth of the lamp in May.",
)
SHOUT: Said = ("user", "Alex", "Compass! Compass! The harbour! I hate you, Ruth, and your sister in Lisbon!")


@pytest.fixture(autouse=True)
def one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Vectors are made one at a time: which texts are read together changes them in the third decimal."""
    monkeypatch.setattr(models.embedding_queue, "BATCH_PIECES", 1)


@asynccontextmanager
async def two_machines(folder: FilePath) -> AsyncIterator[tuple[Machine, Machine]]:
    """One for the chat as it came about, one for the replay of what it shows."""
    settings = {"summarize_after_messages": 10_000}
    async with (
        open_machine(folder / "live", **settings) as live,
        open_machine(folder / "fresh", **settings) as fresh,
    ):
        yield live, fresh


def said(role: str, name: str, text: str) -> ChatMessage:
    return {"role": role, "name": name, "content": text}


def chat(length: int = 130) -> list[ChatMessage]:
    """Mira and Alex in turns."""
    who = (("assistant", "Mira"), ("user", "Alex"))
    return [
        said(*who[n % 2], LINES.get(n, f"Remark {n}: the tide comes in, {n * 7 % 11} gulls on the roof."))
        for n in range(length)
    ]


async def told(machine: Machine, *off_path: Said, elsewhere: bool = False) -> None:
    """The chat, in which once other lines stood after its sixth; nobody knows of them any more but the tree.

    Or they stood `elsewhere`, in somebody else's chat: what was told of tokens is the same then.
    """
    owner = "somebody else" if elsewhere else "local"
    stranger = replace(machine, session_id="elsewhere") if elsewhere else machine
    for n in range(len(off_path)):
        lines = [said(*one) for one in off_path[: n + 1]]
        newest = said("user", "Alex", f"Is that so, {n}?")
        await stranger.run([*machine.system, *chat()[:6], *lines, newest], owner=owner)
    machine.chat = chat()
    await machine.say("It rains again.")
    await machine.catch_up()


async def branched(machine: Machine, *, elsewhere: bool = False) -> None:
    """The chat, and a branch of it in which others speak; or that is somebody else's chat."""
    machine.chat = chat()
    await machine.say("It rains again.")
    session = await machine.session()
    assert session is not None
    branch = replace(machine, session_id="branch")
    lines = [*chat()[:6], *(said(*one) for one in (RUTH, TOBIAS, SHOUT))]
    if elsewhere:
        await branch.run([*machine.system, *lines], owner="somebody else")
    else:
        await branch.run([*machine.system, *lines], forked_from="chat", tree_id=session.key.tree_id)
    await machine.catch_up()


async def recalled(machine: Machine, of: Machine, **more: Any) -> list[Any]:
    """Everything that each question finds; messages by their places on the path of the chat `of`."""
    session = await of.session()
    assert session is not None
    path = Path(session.path.ranges)
    found: list[Any] = []
    for question in QUESTIONS:
        asked = said("user", "Alex", question)
        state = await machine.run([*machine.system, *machine.chat, asked], kind="quiet", **more)
        assert state["memories"], "a list of nothing is equal to any other"
        found.append({"history_from": state["history_from"]})
        for row in (*state["candidates"], *state["memories"]):
            halves = [half | {"ref": path.position(half["ref"])} for half in row.get("exchange", [])]
            found.append(without_times(row | {"ref": path.position(row["ref"]), "exchange": halves}))
    return found


def without_times(row: dict[str, Any]) -> dict[str, Any]:
    halves = [without_times(half) for half in row.get("exchange", [])]
    kept = {name: value for name, value in row.items() if name not in ("created_at", "tree_id")}
    return kept | {"exchange": halves}


async def speakers(machine: Machine) -> set[str]:
    """All who ever spoke in the chat's tree."""
    session = await machine.session()
    assert session is not None
    tree = await machine.resources.transcript.tree(session.key)
    return {*tree.speakers("user"), *tree.speakers("assistant")}


@pytest.mark.parametrize("off_path", [(RUTH,), (TOBIAS,), (SHOUT,), (RUTH, TOBIAS, SHOUT, RUTH)])
async def test_a_chat_recalls_what_its_replay_does_whoever_spoke_off_its_path(
    tmp_path: FilePath, off_path: tuple[Said, ...]
) -> None:
    async with two_machines(tmp_path) as (live, fresh):
        await told(live, *off_path)
        await told(fresh, *off_path, elsewhere=True)
        assert await speakers(live) == {"Mira", "Alex", *(name for _, name, _ in off_path)}
        assert await speakers(fresh) == {"Mira", "Alex"}
        assert await recalled(live, live) == await recalled(fresh, fresh)


async def test_a_chat_recalls_what_it_did_whoever_speaks_in_its_branch(tmp_path: FilePath) -> None:
    async with two_machines(tmp_path) as (live, fresh):
        await branched(live)
        await branched(fresh, elsewhere=True)
        assert await speakers(fresh) == {"Mira", "Alex"}
        assert await speakers(live) == {"Mira", "Alex", "Ruth", "Tobias Berg"}
        assert await recalled(live, live) == await recalled(fresh, fresh)


async def test_another_chat_is_recalled_as_its_replay_would_be(tmp_path: FilePath) -> None:
    async with two_machines(tmp_path) as (live, fresh):
        await told(live, RUTH, TOBIAS, SHOUT)
        await told(fresh, RUTH, TOBIAS, SHOUT, elsewhere=True)
        found = []
        for machine in (live, fresh):
            other = replace(machine, session_id="other", chat=[said("assistant", "Mira", "Who is there?")])
            await other.say("Only me.")
            found.append(await recalled(other, machine, memory="character"))
            assert {row["session_id"] for row in found[-1] if "ref" in row} == {"chat"}
        assert found[0] == found[1]
