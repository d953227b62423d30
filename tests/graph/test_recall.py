"""What is recalled of a stored chat: what bears on the moment, whole, once, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from graph.build import build_graph
from nodes.budget import SCENE_LEAST
from nodes.layout import MESSAGE_OVERHEAD
from tests.graph.conftest import Machine

SMALL = ("the fog", "the tide", "the gulls", "the east wind", "the lamp oil", "the stairs", "the kettle")


def remark(n: int) -> str:
    return f"It was {SMALL[n * 3 % 7]}, remark {n}, and after it {SMALL[n * 5 % 7]}."


async def told(machine: Machine, lines: dict[int, str], length: int = 160) -> None:
    """A stored chat of remarks, character and user in turns, with some lines in their places."""
    for n in range(length):
        role = ("assistant", "user")[n % 2]
        machine.chat.append({"role": role, "content": lines.get(n, remark(n))})
    await machine.say("It rains again.")
    await machine.catch_up()


def block(state: dict[str, Any]) -> list[str]:
    """The lines of the memory block."""
    found = [
        m["content"]
        for m, part in zip(state["prompt"], state["prompt_parts"], strict=True)
        if part == "memory"
    ]
    return "\n".join(found).split("\n")[1:]


@pytest.mark.parametrize(
    "line", ["*nods*", "Okay.", "*smiles softly and looks away* Good night.", "Thank you!"]
)
async def test_a_nod_or_a_greeting_recalls_nothing(machine: Machine, line: str) -> None:
    await told(machine, {7: "My sister Ines repairs clocks in Lisbon."})
    state = await machine.say(line)
    assert state["candidates"] == [] and "memory" not in state["prompt_parts"]


@pytest.mark.parametrize(
    "line", ["Explain quantum entanglement to me.", '*yawns* "How do I sort a list in Python?" *waits*']
)
async def test_a_question_about_something_else_recalls_nothing(machine: Machine, line: str) -> None:
    await told(machine, {7: "My sister Ines repairs clocks in Lisbon."})
    state = await machine.say(line)
    assert state["candidates"] and state["memories"] == []


async def test_an_answer_brings_the_question_that_it_answers(machine: Machine) -> None:
    question, answer = "What would you do if you left?", "Open a bakery in Porto, with blue tiles."
    await told(machine, {20: question, 21: answer})
    state = await machine.say("Which bakery did I want to open in Porto?")
    lines = block(state)
    at = next(n for n, line in enumerate(lines) if answer in line)
    assert question in lines[at - 1]
    assert [half["text"] for half in state["memories"][0]["exchange"]] == [question]


async def test_what_several_messages_say_alike_is_told_once(machine: Machine) -> None:
    said = "My sister Ines repairs clocks in Lisbon."
    await told(machine, {5: said, 31: said, 57: said})
    state = await machine.say("What does my sister Ines repair in Lisbon?")
    assert sum(said in line for line in block(state)) == 1


async def test_of_a_long_reply_the_sentences_around_the_hit_are_told(machine: Machine) -> None:
    filler = " ".join(
        f"The {n}th wave broke on the rocks below the tower and nobody counted it." for n in range(40)
    )
    fact = "She keeps the spare key of the lamp room under the blue stone."
    await told(machine, {20: f"{filler} {fact}"})
    state = await machine.say("Where does she keep the spare key of the lamp room?")
    [line] = [line for line in block(state) if fact in line]
    assert len(line) < len(filler) / 3 and "\u2026" in line


async def test_the_memories_in_the_prompt_are_those_that_the_state_names(machine: Machine) -> None:
    await told(machine, {7: "My sister Ines repairs clocks in Lisbon.", 41: "Ines fears the sea."})
    state = await machine.say("What do you know about my sister Ines?")
    lines = "\n".join(block(state))
    assert state["recalled"]
    for n, memory in enumerate(state["memories"]):
        assert (memory["text"] in lines) is (n in state["recalled"])


async def test_what_was_just_said_counts_where_the_line_is_no_question(machine: Machine) -> None:
    fact = "My father's boat, the Albatross, did not come back from the winter storm."
    await told(machine, {9: fact})
    machine.chat.append({"role": "assistant", "content": "*Mira points at the photo of the fishing boat.*"})
    machine.chat.insert(-1, {"role": "user", "content": "What is on that wall?"})
    state = await machine.say("*looks at the photo of the boat for a long time, the storm in mind*")
    assert fact in [m["text"] for m in state["memories"][:5]]
    assert fact in "\n".join(block(state))


@pytest.mark.parametrize("machine", [{"context_tokens": 8000, "max_working_memory_size": 2}], indirect=True)
async def test_a_question_is_answered_with_more_memories_than_a_scene(machine: Machine) -> None:
    await told(machine, {n: f"The storm of {n} took {n + 3} boats from us." for n in range(0, 120, 2)})
    machine.chat = machine.chat[-2:]
    asked = await machine.say("Which boats did the storm take from us?")
    scene = await machine.say("*thinks of the boats that the storm took from us*")
    assert 0 < scene["tokens"]["memory"] <= SCENE_LEAST + MESSAGE_OVERHEAD < asked["tokens"]["memory"]


class Longest:
    """A reranker that likes long texts."""

    name = "longest"

    async def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        return [float(len(text)) for text in texts]

    async def close(self) -> None:
        """Nothing to close."""


async def test_a_cross_encoder_puts_the_memories_in_its_own_order(machine: Machine) -> None:
    short, long = (
        "Ines repairs clocks.",
        "My sister Ines repairs clocks in Lisbon, old ones, with her own hands.",
    )
    await told(machine, {7: short, 41: long})
    resources = replace(machine.resources, reranker=Longest())
    machine.graph = build_graph(resources, checkpointer=resources.checkpointer)
    machine.chat.append({"role": "user", "content": "What does Ines repair?"})
    state = await machine.run([*machine.system, *machine.chat], kind="quiet")
    texts = [m["text"] for m in state["memories"]]
    assert texts == sorted(texts, key=len, reverse=True)
    assert texts.index(long) < texts.index(short)


async def test_a_rewound_turn_recalls_the_same(machine: Machine) -> None:
    await told(machine, {7: "My sister Ines repairs clocks in Lisbon."})
    first = await machine.say("What does my sister Ines repair?")
    machine.chat = machine.chat[:-2]
    again = await machine.say("What does my sister Ines repair?")
    assert [m["ref"] for m in first["memories"]] == [m["ref"] for m in again["memories"]]
