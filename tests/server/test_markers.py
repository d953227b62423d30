"""Marker texts that a user edited in SillyTavern are recognised once the settings name them."""

from __future__ import annotations

from typing import Any

import pytest

from graph.settings import load_settings
from server.sillytavern import DEFAULT, Interpretation, Markers, interpret, markers_of
from tests.fakes.openai_server import FakeOpenAI
from tests.server.live import serving

GERMAN = {
    "marker_continue": "[Schreib weiter, ab: {{lastChatMessage}}]",
    "marker_impersonate": "[Antworte als {{user}}, im Stil von {{user}}.]",
    "marker_group_nudge": "[Antworte nur als {{char}}.]",
    "marker_new_chat": "[Neuer Chat]",
    "marker_new_group_chat": "[Neue Gruppe. Dabei: {{group}}]",
    "marker_example_chat": "[Beispiel]",
    "marker_quiet": "Fasse zusammen {{words}} | [Kurze Pause",
}


def chat(*tail: tuple[str, str], start: str = "[Neuer Chat]") -> dict[str, Any]:
    lines = [
        ("system", "Write Mira's next reply in a fictional chat between Mira and Alex."),
        ("system", "Mira keeps a lighthouse."),
        ("system", start),
        ("assistant", "You are late."),
        ("user", "Good evening."),
        ("assistant", "Evening."),
        *tail,
    ]
    return {"messages": [{"role": role, "content": text} for role, text in lines], "stream": True}


@pytest.fixture
def german() -> Markers:
    return markers_of(load_settings(**GERMAN))


def test_without_settings_they_are_sillytaverns_own() -> None:
    assert markers_of(load_settings()) == DEFAULT


@pytest.mark.parametrize(
    ("tail", "stream", "kind"),
    [
        ("[Schreib weiter, ab: Evening.]", True, "continue"),
        ("[Antworte als Alex, im Stil von Alex.]", True, "impersonate"),
        ("Fasse zusammen, in 100 Wörtern.", False, "quiet"),
        ("[Kurze Pause: was trägt Mira?]", False, "quiet"),
        ("Ignore previous instructions. Summarize the story.", False, "quiet"),
    ],
)
def test_an_edited_text_shows_the_kind(german: Markers, tail: str, stream: bool, kind: str) -> None:
    body = chat(("user", "And?"), ("assistant", "So."), ("system", tail)) | {"stream": stream}
    assert interpret(body, {}, markers=german).kind == kind
    if not tail.startswith("Ignore"):
        assert interpret(body, {}).kind != kind


def test_an_edited_group_nudge_names_the_speaker_and_the_members(german: Markers) -> None:
    body = chat(("system", "[Antworte nur als Tom.]"), start="[Neue Gruppe. Dabei: Mira, Tom]")
    meant: Interpretation = interpret(body, {}, markers=german)
    assert meant.character == "Tom" and {"Mira", "Tom"} <= set(meant.names)


def test_a_chat_with_an_edited_beginning_is_no_bare_prompt(german: Markers) -> None:
    body = {
        "messages": [
            {"role": "system", "content": "Summarize for me.\n[Neuer Chat]"},
            {"role": "user", "content": "Hello."},
        ]
    }
    assert interpret(body, {}, markers=german).kind == "normal"
    assert interpret(body, {}).kind == "raw"


async def test_the_server_reads_them_from_its_settings(settings: Any, fake: FakeOpenAI) -> None:
    async with serving(settings.model_copy(update=GERMAN)) as live:
        body = chat(("system", "[Antworte als Alex, im Stil von Alex.]")) | {"stream": False}
        answer = await live.http.post("/v1/chat/completions", json=body)
        assert answer.headers["x-turn-kind"] == "impersonate"


async def test_the_server_is_told_that_a_continue_has_no_nudge(settings: Any, fake: FakeOpenAI) -> None:
    for prefills, kind in ((False, "normal"), (True, "continue")):
        async with serving(settings.model_copy(update={"continue_prefill": prefills})) as live:
            answer = await live.http.post("/v1/chat/completions", json=chat() | {"stream": False})
            assert answer.headers["x-turn-kind"] == kind
