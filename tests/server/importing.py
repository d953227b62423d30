"""What tests of the import send, and how they look at what was stored."""

from __future__ import annotations

from typing import Any

from tests.server.live import Live
from tests.server.silly_files import line

MIRA = [
    line("Mira", "Hello, {{user}}.", 1, swipes=["Hello, {{user}}.", "Rain, {{user}}."], swipe_id=0),
    line("Alex", "My sister is called Ines.", 2),
    line("Mira", "A good name.", 3, swipes=["Who?", "A good name.", "Who?"], swipe_id=1),
    line("Alex", "Do you like storms?", 4),
    line("Mira", "They pay my wages.", 5),
]
SHOWN = [
    ("assistant", "Hello, Alex."),
    ("user", "My sister is called Ines."),
    ("assistant", "A good name."),
    ("user", "Do you like storms?"),
    ("assistant", "They pay my wages."),
]


async def put(live: Live, content: bytes, name: str = "Mira - 1.jsonl", **query: Any) -> dict[str, Any]:
    """Import a file; what the server counted (Any: JSON)."""
    answer = await live.http.post("/v1/import", params={"name": name, **query}, content=content)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def messages(live: Live, session_id: str) -> list[dict[str, Any]]:
    answer = await live.http.get(f"/v1/sessions/{session_id}/messages", params={"limit": 1000})
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


async def shown(live: Live, session_id: str) -> list[tuple[str, str]]:
    return [(m["role"], m["content"]) for m in await messages(live, session_id)]


async def count(live: Live) -> int:
    """Messages stored in all trees, on a path or not."""
    exported = (await live.http.get("/v1/export")).text.splitlines()
    return sum('"kind":"message"' in row for row in exported)


async def send(live: Live, said: list[tuple[str, str]], text: str, **more: Any) -> Any:
    """The visible chat and one message more, live; the answer."""
    system = {
        "role": "system",
        "content": "Write Mira's next reply in a fictional chat between Mira and Alex.",
    }
    window = [{"role": role, "content": content} for role, content in said]
    body = {"messages": [system, *window, {"role": "user", "content": text}], "stream": False, **more}
    answer = await live.http.post("/v1/chat/completions", json=body)
    assert answer.status_code == 200, answer.text
    return answer
