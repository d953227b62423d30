"""What of a chat stands in the prompt where the front-end's window does not begin with its first message."""

from __future__ import annotations

from tests.graph.conftest import Machine


async def said(machine: Machine, turns: int) -> None:
    """Exchanges of about equal length."""
    for n in range(turns):
        await machine.say(f"Tell me more about the storm of year {1900 + n}.", memory="off")


async def shown_from(machine: Machine, first: int, text: str) -> dict[str, int]:
    """Say something with the window beginning at message `first`; where the prompt's history begins, and ended."""
    machine.chat.append({"role": "user", "content": text})
    state = await machine.run([*machine.system, *machine.chat[first:]], memory="off")
    machine.chat.append({"role": "assistant", "content": state["replies"][0]["text"]})
    sent = [m["content"] for m in machine.prompt() if m["role"] != "system"]
    assert sent == [m["content"] for m in machine.chat[state["history_from"] : -1]]
    return {"from": state["history_from"], "path": len(await machine.path())}


async def test_where_the_window_slides_the_prompt_begins_where_it_began(machine: Machine) -> None:
    await said(machine, 15)
    begins = [await shown_from(machine, 2 * n, f"And what came after part {n}?") for n in range(1, 6)]
    assert [one["from"] for one in begins] == [2] * 5
    assert begins[-1]["path"] == len(machine.chat)


async def test_the_oldest_messages_that_were_hidden_do_not_come_back_into_the_prompt(
    machine: Machine,
) -> None:
    await said(machine, 15)
    assert (await shown_from(machine, 6, "What now?"))["from"] == 6
    assert (await shown_from(machine, 6, "And then?"))["from"] == 6


async def test_hidden_ones_do_not_come_back_where_others_have_fallen_out_before(machine: Machine) -> None:
    await said(machine, 15)
    for n in (2, 4):
        await shown_from(machine, n, f"And what came after part {n}?")
    assert (await shown_from(machine, 14, "What now?"))["from"] == 14
    assert (await shown_from(machine, 14, "And then?"))["from"] == 14
    assert (await shown_from(machine, 18, "And then?"))["from"] == 18


async def test_a_front_end_that_is_given_less_room_slides_again(machine: Machine) -> None:
    await said(machine, 15)
    await shown_from(machine, 2, "And what came first?")
    begins = [(await shown_from(machine, 14 + 2 * n, f"And part {n}?"))["from"] for n in range(12)]
    assert begins[:2] == [14, 16] and begins[-2] == begins[-3] == begins[-4], begins
