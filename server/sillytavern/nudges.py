"""What a front-end asks of the model at a chat's end, where post-processing made it the user's words."""

from __future__ import annotations

from collections.abc import Sequence

from graph.state import ChatMessage, Kind
from server.sillytavern.markers import BREAK, Markers, role_of, text_in


def is_rewritten(messages: Sequence[ChatMessage]) -> bool:
    """Whether post-processing left no system message behind the first message."""
    return all(role_of(message) != "system" for message in messages[1:])


def without_nudges(
    messages: Sequence[ChatMessage], kind: Kind, tagged: bool, markers: Markers
) -> dict[int, str]:
    """What is left of the user's messages that hold a nudge, by index.

    Nudges are system messages, the last ones: that to continue or to impersonate ends the prompt, that of a
    group ends the chat, before the message that is continued.
    """
    if not is_rewritten(messages):
        return {}
    users = [i for i, message in enumerate(messages) if role_of(message) == "user"][-2:]
    left = {i: text_in(messages[i]) for i in users}
    if users[-1:] == [len(messages) - 1]:
        asked: tuple[tuple[Kind, str], ...] = (
            ("continue", markers.continue_nudge),
            ("impersonate", markers.impersonation),
        )
        for meant, start in asked:
            if not tagged or kind == meant:
                left[users[-1]] = _before(left[users[-1]], start, is_sure=kind == meant)
    left = {i: _without_line(text, markers.group_nudge) for i, text in left.items()}
    return {i: text for i, text in left.items() if text != text_in(messages[i])}


def _before(text: str, start: str, *, is_sure: bool) -> str:
    """A text up to the last line that begins like this; where that is not sure, only in the last paragraph."""
    at = _line(text, start)
    if at is None or (BREAK in text[at:] and not is_sure):
        return text
    return text[:at].rstrip("\n")


def _without_line(text: str, start: str) -> str:
    """A text without the last line that begins like this."""
    at = _line(text, start)
    if at is None:
        return text
    after = text[at:].partition("\n")[2].lstrip("\n")
    return BREAK.join(filter(None, (text[:at].rstrip("\n"), after)))


def _line(text: str, start: str) -> int | None:
    """Where the last line that begins like this begins."""
    at = f"\n{text}".rfind(f"\n{start}") if start else -1
    return at if at >= 0 else None
