"""How the prompt is laid out: shares of the window, kinds of parts, where the history begins; all pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from graph.state import ChatMessage
from memory.incoming import text_of

MESSAGE_OVERHEAD = 5
"""Tokens a chat template puts around one message (ChatML: 5)."""
IMAGE_TOKENS = 258
"""What one image is counted as (Gemini's figure for a small image)."""
CUT_TO = 0.6
"""History over its limit is cut down to this share of it, so that the next cut is far away."""


@dataclass(frozen=True, slots=True)
class Shares:
    """Tokens each part of the context window may take."""

    context: int
    response: int
    system: int
    memory: int
    history: int

    @property
    def prompt(self) -> int:
        """What is left for the prompt."""
        return self.context - self.response


def shares(context: int, percents: Sequence[int], max_tokens: int | None) -> Shares:
    """Split a window by (system, memory, history, response) percents.

    `max_tokens` of the request replaces the response's share, up to half the window.
    """
    system, memory, history, response = (context * p // 100 for p in percents)
    if max_tokens is not None:
        response = min(max_tokens, max(response, context // 2))
    return Shares(context, response, system, memory, history)


def history_limit(split: Shares, room: int) -> int:
    """Tokens the history may take of the `room` that system text and answer leave.

    Each part's share is what it is sure of. What system text and answer leave of theirs goes to the history;
    what they take beyond theirs is taken from memory and history in proportion.
    """
    if room >= split.memory + split.history:
        return room - split.memory
    return room * split.history // max(1, split.memory + split.history)


def images_in(message: ChatMessage) -> int:
    """How many parts of a message are not text."""
    content = message.get("content")
    return (
        sum(p.get("type") != "text" for p in content if isinstance(p, dict))
        if isinstance(content, list)
        else 0
    )


def parts_of(messages: Sequence[ChatMessage], newest: int | None) -> list[str]:
    """Label each message: system, example, history or newest.

    `newest` is the index of the last user message. Examples are system messages named `example_...` and the
    short bracketed heading before them; tool messages and calls belong to the history.
    """
    labels = ["history" if m["role"] in ("user", "assistant", "tool") else "system" for m in messages]
    for i in range(len(messages) - 1, -1, -1):
        if labels[i] != "system":
            continue
        name, text = str(messages[i].get("name") or ""), text_of(messages[i].get("content"))
        before_example = i + 1 < len(messages) and labels[i + 1] == "example"
        heading = before_example and not name and text.startswith("[") and len(text) <= 40
        if name.startswith("example_") or heading:
            labels[i] = "example"
    if newest is not None:
        labels[newest] = "newest"
    return labels


def history_start(counts: Sequence[int], limit: int, held: int | None, shown: int) -> int:
    """Where the prompt's history begins, an index into `counts` (tokens of the path's last messages).

    `shown` is where the front-end's own window begins, `held` the start that the last turn's prompt had.
    Over its limit the history is cut down to `CUT_TO` of it, and that start is held until it overflows again;
    where the front-end's window slides on, older messages stand before it as long as all of them keep within
    the window's own size / `CUT_TO`.
    """
    n = len(counts)
    tail = list(accumulate(reversed(counts), initial=0))

    def total(start: int) -> int:
        return tail[n - start]

    if held is not None and held < shown:
        if total(held) <= min(limit, total(shown) / CUT_TO):
            return held
    elif held is not None and total(held) <= limit and total(shown) > CUT_TO * limit:
        return held
    if total(shown) <= limit:
        return shown
    return next((start for start in range(shown, n) if total(start) <= CUT_TO * limit), max(n - 1, 0))


def drop_oldest_half(
    prompt: Sequence[ChatMessage], labels: Sequence[str]
) -> tuple[list[ChatMessage], list[str]]:
    """Leave out the older half of the history, and tool results whose call went with it."""
    at = [i for i, label in enumerate(labels) if label == "history"]
    dropped = set(at[: (len(at) + 1) // 2])
    orphans = (i for i in at if i not in dropped)
    for i in orphans:
        if prompt[i]["role"] != "tool":
            break
        dropped.add(i)
    kept = [i for i in range(len(prompt)) if i not in dropped]
    return [prompt[i] for i in kept], [labels[i] for i in kept]


def countable(message: ChatMessage) -> str:
    """What of a message is counted besides images: its text and its tool calls."""
    calls: Any = message.get("tool_calls")
    return text_of(message.get("content")) + (str(calls) if calls else "")
