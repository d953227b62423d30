"""Who takes part beside the character, as a main prompt says it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from graph.state import ChatMessage
from server.sillytavern.markers import text_in

_SENTENCE_END = re.compile(r"(?<!\bDr)(?<!\bMr)(?<!\bMs)(?<!\bMrs)(?<!\bSt)[.!?](?=\s|$)")
PAIR = re.compile(
    r"\b(?:chat|conversation|dialogue|exchange|role-?play\w*|scene|story)\b[^\n.]{0,40}?"
    r" between (?P<pair>[^\n]{1,300})",
    re.IGNORECASE,
)
"""Who takes part, as users write it in prompts of their own."""


def partner_of(messages: Sequence[ChatMessage], character: str) -> str:
    """The user's name where the prompt's first line says who takes part beside the character, empty otherwise."""
    first = text_in(messages[0]).lstrip().partition("\n")[0] if messages and character else ""
    found = PAIR.search(first)
    pair = found["pair"] if found else ""
    if pair.startswith(f"{character} and "):
        return partner_in(character, pair)
    user, followed, rest = pair.partition(f" and {character}")
    return user if followed and not rest[:1].isalnum() else ""


def partner_in(character: str, pair: str) -> str:
    """The user's name in "Mira and Alex. ..." (names may hold dots, quotes and "and")."""
    own = f"{character} and "
    rest = pair.removeprefix(own) if pair.startswith(own) else pair.rpartition(" and ")[2]
    end = _SENTENCE_END.search(rest)
    return rest[: end.start()].strip() if end else rest.strip()
