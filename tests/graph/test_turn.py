"""A turn through the graph: what reaches the provider, what is stored, and what is left alone."""

from __future__ import annotations

import re
from typing import Any

import pytest

from graph.checkpoints import thread
from graph.errors import ContextOverflow, PromptTooLong, ProviderUnavailable
from tests.fakes.wire import Call, Fail, Finish, Say, says
from tests.graph.conftest import CARD, MAIN, Machine

FACT = "My sister Ines repairs clocks in Lisbon."
OVERFLOW = Fail(
    400,
    {
        "error": {
            "message": "This model's maximum context length is 2000 tokens.",
            "type": "invalid_request_error",
            "code": "context_length_exceeded",
        }
    },
)


async def long_chat(machine: Machine, messages: int) -> None:
    """A stored chat with the fact in its third message, embedded."""
    machine.chat += [
        {"role": "assistant", "content": "*Mira sets the kettle down.* You are late."},
        {"role": "user", "content": "Good evening."},
        {"role": "user", "content": FACT},
    ]
    for i in range(3, messages):
        role = "user" if i % 2 else "assistant"
        machine.chat.append({"role": role, "content": f"Line {i}: the harbour, the tide and the weather."})
    await machine.say("It rains again.")
    await machine.catch_up()


async def test_a_fact_from_message_3_of_300_is_in_the_prompt_at_the_end(machine: Machine) -> None:
    await long_chat(machine, 300)
    state = await machine.say("What does my sister Ines do, and where does she live?")
    sent = "\n".join(m["content"] for m in machine.prompt())
    assert FACT in sent
    assert len(machine.prompt()) < 120
    assert state["tokens"]["prompt"] + state["tokens"]["response"] <= state["tokens"]["context"]


async def test_every_system_message_is_sent_byte_for_byte_in_its_order(machine: Machine) -> None:
    await long_chat(machine, 60)
    note = {"role": "system", "content": "  A note,\n\twith odd   spacing… 🌊\n"}
    last = {"role": "system", "content": "[Keep replies under 80 words.]"}
    messages = [MAIN, CARD, *machine.chat[:-1], note, {"role": "user", "content": "Hello?"}, last]
    await machine.run(messages)
    systems = [m["content"] for m in machine.prompt() if m["role"] == "system"]
    assert systems == [m["content"] for m in (MAIN, CARD, note, last)]


async def test_the_memory_stands_directly_before_the_last_user_message(machine: Machine) -> None:
    await long_chat(machine, 120)
    state = await machine.say("Tell me about Ines.")
    place = state["prompt_parts"].index("memory")
    assert state["prompt_parts"][place + 1] == "newest"
    assert machine.prompt()[place]["role"] == "user"
    told = machine.prompt()[place]["content"].split("\n")
    assert any(line.startswith("- Alex: ") for line in told)
    assert any(re.fullmatch(r"\d{4}-\d\d-\d\d:", line) for line in told)


async def test_nothing_that_stands_in_the_prompt_is_recalled_too(machine: Machine) -> None:
    await long_chat(machine, 120)
    await machine.say("The tide, the harbour and the weather, please.")
    lines = [m["content"] for m in machine.prompt()]
    for line in (m["content"] for m in machine.chat[-30:-2]):
        assert sum(line in sent for sent in lines) <= 1, line


async def test_one_forward_pass_stands_before_the_first_token(machine: Machine) -> None:
    await long_chat(machine, 120)
    passes: list[int] = []
    before = machine.resources.embedder.forward_passes
    machine.provider.reply = lambda n, request: (
        passes.append(machine.resources.embedder.forward_passes) or says("Yes.")
    )
    await machine.say("What does my sister do for a living?")
    assert passes == [before + 1]


async def test_an_unembedded_message_is_found_by_its_words(machine: Machine) -> None:
    machine.chat += [{"role": "user", "content": FACT}, {"role": "assistant", "content": "Noted."}]
    for i in range(100):
        role = "user" if i % 2 == 0 else "assistant"
        machine.chat.append({"role": role, "content": f"Line {i}: the harbour, the tide and the weather."})
    await machine.say("It rains again.")
    assert machine.resources.embedder.forward_passes <= 1
    await machine.say("What does my sister Ines do?")
    assert any(FACT in m["content"] for m in machine.prompt())


async def test_a_retry_makes_the_old_reply_a_sibling_that_is_not_recalled(machine: Machine) -> None:
    await machine.say("Hello Mira.")
    first = (await machine.path())[-1]
    machine.chat.pop()
    machine.provider.script(says("Another answer."))
    state = await machine.run([*machine.system, *machine.chat])
    path = await machine.path()
    assert state["change"] == "retry"
    assert [m.text for m in path] == ["Hello Mira.", "Another answer."]
    assert first.parent == path[-1].parent and first.id != path[-1].id


async def test_the_same_turn_again_stores_nothing_twice(machine: Machine) -> None:
    machine.provider.script(says("The same."), says("The same."))
    await machine.say("Hello Mira.")
    ids = [m.id for m in await machine.path()]
    machine.chat.pop()
    await machine.run([*machine.system, *machine.chat])
    assert [m.id for m in await machine.path()] == ids


async def test_continue_puts_the_longer_text_in_the_replys_place(machine: Machine) -> None:
    machine.provider.script(says("Once upon"), says(" a time."))
    await machine.say("Tell me a story.")
    marker = {"role": "system", "content": "[Continue your last message without repeating it.]"}
    await machine.run([*machine.system, *machine.chat, marker], kind="continue")
    assert [m.text for m in await machine.path()] == ["Tell me a story.", "Once upon a time."]


async def test_what_an_earlier_turn_was_is_not_inherited(machine: Machine) -> None:
    await machine.say("Tell me a story.")
    await machine.run([*machine.system, *machine.chat], kind="continue", sampling={"min_p": 0.1})
    graph, config = machine.graph, thread("local", "chat")
    await graph.ainvoke({"messages": [{"role": "user", "content": "Plain."}]}, config)
    state = (await graph.aget_state(config)).values
    assert (state["kind"], state["sampling"], state["continues"]) == ("normal", {}, None)
    assert "min_p" not in machine.provider.calls[-1].body


@pytest.mark.parametrize("kind", ["quiet", "impersonate", "raw", "test"])
async def test_what_is_no_chat_turn_writes_nothing(machine: Machine, kind: Any) -> None:
    await machine.say("Hello Mira.")
    before = await machine.session()
    messages = [*machine.system, *machine.chat, {"role": "system", "content": "List three objects."}]
    await machine.run(messages, kind=kind)
    assert await machine.session() == before


async def test_quiet_reads_memory_and_raw_goes_straight_to_the_model(machine: Machine) -> None:
    await long_chat(machine, 120)
    question = {"role": "user", "content": "What does Ines do in Lisbon?"}
    await machine.run([*machine.system, *machine.chat, question], kind="quiet")
    assert any(FACT in m["content"] for m in machine.prompt())
    await machine.run([question], kind="raw")
    assert machine.prompt() == [question]


async def test_memory_can_be_off_for_a_run(machine: Machine) -> None:
    await long_chat(machine, 120)
    await machine.say("What does my sister Ines do in Lisbon?", memory="off")
    assert not any(FACT in m["content"] for m in machine.prompt())


async def test_tool_calls_pass_and_are_not_remembered(machine: Machine) -> None:
    machine.provider.script([Call('{"sides": 6}', id="call_1", name="roll"), Finish("tool_calls")])
    state = await machine.say(
        "Roll a die.", sampling={"tools": [{"type": "function", "function": {"name": "roll"}}]}
    )
    assert state["replies"][0]["finish_reason"] == "tool_calls"
    assert [m.role for m in await machine.path()] == ["user"]


async def test_tool_results_count_and_fall_out_with_their_call(machine: Machine) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    result = {"role": "tool", "tool_call_id": "c1", "content": "alpha beta gamma delta " * 400}
    machine.chat = [
        {"role": "user", "content": "Look around."},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        result,
        {"role": "assistant", "content": "A harbour."},
    ]
    state = await machine.say("And now?")
    assert state["tokens"]["prompt"] + state["tokens"]["response"] <= state["tokens"]["context"]
    assert not any(m["role"] == "tool" or m.get("tool_calls") for m in machine.prompt())
    machine.chat = [*machine.chat[:2], result]
    with pytest.raises(PromptTooLong):
        await machine.run([*machine.system, *machine.chat])


async def test_the_memory_stands_before_a_newest_message_without_text(machine: Machine) -> None:
    await long_chat(machine, 120)
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    messages = [*machine.system, *machine.chat, {"role": "user", "content": [picture]}]
    state = await machine.run(messages)
    assert state["prompt_parts"][-2:] == ["memory", "newest"]
    assert state["prompt"][-1]["content"] == [picture]


async def test_an_answer_is_never_asked_to_be_longer_than_the_window(machine: Machine) -> None:
    state = await machine.say("Hello.", sampling={"max_tokens": 100_000})
    sent = machine.provider.calls[-1].body["max_tokens"]
    assert sent == state["tokens"]["context"] - state["tokens"]["prompt"]
    await machine.say("Hello.", sampling={"max_tokens": 100})
    assert machine.provider.calls[-1].body["max_tokens"] == 100


async def test_n_answers_are_siblings_and_the_first_is_the_path(machine: Machine) -> None:
    machine.provider.script(says("One."), says("Two."))
    state = await machine.say("Hello.", sampling={"n": 2})
    path = await machine.path()
    assert path[-1].text == state["replies"][0]["text"]
    swipe = await machine.resources.transcript.messages(
        (await machine.session()).key,
        state["stored"]["reply_ids"][1:],  # type: ignore[union-attr]
    )
    assert swipe[0].parent == path[-1].parent
    assert "n" not in machine.provider.calls[-1].body


async def test_a_card_that_cannot_fit_says_by_how_much(machine: Machine) -> None:
    machine.system = [{"role": "system", "content": "Mira " * 4000}]
    with pytest.raises(PromptTooLong, match=r"\d+ tokens too many.*Shorten the card") as error:
        await machine.say("Hello.")
    assert error.value.over > 1000
    machine.system.clear()
    with pytest.raises(PromptTooLong, match=r"\d+ tokens too many.*lower the front-end's context size"):
        await machine.run([{"role": "user", "content": "Mira: Hello. " * 4000}])
    assert await machine.session() is None
    assert not machine.provider.calls


async def test_an_overflow_is_tried_once_more_with_half_the_history(machine: Machine) -> None:
    await long_chat(machine, 40)
    machine.provider.script(OVERFLOW)
    await machine.say("Hello?")
    tried, sent = machine.prompt(-2), machine.prompt(-1)
    assert len(sent) < len(tried)
    assert sent[-1] == tried[-1] and sent[:2] == tried[:2]
    machine.provider.script(OVERFLOW, OVERFLOW)
    calls = len(machine.provider.calls)
    with pytest.raises(ContextOverflow):
        await machine.say("And now?")
    assert len(machine.provider.calls) == calls + 2


async def test_an_empty_answer_is_an_error_and_stores_nothing(machine: Machine) -> None:
    machine.provider.script([Say(""), Finish()])
    with pytest.raises(ProviderUnavailable, match="empty answer"):
        await machine.say("Hello?")
    assert await machine.session() is None


@pytest.mark.parametrize("machine", [{"summarize_after_messages": 4, "context_tokens": 600}], indirect=True)
async def test_summaries_stand_in_for_what_fell_out_of_the_prompt(machine: Machine) -> None:
    machine.provider.reply = lambda n, request: (
        says("Alex told Mira about Ines.")
        if b"Summarise the following" in request.raw
        else says(f"Reply {n}.")
    )
    for i in range(16):
        await machine.say(f"Line {i}: the harbour, the tide and the weather, and more of it.")
        await machine.catch_up()
    prompts = [machine.prompt(call) for call in (-2, -1)]
    places = [
        i for prompt in prompts for i, m in enumerate(prompt) if "told Mira about Ines." in m["content"]
    ]
    assert places == [len(machine.system)]


async def test_a_failing_summary_is_never_shown_to_the_user(machine: Machine) -> None:
    machine.provider.reply = lambda n, request: (
        Fail(500) if b"Summarise the following" in request.raw else says(f"Reply {n}.")
    )
    for i in range(12):
        await machine.say(f"Line {i}.")
        await machine.catch_up()
    session = await machine.session()
    assert session is not None
    jobs = await machine.resources.transcript.jobs(session.key, limit=10, now=float("inf"))
    assert [job.kind for job in jobs] == ["summarise"]
    assert jobs[0].attempts >= 1


async def test_history_shows_every_turn_and_time_travel_takes_another_road(machine: Machine) -> None:
    config = thread("local", "chat")
    for text in ("First.", "Second.", "Third."):
        await machine.say(text)
    history = [s async for s in machine.graph.aget_state_history(config)]
    ends = [s for s in history if not s.next]
    assert [s.values["newest"] for s in ends] == ["Third.", "Second.", "First."]
    machine.chat = machine.chat[:2]
    machine.chat.append({"role": "user", "content": "Another second."})
    turn = {"messages": [*machine.system, *machine.chat]}
    await machine.graph.ainvoke(turn, ends[-1].config)
    assert [m.text for m in await machine.path()][:3][-1] == "Another second."
    assert len(await machine.path()) == 4


async def test_the_last_turn_rewound_with_another_reply_replaces_it(machine: Machine) -> None:
    config = thread("local", "chat")
    turn = {"messages": [*machine.system, {"role": "user", "content": "Hello."}]}
    await machine.graph.ainvoke(turn, config, durability="sync")
    history = [s async for s in machine.graph.aget_state_history(config)]
    before_model = next(s for s in history if s.next == ("generate",))
    machine.provider.script(says("Another reply."))
    await machine.graph.ainvoke(None, before_model.config)
    session = await machine.resources.transcript.session("local", "chat")
    assert session is not None
    messages = await machine.resources.transcript.messages(session.key, list(session.path))
    assert [m.text for m in messages] == ["Hello.", "Another reply."]
