"""The newest message is embedded once a turn, and from the moment at which it is known what it asks."""

from __future__ import annotations

from typing import Any

import pytest

from graph.checkpoints import thread
from graph.context import TurnContext
from graph.state import Turn
from tests.fakes.waited_for import waited_for
from tests.fakes.wire import Fail
from tests.graph.conftest import Machine


@pytest.fixture
def asked(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that somebody waits for, as they are asked for."""
    return waited_for(machine.resources.embedder, monkeypatch)


async def test_a_text_is_asked_for_once_whatever_stands_before_it(machine: Machine, asked: list[str]) -> None:
    machine.chat += [{"role": "user", "content": "Hello."}, {"role": "assistant", "content": "You are late."}]
    for n in range(5):
        await machine.say(f"The harbour master, Ines, lost lantern {n}.")
        assert len(asked) == n + 1
        assert asked[-1].endswith(f"lantern {n}.")
        if n % 2:
            await machine.catch_up()
    assert asked[0].split("\n")[:2] == ["Hello.", "You are late."], "what is new is read with the newest"
    assert "\n" not in asked[4]


async def test_it_begins_before_the_card_is_read(machine: Machine, asked: list[str]) -> None:
    await machine.say("Good evening, Mira.")
    question = "What did the harbour master lose?"
    turn = Turn(
        [*machine.system, *machine.chat, {"role": "user", "content": question}],
        session_id="chat",
        character="Mira",
        user_name="Alex",
    )
    seen: dict[str, list[str]] = {}
    stream: Any = machine.graph.astream(  # Any: LangGraph's stream
        turn.as_input(), thread("local", "chat"), context=TurnContext(), stream_mode="updates"
    )
    async for update in stream:
        seen |= {node: list(asked) for node in update}
    assert seen["persona"][-1] == question
    assert asked.count(question) == 1


async def test_nothing_is_embedded_where_nothing_is_recalled(machine: Machine, asked: list[str]) -> None:
    await machine.say("What did the harbour master lose?", memory="off")
    await machine.say("*nods* Okay.")
    await machine.say("What did the harbour master lose?", kind="raw")
    assert asked == []


async def test_a_question_is_embedded_for_a_turn_that_is_not_stored(
    machine: Machine, asked: list[str]
) -> None:
    await machine.say("What did the harbour master lose?", kind="quiet")
    assert len(asked) == 1


async def test_a_turn_that_fails_leaves_nothing_begun_for_the_next(
    machine: Machine, asked: list[str]
) -> None:
    machine.provider.script(Fail(500, {"error": {"message": "down"}}))
    with pytest.raises(Exception, match="down"):
        await machine.say("The lantern is lost.")
    machine.chat.pop()
    await machine.say("Who lost the lantern?")
    assert asked == ["The lantern is lost.", "Who lost the lantern?"]
