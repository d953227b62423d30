"""What leads a text as a speaker's name does, where nothing tells the names."""

from __future__ import annotations

import re

LIKE_A_NAME = re.compile(r"([^\s:*\"\[{<(][^\n:*\"]{0,39}): *(?=\S)")
"""What may be a speaker's name before a text."""
HEADINGS = frozenset(
    "note notes warning reminder important system ooc info rule rules style time date day location place scene setting"
    " status mood weather summary chapter title instruction instructions context p.s. ps edit update assistant user"
    " narrator name age gender species personality appearance likes dislikes description scenario example examples"
    " character char format language".split()
)
"""What begins a paragraph with a colon and is nobody."""
MOST_WORDS = 4
"""A longer beginning is a sentence's."""
PARTICLES = frozenset("of the and van von der den de da del di la le".split())
"""Words of names that begin small."""


def likely_name(text: str) -> str:
    """The name that is likely to lead a text: no heading's and no sentence's beginning; empty where there is none."""
    found = LIKE_A_NAME.match(text.lstrip())
    if found is None or not found[0].endswith(" "):
        return ""
    first, *more = found[1].split()
    is_name = not any(word[0].islower() and word not in PARTICLES for word in more)
    return found[1] if is_name and len(more) < MOST_WORDS and first.casefold() not in HEADINGS else ""
