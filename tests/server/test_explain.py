"""Why a memory is in the prompt is told when it is asked for; a request may narrow what is recalled."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.fakes.openai_server import FakeOpenAI
from tests.fakes.wire import says
from tests.server.live import Live, idle, said

FACT = "My sister Ines repairs clocks in Lisbon."
QUESTION = "What does my sister Ines do in Lisbon?"
TAG = {"character": "Mira", "user_name": "Alex", "kind": "normal"}


def body(chat_id: str, *texts: str, **metadata: Any) -> dict[str, Any]:
    """A request; the answer's memories come from all of the character's chats."""
    card = {"role": "system", "content": "Mira is the keeper of a lighthouse. Mira is dry and loyal."}
    tag = TAG | {"chat_id": chat_id, "memory_scope": "character"} | metadata
    return {"model": "stub-model", "messages": [card, *said(*texts)], "metadata": tag}


@pytest.fixture
async def told(live: Live, fake: FakeOpenAI) -> Live:
    """A server that was told the fact in another chat."""
    fake.script(says("Clocks. How dull."))
    await live.http.post("/v1/chat/completions", json=body("first", FACT))
    await idle(live)
    return live


def prompt(fake: FakeOpenAI) -> str:
    return "\n".join(m["content"] for m in fake.calls[-1].body["messages"])


@pytest.mark.parametrize("asked", [{"header": "1"}, {"metadata": True}])
async def test_the_answer_tells_every_memory_in_the_prompt_and_what_put_it_there(
    told: Live, fake: FakeOpenAI, asked: dict[str, Any]
) -> None:
    headers = {"X-Explain": asked["header"]} if "header" in asked else {}
    request = body("second", QUESTION, **({"explain": True} if "metadata" in asked else {}))
    answer = (await told.http.post("/v1/chat/completions", json=request, headers=headers)).json()
    assert answer["memories"][0]["text"] == FACT
    for memory in answer["memories"]:
        assert memory["text"] in prompt(fake)
        assert sum(memory["why"].values()) == pytest.approx(memory["score"], abs=0.2)


async def test_without_being_asked_nothing_is_told(told: Live) -> None:
    answer = await told.http.post("/v1/chat/completions", json=body("second", QUESTION))
    assert "memories" not in answer.json()


async def test_a_stream_tells_it_in_its_last_chunk_and_openais_client_passes_over_it(told: Live) -> None:
    request = body("second", QUESTION)
    lines = []
    async with told.http.stream(
        "POST", "/v1/chat/completions", json=request | {"stream": True}, headers={"X-Explain": "1"}
    ) as answer:
        lines = [line async for line in answer.aiter_lines() if line]
    assert lines[-1] == "data: [DONE]"
    last = json.loads(lines[-2].removeprefix("data: "))
    assert last["choices"] == [] and last["memories"][0]["text"] == FACT
    stream = await told.openai.chat.completions.create(
        **body("third", QUESTION), stream=True, extra_headers={"X-Explain": "1"}
    )
    text = "".join([c.choices[0].delta.content or "" async for c in stream if c.choices])
    assert text


@pytest.mark.parametrize(
    ("only", "recalled"),
    [
        ({"role": "user"}, True),
        ({"role": "assistant"}, False),
        ({"speaker": "alex"}, True),
        ({"speaker": "Mira"}, False),
        ({"since": 4_000_000_000}, False),
        ({"until": 4_000_000_000}, True),
        ({"emotion": "anger"}, False),
        ({"kinds": ["message"]}, True),
        ({"kinds": ["card"]}, False),
    ],
)
async def test_a_filter_narrows_what_is_recalled(
    told: Live, fake: FakeOpenAI, only: dict[str, Any], recalled: bool
) -> None:
    await told.http.post("/v1/chat/completions", json=body("second", QUESTION, memory_filter=only))
    assert (FACT in prompt(fake)) is recalled


@pytest.mark.parametrize(
    ("metadata", "param"),
    [
        ({"memory_filter": {"role": "narrator"}}, "metadata.memory_filter.role"),
        ({"memory_filter": {"moon": 1}}, "metadata.memory_filter.moon"),
        ({"memory_filter": "user"}, "metadata.memory_filter"),
        ({"memory_emotion": "sad"}, "metadata.memory_emotion"),
        ({"explain": "perhaps"}, "metadata.explain"),
    ],
)
async def test_what_is_not_understood_is_refused_by_name(
    live: Live, fake: FakeOpenAI, metadata: dict[str, Any], param: str
) -> None:
    answer = await live.http.post("/v1/chat/completions", json=body("first", "Hello.", **metadata))
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param
    assert not fake.calls


async def test_the_seeds_rule_counts_equal_emotions(told: Live) -> None:
    glad = "I am so happy, my sister Ines repairs clocks in Lisbon, what joy! Is she happy in Lisbon?"
    await told.http.post("/v1/chat/completions", json=body("glad", glad))
    await idle(told)
    parts = {}
    for mode in ("seed", "off"):
        request = body(f"asking {mode}", glad.replace("so", "very"), memory_emotion=mode, explain=True)
        answer = (await told.http.post("/v1/chat/completions", json=request)).json()
        parts[mode] = {name for memory in answer["memories"] for name in memory["why"]}
    assert "same_emotion" in parts["seed"]
    assert not {"same_emotion", "mood"} & parts["off"]
