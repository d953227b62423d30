"""LLM=PROVIDER:NAME for the providers of init_chat_model."""

import shlex
import sys
from collections.abc import AsyncIterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from langchain.chat_models import init_chat_model

from graph.errors import Blocked, ProviderBusy, ProviderDenied, ProviderError, ProviderTimeout, SettingsError
from models.chat import ChatModel, Delta, Usage
from models.chat_any import AnyUpstream
from models.chat_calls import LiveChat
from tests.fakes.chats import HELLO, opened, read, text
from tests.fakes.openai_server import FakeOpenAI
from tests.fakes.wire import Behaviour, Call, Count, Fail, Finish, Hang, Say, says

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("provider", ["anthropic", "ollama"])
async def test_a_missing_extra_stops_the_start_with_the_pip_command(provider: str) -> None:
    if find_spec(f"langchain_{provider}"):
        pytest.skip("the extra is installed")
    with pytest.raises(SettingsError) as raised:
        async with opened(llm=f"{provider}:some-model"):
            pass
    command = shlex.split(str(raised.value).split("needs a package: ")[1])
    assert command == [sys.executable, "-m", "pip", "install", "-e", f"{ROOT}[{provider}]"]
    assert f"\n{provider} = [" in (ROOT / "pyproject.toml").read_text()


async def test_another_missing_package_is_named_too() -> None:
    with pytest.raises(SettingsError, match="pip install langchain-groq"):
        async with opened(llm="groq:llama"):
            pass


async def test_an_unknown_provider_stops_the_start() -> None:
    with pytest.raises(SettingsError, match="LLM=nobody:x"):
        async with opened(llm="nobody:x"):
            pass


async def test_a_missing_key_stops_the_start_with_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZURE_OPENAI_API_KEY", raising=False)
    with pytest.raises(SettingsError, match="AZURE_OPENAI"):
        async with opened(llm="azure_openai:gpt-5"):
            pass


@pytest.fixture
async def fake() -> AsyncIterator[FakeOpenAI]:
    async with FakeOpenAI() as server:
        yield server


def neutral(fake: FakeOpenAI, **upstream: Any) -> ChatModel:
    """A model of LangChain's, used as one of any provider; this one happens to speak OpenAI's protocol."""
    model = init_chat_model(
        "stub-model",
        model_provider="openai",
        base_url=fake.url,
        api_key="sk-secret-secret",
        stream_usage=True,
        max_retries=0,
    )
    return LiveChat(
        AnyUpstream(model, "neutral", "stub-model", **{"idle_timeout": 10.0, **upstream}),
        context_tokens=1000,
        at_once=5,
        retries=0,
        base_delay=0.001,
    )


async def test_roles_alternate_and_no_system_text_is_lost(fake: FakeOpenAI) -> None:
    messages = [
        {"role": "system", "content": "Card"},
        {"role": "developer", "content": "[Start a new Chat]"},
        {"role": "assistant", "content": "Greeting"},
        {"role": "user", "content": "Hello"},
        {"role": "system", "content": "note"},
    ]
    await read(neutral(fake), messages)
    assert [(m["role"], m["content"]) for m in fake.calls[0].body["messages"]] == [
        ("system", "Card"),
        ("user", "[Start a new Chat]"),
        ("assistant", "Greeting"),
        ("user", "Hello\n\nnote"),
    ]


async def test_fields_that_the_class_has_are_set_for_the_call(fake: FakeOpenAI) -> None:
    look = {"type": "function", "function": {"name": "look", "description": "", "parameters": {}}}
    sampling = {
        "temperature": 0.5,
        "max_tokens": 20,
        "stop": "END",
        "min_p": 0.1,
        "tools": [look],
        "tool_choice": {"type": "function", "function": {"name": "look"}},
    }
    chat = neutral(fake)
    await read(chat, sampling=sampling)
    await read(chat)
    body = fake.calls[0].body
    assert (body["temperature"], body["max_completion_tokens"], body["stop"]) == (0.5, 20, ["END"])
    assert body["tools"][0]["function"]["name"] == body["tool_choice"]["function"]["name"] == "look"
    assert "min_p" not in body
    assert not {"temperature", "stop", "tools"} & fake.calls[1].body.keys()


async def test_the_answer_comes_out_in_deltas(fake: FakeOpenAI) -> None:
    fake.script([Say("Hm. "), Call("{", 1, "c1", "look"), Call("}", 1), Finish("tool_calls"), Count(7, 3)])
    deltas = await read(neutral(fake))
    assert text(deltas) == "Hm. "
    assert [call for delta in deltas for call in delta.tool_calls] == [
        {"index": 0, "id": "c1", "type": "function", "function": {"name": "look", "arguments": "{"}},
        {"index": 0, "function": {"arguments": "}"}},
    ]
    assert deltas[-1] == Delta(finish_reason="tool_calls", usage=Usage(7, 3), model="stub-model")


async def test_failures_are_told_apart(fake: FakeOpenAI) -> None:
    chat = neutral(fake, idle_timeout=0.1)
    cases: list[tuple[Behaviour, type[ProviderError]]] = [
        (Fail(401, {"error": {"message": "bad key sk-secret-secret"}}), ProviderDenied),
        (Fail(429, {"error": {"message": "slow down"}}), ProviderBusy),
        ([Hang()], ProviderTimeout),
        ([Finish("content_filter")], Blocked),
    ]
    for behaviour, error in cases:
        fake.script(behaviour)
        with pytest.raises(error) as raised:
            await read(chat)
        assert "sk-secret" not in str(raised.value)


async def test_closing_an_answer_closes_the_connection(fake: FakeOpenAI) -> None:
    fake.script([*says("Once"), Hang()])
    stream = neutral(fake).stream(HELLO)
    await anext(stream)
    await stream.aclose()
    await fake.calls[0].left.wait()
