"""What nobody says is recalled too: the card where the request has none, summaries, and lore that belongs here."""

from __future__ import annotations

import pytest

from graph.context import Filter
from graph.state import ChatMessage
from memory.library import Book, LoreEntry, Scope
from memory.stored import TreeKey
from tests.graph.conftest import CARD, Machine

LORE = "The blue stone on the north pier hides the key of the lamp room."


async def long_chat(machine: Machine) -> None:
    for i in range(160):
        role = "user" if i % 2 == 0 else "assistant"
        machine.chat.append({"role": role, "content": f"Line {i}: the harbour, the tide and the weather."})
    await machine.say("It rains again.")
    await machine.catch_up()


def sent(machine: Machine) -> str:
    return "\n".join(m["content"] for m in machine.prompt())


async def test_lore_of_the_character_is_found_and_lore_of_another_is_not(machine: Machine) -> None:
    library = machine.resources.library
    library.put_book("local", Book("coast", [LoreEntry("1", LORE)], "Mira"), 0.0)
    other = LoreEntry("1", "The blue stone in the desert hides the key of a tomb.")
    library.put_book("local", Book("desert", [other], "Tom"), 0.0)
    off = LoreEntry("2", "The blue stone hides the key of nothing at all.", enabled=False)
    library.put_book("local", Book("off", [off], "Mira"), 0.0)
    await long_chat(machine)
    await machine.say("Which key does the blue stone on the north pier hide?")
    assert LORE in sent(machine)
    assert other.content not in sent(machine) and off.content not in sent(machine)


@pytest.mark.parametrize(
    ("scope", "target", "is_found"),
    [("global", "", True), ("persona", "Alex", True), ("persona", "Robin", False), ("extra", "Tom", False)],
)
async def test_lore_for_everything_and_for_the_persona_is_found(
    machine: Machine, scope: Scope, target: str, is_found: bool
) -> None:
    library = machine.resources.library
    library.put_book("local", Book("coast", [LoreEntry("1", LORE)]), 0.0)
    library.bind("local", "coast", scope, target)
    await long_chat(machine)
    await machine.say("Which key does the blue stone on the north pier hide?")
    assert (LORE in sent(machine)) == is_found


async def test_what_the_request_shows_is_not_told_again(machine: Machine) -> None:
    machine.resources.library.put_book("local", Book("coast", [LoreEntry("1", LORE)], "Mira"), 0.0)
    await long_chat(machine)
    machine.system = [*machine.system, {"role": "system", "content": f"World info:\n{LORE}"}]
    await machine.say("Which key does the blue stone on the north pier hide?")
    assert sent(machine).count(LORE) == 1


async def test_the_card_is_recalled_where_the_request_has_none(machine: Machine) -> None:
    await long_chat(machine)
    machine.system = []
    state = await machine.say("Is the keeper of the lighthouse forgetful about dates?")
    assert state["card"], "the chat knows its card"
    assert any(m["kind"] == "card" for m in state["memories"])
    assert str(CARD["content"])[:40] in sent(machine)


async def test_a_filter_leaves_them_out(machine: Machine) -> None:
    machine.resources.library.put_book("local", Book("coast", [LoreEntry("1", LORE)], "Mira"), 0.0)
    await long_chat(machine)
    question = "Which key does the blue stone on the north pier hide?"
    await machine.say(question, only=Filter(kinds=("message",)))
    assert LORE not in sent(machine)


async def test_a_summary_is_recalled_unless_it_stands_in_the_prompt(machine: Machine) -> None:
    await long_chat(machine)
    session = await machine.session()
    assert session is not None
    text = "Alex told Mira that his sister Ines repairs clocks in Lisbon."
    over = [[session.path[0], session.path[9]]]
    key: TreeKey = session.key
    job = await machine.resources.transcript.enqueue_summary(key, "chat", over)
    await machine.resources.transcript.add_summary(key, over, text, "model:stub", job)
    question: ChatMessage = {"role": "user", "content": "What does my sister Ines repair in Lisbon?"}
    state = await machine.run([*machine.system, *machine.chat, question], kind="quiet")
    assert any(m["kind"] == "summary" for m in state["memories"])
    assert sent(machine).count(text) == 1
