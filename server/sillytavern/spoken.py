"""What of a request nobody said: what a front-end writes between a chat's messages in their roles.

A prompt, note or lore may have the role of the user or of the character. What stands before the chat's
beginning shows itself, for the beginning is marked; the rest the extension tells. Untold it is taken for a
message, and is off the path again as soon as a request shows the chat without it in that place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graph.state import ChatMessage
from memory.incoming import BEGINNING, BLANK_LINE, ROLES, prefix_of
from server.sillytavern.markers import BREAK, Markers, begun, has_line, role_of, text_in


def spoken(
    messages: Sequence[ChatMessage],
    injected: Sequence[tuple[int, str]],
    names: Sequence[str],
    markers: Markers,
) -> list[list[Any]]:  # Any: JSON, index and text
    """Index and remaining text of the messages that hold more than somebody said; empty text: nothing is left.

    `injected`: what was told to be nobody's words, with its place before post-processing, which may have
    merged it with its neighbours and put one of `names` before it.
    """
    came = {i: text_in(m) for i, m in enumerate(messages) if role_of(m) in ROLES}
    said = came | _since_it_began(messages, names, markers)
    left = {
        i: "" for i in (*_placeholder(messages, markers), *_before_the_chat(messages, markers)) if i in said
    }
    merged = []
    for at, text in injected:
        if said.get(at, "").strip() == text.strip():
            left[at] = ""
        else:
            merged.append(text.strip())
    for i, text in _without(merged, {i: text for i, text in said.items() if i not in left}, names).items():
        if text != came[i]:
            left[i] = text
    return [[i, left[i]] for i in sorted(left)]


def _placeholder(messages: Sequence[ChatMessage], markers: Markers) -> list[int]:
    """The user message that strict post-processing puts before a chat that begins with the character's."""
    first = next((i for i, m in enumerate(messages) if role_of(m) != "system"), len(messages))
    roles = [role_of(m) for m in messages[first:]]
    is_strict = first < 2 and "system" not in roles and roles[:2] == ["user", "assistant"]
    return [first] if is_strict and text_in(messages[first]).strip() in markers.placeholders else []


def _before_the_chat(messages: Sequence[ChatMessage], markers: Markers) -> range:
    """The messages before the system message that begins the chat; none where there is no such message."""
    starts = (markers.new_chat, markers.new_group_chat)
    begun = (
        i
        for i, m in enumerate(messages)
        if role_of(m) == "system" and any(has_line(text_in(m), start) for start in starts)
    )
    return range(next(begun, 0))


def _since_it_began(
    messages: Sequence[ChatMessage], names: Sequence[str], markers: Markers
) -> dict[int, str]:
    """A prompt of a single message without what stands before the chat, where a name leads something behind that."""
    parts = begun(text_in(messages[0]), markers) if len(messages) == 1 else None
    is_led = parts is not None and any(prefix_of(part, names) for part in BLANK_LINE.split(parts[1]))
    return {0: f"{BEGINNING}{BREAK}{parts[1]}"} if parts and is_led and role_of(messages[0]) in ROLES else {}


def _without(pieces: Sequence[str], said: dict[int, str], names: Sequence[str]) -> dict[int, str]:
    """The texts by index without the pieces, which stand in them in this order, each between blank lines."""
    left = dict(said)
    rows, row, start = sorted(said), 0, 0
    for piece in pieces:
        for n in range(row, len(rows)):
            found = _find(left[rows[n]], piece, start if n == row else 0, names)
            if found is not None:
                before, after = left[rows[n]][: found[0]].rstrip("\n"), left[rows[n]][found[1] :].lstrip("\n")
                left[rows[n]] = BREAK.join(filter(None, (before, after)))
                row, start = n, len(before)
                break
    return left


def _find(text: str, piece: str, start: int, names: Sequence[str]) -> tuple[int, int] | None:
    """Where a piece begins and ends in a text, a speaker's name before it included."""
    at = text.find(piece, start)
    while at >= 0:
        end = at + len(piece)
        if end == len(text.rstrip()) or text.startswith(BREAK, end):
            for lead in ("", *(f"{name}: " for name in names)):
                begin = at - len(lead)
                led = begin >= 0 and text.startswith(lead, begin)
                if led and (not text[:begin].strip() or text.endswith(BREAK, 0, begin)):
                    return begin, end
        at = text.find(piece, at + 1)
    return None
