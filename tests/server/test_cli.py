"""The command line: what it says, and that a person's mistake is one clear line."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import socket
import sqlite3
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from graph.settings import Settings
from server.cli import main
from server.version import VERSION
from tests.fakes.openai_server import FakeOpenAI
from tests.fakes.wire import Fail, Hang, Say, says
from tests.server.live import Live, idle, said, serving, stored
from tests.server.process import command, ended, environment, server_process

CARD = {
    "spec": "chara_card_v2",
    "spec_version": "2.0",
    "data": {
        "name": "Mira",
        "description": "{{char}} keeps a lighthouse.",
        "first_mes": "*Mira waves.* Hello, {{user}}.",
        "post_history_instructions": "Be brief.",
    },
}

WITHOUT_ANTHROPIC = pytest.mark.skipif(
    find_spec("langchain_anthropic") is not None, reason="the extra is installed here"
)

Cli = Callable[..., Coroutine[Any, Any, tuple[int, str, str]]]


@pytest.fixture
def cli(
    settings: Settings,
    fake: FakeOpenAI,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Cli:
    """Run a command in this process: exit code, stdout, stderr."""
    for name, value in environment(settings, fake).items():
        monkeypatch.setenv(name, value)

    async def run(*args: str, stdin: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        code = await asyncio.to_thread(main, args)
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def card(tmp_path: Path) -> str:
    path = tmp_path / "mira.json"
    path.write_text(json.dumps(CARD))
    return str(path)


def assert_one_line(err: str, *words: str) -> None:
    assert err.count("\n") == 1 and "Traceback" not in err
    assert all(word in err for word in words), err


async def turn(live: Live, *texts: str) -> None:
    body = {"messages": said(*texts), "metadata": {"chat_id": "c1"}}
    assert (await live.http.post("/v1/chat/completions", json=body)).status_code == 200
    await idle(live)


async def test_version_and_help_come_without_loading_anything(capsys: pytest.CaptureFixture[str]) -> None:
    for args in (["--version"], ["--help"], ["chat", "--help"]):
        with pytest.raises(SystemExit) as left:
            main(args)
        assert left.value.code == 0
    out = capsys.readouterr().out
    assert VERSION in out and "serve" in out and "--card" in out


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("PORT", "99999", ("PORT", "65535")),
        ("VECTOR_STORE", "faiss", ("VECTOR_STORE", "exact", "chroma")),
        ("RAG_TOKEN_PERCENT", "26", ("RAG_TOKEN_PERCENT", "100")),
        ("DB_PATH", __file__, ("DB_PATH", __file__)),
        ("DB_PATH", f"{__file__}/below", ("DB_PATH", __file__)),
        ("OPENAI_BASE_URL", "http://user:se/cret@host", ("OPENAI_BASE_URL", "***@host")),
        pytest.param("LLM", "anthropic:claude", ("anthropic", "pip install"), marks=WITHOUT_ANTHROPIC),
    ],
)
async def test_a_wrong_setting_stops_the_start_with_its_name_and_what_is_allowed(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: tuple[str, ...]
) -> None:
    monkeypatch.setenv(name, value)
    code, _, err = await cli("serve")
    assert code == 2
    assert_one_line(err, *words)


async def test_a_busy_data_folder_names_the_process_that_holds_it(cli: Cli, live: Live) -> None:
    for args in (("serve",), ("reindex",)):
        code, _, err = await cli(*args)
        assert code == 2
        assert_one_line(err, str(os.getpid()), live.url, "DB_PATH")


async def test_a_second_process_on_the_same_data_folder_is_refused(
    settings: Settings, fake: FakeOpenAI
) -> None:
    env = environment(settings, fake)
    async with server_process(env) as server:
        code, _, err = await ended(await command("serve", env=env))
        assert code == 2
        assert_one_line(err, str(server.process.pid), server.url)
        assert (await server.http.get("/health")).status_code == 200


async def test_a_busy_port_is_one_line(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = str(taken.getsockname()[1])
        monkeypatch.setenv("PORT", port)
        code, _, err = await cli("serve")
    assert code == 2
    assert_one_line(err, port, "PORT")


async def test_data_of_a_newer_version_is_left_alone(cli: Cli, settings: Settings) -> None:
    settings.db_path.mkdir()
    with closing(sqlite3.connect(settings.db_path / "catalog.sqlite")) as newer:
        newer.execute("PRAGMA user_version = 1000")
    code, _, err = await cli("serve")
    assert code == 2
    assert_one_line(err, "catalog.sqlite", "1000")


async def test_serve_says_in_one_screen_what_runs_and_what_to_paste(
    settings: Settings, fake: FakeOpenAI
) -> None:
    async with server_process(environment(settings, fake)) as server:
        for words in ("stub-model", "all-MiniLM-L6-v2", str(settings.db_path), f"{server.url}/v1"):
            assert words in server.screen
        assert "Custom (OpenAI-compatible)" in server.screen
        assert len(server.screen.splitlines()) <= 24


async def test_sessions_are_listed_shown_and_deleted_over_the_running_server(cli: Cli, live: Live) -> None:
    assert (await cli("sessions"))[1] == "No chats yet.\n"
    await turn(live, "Hello [bold]there[/]")
    code, out, _ = await cli("sessions")
    assert code == 0 and "c1" in out
    code, out, _ = await cli("sessions", "show", "c1")
    assert code == 0 and "Hello [bold]there[/]" in out
    code, out, _ = await cli("sessions", "delete", "c1")
    assert code == 0 and "2 messages" in out
    code, _, err = await cli("sessions", "show", "c1")
    assert code == 2
    assert_one_line(err, "c1")


async def test_characters_of_one_name_are_listed_with_their_avatars(cli: Cli, settings: Settings) -> None:
    async with serving(settings) as live:
        for avatar in ("Mira", "Mira_1"):
            told = {"chat_id": "Main", "character": "Mira", "avatar": f"{avatar}.png"}
            body = {"messages": said(f"I ask {avatar}."), "metadata": told}
            assert (await live.http.post("/v1/chat/completions", json=body)).status_code == 200
        await idle(live)
        served = (await cli("sessions"))[1]
    opened = (await cli("sessions"))[1]
    assert served == opened and opened.count("Mira (Mira_1)") == 1
    assert "I ask Mira_1." in (await cli("sessions", "show", "Mira_1/Main"))[1]


async def test_sessions_and_reindex_work_without_a_server(cli: Cli, settings: Settings) -> None:
    async with serving(settings) as live:
        await turn(live, "The key is blue.")
    (settings.db_path / "catalog.sqlite").unlink()
    code, out, _ = await cli("reindex")
    assert code == 0 and "1 chats, 2 vectors." in out
    code, out, _ = await cli("sessions", "show", "c1")
    assert code == 0 and "The key is blue." in out
    async with serving(settings) as live:
        assert await live.resources.codes.count() == 2


@pytest.mark.parametrize("args", [["sessions"], ["sessions", "show", "c1"], ["export", "--all", "-o", "x"]])
async def test_what_only_reads_loads_no_models_and_starts_no_server(
    settings: Settings, fake: FakeOpenAI, args: list[str]
) -> None:
    async with serving(settings) as live:
        await turn(live, "The key is blue.")
    code = (
        f"import sys; from server.cli import main; left = main({args!r}); "
        "print(left, *({'torch', 'transformers', 'langgraph', 'fastapi', 'uvicorn'} & set(sys.modules)))"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code),
        env=environment(settings, fake) | {"PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert out.decode().splitlines()[-1] == "0"


async def test_chat_talks_to_the_running_server_as_a_front_end_does(
    cli: Cli, live: Live, fake: FakeOpenAI, card: str
) -> None:
    fake.script(says("Good", " evening."), says("Good morning."), says("I do."))
    code, out, err = await cli(
        *("chat", "--card", card, "--name", "Alex", "--session", "c1"),
        stdin="Hi there\n/retry\nYou keep [i]lights[/]?\n/help\n/quit\n",
    )
    assert code == 0 and err == ""
    assert "*Mira waves.* Hello, Alex." in out and "Good morning." in out and "--session c1" in out
    assert [text for _, text in await stored(live, "c1")] == [
        "*Mira waves.* Hello, Alex.",
        "Hi there",
        "Good morning.",
        "You keep [i]lights[/]?",
        "I do.",
    ]
    prompt = [message["content"] for message in fake.calls[2].body["messages"]]
    assert any("Mira keeps a lighthouse." in text for text in prompt) and "Be brief." in prompt[-1]


async def test_a_command_that_there_is_not_is_not_said_to_the_character(
    cli: Cli, live: Live, fake: FakeOpenAI
) -> None:
    code, out, _ = await cli("chat", "--session", "c1", stdin="/nope [b]x[/]\n/quit\n")
    assert code == 0 and "no command /nope" in out and "/help" in out
    assert not fake.calls and await stored(live, "c1") == []


async def test_chat_takes_a_session_up_again(cli: Cli, live: Live, card: str) -> None:
    await cli("chat", "--card", card, "--session", "c1", stdin="Hi there\n")
    before = await stored(live, "c1")
    code, out, _ = await cli("chat", "--card", card, "--session", "c1", stdin="Again\n")
    assert code == 0 and before[-1][1] in out
    assert (await stored(live, "c1"))[:3] == before


async def test_chat_shows_an_error_and_goes_on(cli: Cli, live: Live, fake: FakeOpenAI) -> None:
    fake.script(Fail(500, {"error": {"message": "oops"}}), says("Better."))
    code, out, _ = await cli("chat", "--session", "c1", stdin="Hi\nAgain\n")
    assert code == 0 and "Better." in out


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """What is started in the background ignores Ctrl-C and hands that down; here it works as in a terminal."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
async def test_chat_starts_a_server_of_its_own_and_ctrl_c_stops_an_answer(
    settings: Settings, fake: FakeOpenAI, card: str
) -> None:
    fake.script([Say("Once "), Hang()], says("Yes."))
    args = ("chat", "--card", card, "--name", "Alex", "--session", "c1")
    process = await command(*args, env=environment(settings, fake))
    assert process.stdin and process.stdout
    process.stdin.write(b"Tell me a story\n")
    await process.stdin.drain()
    screen = b""
    while b"Once" not in screen:
        piece = await process.stdout.read(1)
        assert piece, (await ended(process))[2]
        screen += piece
    process.send_signal(signal.SIGINT)
    await asyncio.wait_for(fake.calls[0].left.wait(), 10)
    process.stdin.write(b"Are you there?\n/quit\n")
    code, out, err = await ended(process)
    assert code == 0 and err == "" and "stopped" in out and "Yes." in out
    async with serving(settings) as live:
        assert [text.strip() for _, text in await stored(live, "c1")][1:] == [
            "Tell me a story",
            "Once",
            "Are you there?",
            "Yes.",
        ]


async def test_a_card_that_is_none_is_one_line(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("hello")
    for name in ("note.txt", "missing.png"):
        code, _, err = await cli("chat", "--card", str(tmp_path / name))
        assert code == 2
        assert_one_line(err)
