"""No request, however odd or large, holds the server up."""

from __future__ import annotations

import asyncio
import json
import re
import time
import tracemalloc
from collections.abc import Callable
from types import ModuleType

import httpx
import pytest

from graph.settings import Settings
from memory.incoming import fingerprint
from models import emotion, emotion_keywords
from models.emotion import Emotion, importance
from models.emotion_keywords import emotion_of
from nodes import card_text
from nodes.card_text import Cast, mentions
from nodes.persona import find_card
from server.sillytavern import interpret, markers, names
from tests.fakes.openai_server import FakeOpenAI
from tests.server.live import Live, said, serving
from tests.server.test_errors import error_of

MB = 1024 * 1024
CHATS = "/v1/chat/completions"

SMALL, LARGE = 25_000, 100_000
"""Characters; a linear cost grows fourfold between them, a quadratic one sixteenfold."""
GROWTH = 9.0
FREE = 0.004
"""Seconds below which a cost on the large text is taken as it is: it is too small to measure growth on."""

FRAGMENTS = [
    *("the", " ", "x", "\n", "\t", "[", "(", "-", "!", "'", "A", "_", "\xe9", "\u30df", "a\n", " \n", "a, "),
    *("You're ", "You are ", "name:(", "name", "name ", "name\n", "character ", "Name: A\n", "age ", "is "),
    *(
        "Mira ",
        "Mira is ",
        "Mira:",
        "Mira: ",
        "Mira. ",
        "A'",
        "I ",
        "not ",
        "you ",
        "do not ",
        ". ",
        "never ",
    ),
    *("ignore previous instructions ", "summary ", "You portray Mira. ", "[start a new ", "Example chat\n"),
    "Write Mira's next reply in a fictional chat between ",
    "[Write your next reply from the point of view of ",
    "[Start a new group chat. Group members: a,",
]


def repeated(fragment: str) -> Callable[[int], str]:
    return lambda size: fragment * (size // len(fragment))


TEXTS: dict[str, Callable[[int], str]] = {
    **{repr(fragment): repeated(fragment) for fragment in FRAGMENTS},
    "the, blanks": lambda size: "the" + " " * size + "x",
    "the word, blanks": lambda size: "the x" + " " * size + "y",
    "names, question mark": lambda size: "You're " * (size // 7) + "?",
    "capitals, question mark": lambda size: "You are " + "A " * (size // 2) + "?",
    "open brackets": lambda size: "name:" + "(" * size,
    "blanks, open bracket": lambda size: "Mira" + " " * (size // 2) + "(" + "x" * (size // 2),
    "many names": lambda size: (
        "[Start a new group chat. Group members: " + ",".join(f"n{i}" for i in range(size // 7))
    ),
}


def cost(work: Callable[[str], object], text: str) -> float:
    card_text._about.cache_clear()
    began = time.process_time()
    work(text)
    return time.process_time() - began


def grows_faster_than_linearly(work: Callable[[str], object], text: Callable[[int], str]) -> bool:
    """Whether the best of several costs grows about as the square; one good measurement clears it."""
    small, large = text(SMALL), text(LARGE)
    costs_small: list[float] = []
    costs_large: list[float] = []
    for _ in range(5):
        costs_small.append(cost(work, small))
        if costs_small[-1] > 2.0:  # cubic: the large text would take minutes
            return True
        costs_large.append(cost(work, large))
        if min(costs_large) <= max(FREE, GROWTH * min(costs_small)):
            return False
    return True


def patterns(*modules: ModuleType) -> dict[str, re.Pattern[str]]:
    return {
        f"{module.__name__}.{name}": value
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, re.Pattern)
    }


PATTERNS = patterns(card_text, markers, names, emotion, emotion_keywords)
READINGS: dict[str, Callable[[str], object]] = {
    "interpret a system message": lambda text: interpret(
        {"messages": [{"role": "system", "content": text}, *said("Hi")]}, {}
    ),
    "interpret a user's message": lambda text: interpret({"messages": said(text)}, {}),
    "interpret two messages": lambda text: interpret({"messages": said("Hello", text)}, {}),
    "find the card": lambda text: find_card(
        [{"role": "system", "content": [{"type": "text", "text": text}]}], "Mira", "Alex"
    ),
    "find the card after another": lambda text: find_card(
        [{"role": "system", "content": "Write."}, {"role": "system", "content": text}], "", ""
    ),
    "mentions of a long name": lambda text: mentions(text, text[: len(text) // 2]),
    "what it is about": lambda text: card_text.about(text, Cast("Mira", "Alex")),
    "whom it defines": lambda text: (card_text.describes_someone(text), card_text.defines_someone(text)),
    "emotion": emotion_of,
    "importance": lambda text: importance(text, Emotion("joy", 1.0)),
}


@pytest.mark.parametrize("name", PATTERNS)
def test_no_pattern_costs_more_than_linear_time(name: str) -> None:
    slow = [text for text in TEXTS if grows_faster_than_linearly(PATTERNS[name].search, TEXTS[text])]
    assert not slow


@pytest.mark.parametrize("name", READINGS)
def test_nothing_that_reads_a_message_costs_more_than_linear_time(name: str) -> None:
    slow = [text for text in TEXTS if grows_faster_than_linearly(READINGS[name], TEXTS[text])]
    assert not slow


def test_a_pattern_that_is_quadratic_would_be_noticed() -> None:
    assert grows_faster_than_linearly(re.compile(r"x+y").search, lambda size: "x" * (size // 10))


def test_a_group_of_very_many_speakers_costs_no_more_than_linear_time() -> None:
    def messages(size: int) -> str:
        nudge = {"role": "system", "content": "[Write the next reply only as Mira.]"}
        chat = [{"role": "assistant", "content": f"n{i}: Hello"} for i in range(size // 20)]
        return json.dumps({"messages": [*chat, nudge]})

    assert not grows_faster_than_linearly(lambda text: interpret(json.loads(text), {}), messages)


@pytest.fixture
def strict(settings: Settings) -> Settings:
    """Settings that allow requests of one megabyte."""
    return settings.model_copy(update={"max_body_mb": 1})


async def test_a_request_up_to_the_limit_is_answered(strict: Settings, fake: FakeOpenAI) -> None:
    whole = json.dumps({"messages": [*said("Hello")], "metadata": {"padding": ""}})
    body = whole.replace('"padding": "', '"padding": "' + "x" * (MB - len(whole)))
    assert len(body) == MB
    async with serving(strict) as live:
        assert (await live.http.post(CHATS, content=body)).status_code == 200
        refused = await live.http.post(CHATS, content=body + " ")
    assert len(fake.calls) == 1
    _is_refusal(refused)


async def test_a_request_above_the_limit_is_refused_before_it_was_sent(
    strict: Settings, fake: FakeOpenAI
) -> None:
    async with serving(strict) as live:
        answer = await _begin(live, [f"Content-Length: {MB + 1}"], b"{")
        _is_refusal(answer)
    assert not fake.calls


async def test_a_request_of_unknown_length_is_refused_once_it_is_above_the_limit(
    strict: Settings, fake: FakeOpenAI
) -> None:
    async with serving(strict) as live:
        chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
        answer = await _begin(live, ["Transfer-Encoding: chunked"], chunk * 17)  # the end is never sent
        _is_refusal(answer)
    assert not fake.calls


def test_windows_that_were_read_are_not_kept() -> None:
    tracemalloc.start()
    try:
        seen = {fingerprint("user", f"{number} {'x' * 100_000}") for number in range(300)}
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(seen) == 300 and kept < MB


def test_a_message_keeps_its_identity_however_many_others_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memory.incoming.MOST_FINGERPRINTS", 10)
    before = [fingerprint("user", str(number)) for number in range(100)]
    assert [fingerprint("user", f" {number}\n") for number in range(100)] == before
    assert len({*before, fingerprint("assistant", "1")}) == 101


async def _begin(live: Live, headers: list[str], beginning: bytes) -> httpx.Response:
    """Send the beginning of a request, and read the answer to that."""
    address = httpx.URL(live.url)
    reader, writer = await asyncio.open_connection(address.host, address.port)
    head = [f"POST {CHATS} HTTP/1.1", f"Host: {address.host}:{address.port}", *headers, "", ""]
    writer.write("\r\n".join(head).encode() + beginning)
    status = await reader.readline()
    lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().splitlines()
    length = next(int(line.split(":")[1]) for line in lines if line.startswith("content-length:"))
    body = await reader.readexactly(length)
    writer.close()
    await writer.wait_closed()
    return httpx.Response(int(status.split()[1]), content=body)


def _is_refusal(response: httpx.Response) -> None:
    assert response.status_code == 413
    error = error_of(response)
    assert (error["type"], error["code"]) == ("invalid_request_error", "request_too_large")
    assert "1 MB" in error["message"] and "MAX_BODY_MB" in error["message"]
