"""A picture in a chat parts the prompt where post-processing merges messages; what was said stays apart as well."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes.openai_server import FakeOpenAI
from tests.fakes.wire import says
from tests.server.live import Live, idle
from tests.server.prompts import Message, s
from tests.truth.front_end import post_processed

TOKEN = "yW0kJ3"
"""Stands for the picture while texts are merged, as SillyTavern's `mergeMessages` does it."""
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
SAID = [
    ("Mira", "Welcome to the lamp room."),
    ("Alex", "Good evening."),
    ("Mira", "So it is."),
    ("Alex", f"Look at this picture.\n\n{TOKEN}"),
    ("Mira", "A boat, I see."),
    ("Alex", "Nice one?"),
    ("Mira", "A fine one."),
]


def with_pictures(message: Message) -> dict[str, Any]:
    """As `mergeMessages` puts the picture back: text before it, and text after it as another part."""
    parts: list[dict[str, Any]] = []
    for text in message["content"].split("\n\n"):
        if text == TOKEN:
            parts.append(PICTURE)
        elif parts and parts[-1]["type"] == "text":
            parts[-1]["text"] += f"\n\n{text}"
        else:
            parts.append({"type": "text", "text": text})
    return dict(message) | ({"content": parts} if PICTURE in parts else {})


@pytest.mark.parametrize("named", [False, True], ids=["no names", "names in the text"])
@pytest.mark.parametrize("mode", ["none", "merge", "semi", "strict", "single"])
async def test_what_is_said_after_a_picture_is_its_speakers(
    live: Live, fake: FakeOpenAI, mode: str, named: bool
) -> None:
    for n in (3, 5, 7):
        fake.script(says(SAID[n - 1][1]))
        rows = [
            {"role": "user" if who == "Alex" else "assistant", "content": f"{who}: {text}" if named else text}
            for who, text in SAID[: n - 1]
        ]
        main = s("Write Mira's next reply in a fictional chat between Mira and Alex.")
        prompt = [main, s("Mira keeps the light."), s("[Start a new Chat]"), *rows]
        sent = [with_pictures(m) for m in post_processed(prompt, mode, "Mira")]
        answer = await live.http.post("/v1/chat/completions", json={"messages": sent})
        assert answer.status_code == 200, answer.text
        await idle(live)
    found = (await live.http.get(f"/v1/sessions/{answer.headers['x-session-id']}/messages")).json()["data"]
    assert [(m["speaker"], m["content"].removeprefix(f"{m['speaker']}: ")) for m in found] == [
        (who, text.removesuffix(f"\n\n{TOKEN}")) for who, text in SAID
    ]
