"""What a turn asks: the line that is answered, who says it, and the lines shown before it."""

from __future__ import annotations

from collections.abc import Sequence

from graph.context import TurnContext
from graph.state import TurnState
from memory.incoming import text_of
from memory.path import Path
from memory.ranking.reading import Asked, read_asked, tells_something
from nodes.query import CONTEXT_LINES, Wording

UNSEEN_CHARACTERS = 800
"""Of lines that were never embedded, so many are read in one pass with the newest message."""


def query_text(state: TurnState) -> str:
    """What is answered: the newest user message, or the window's last row where there is none."""
    if state.newest.strip() or not state.window:
        return state.newest
    return text_of(state.messages[state.window[-1]["index"]].get("content"))


def looks_for_memory(state: TurnState, context: TurnContext) -> bool:
    """Whether anything is to be recalled: for a line that is more than a greeting, a nod or nothing."""
    return context.memory != "off" and asks_for_memory(query_text(state))


def asks_for_memory(text: str) -> bool:
    """Whether a line is more than a greeting, a nod or nothing; a question always is."""
    return tells_something(text) or text.rstrip(" \t\n\"'*)").endswith("?")


def wording_of(state: TurnState, names: Sequence[str]) -> Wording:
    """What is asked in words, in a chat of these speakers, before any line of its context that has vectors."""
    asker = asker_of(state)
    asked = read_asked(query_text(state), names, names.index(asker) if asker in names else None)
    return Wording(asked, list(names), asker, unseen_lines(state, lines_before(state, asked)))


def lines_before(state: TurnState, asked: Asked) -> list[int]:
    """The ids of the lines that are the context of what is asked (see `before_newest`); a question has none."""
    return [] if asked.question and tells_something(asked.text) else before_newest(state)


def asker_of(state: TurnState) -> str:
    """Who says the newest message."""
    row = state.window[newest_row_at(state)] if state.window else {}
    return str(row.get("speaker") or (state.user_name if row.get("role") == "user" else ""))


def newest_row_at(state: TurnState) -> int:
    """The window's row of the last user message; the last row where there is none."""
    users = [n for n, row in enumerate(state.window) if row["role"] == "user"]
    return users[-1] if users else len(state.window) - 1


def before_newest(state: TurnState) -> list[int]:
    """The ids just before the newest message, in the request, or on the path where the request shows it alone.

    Negative ones are not stored yet.
    """
    if not state.window:
        return []
    at = newest_row_at(state)
    if at:
        shown = state.window[max(at - CONTEXT_LINES, 0) : at]
        return [row["id"] or -n for n, row in enumerate(shown, 1 + max(at - CONTEXT_LINES, 0))]
    path = Path(state.path)
    position = path.position(state.window[0]["id"] or -1) or 0
    return path.slice(position - CONTEXT_LINES, position)


def unseen_lines(state: TurnState, before: Sequence[int]) -> list[str]:
    """The texts of lines before the newest that were never embedded, as far as one pass reads them with it."""
    found: list[str] = []
    room = UNSEEN_CHARACTERS - len(query_text(state))
    for i in reversed(before):
        if i < 0:
            row = state.window[-i - 1]
            text = row["text"] if "text" in row else text_of(state.messages[row["index"]].get("content"))
            text = " ".join(text.split())
            room -= len(text)
            if room < 0:
                break
            found.insert(0, text)
    return found
