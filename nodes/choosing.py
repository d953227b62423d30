"""Which of the scored candidates are memories: none where nothing is relevant, and nothing twice."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from memory.ranking.features import FEATURES, Floats
from memory.ranking.reading import Holds
from nodes.sight import Sight

RELEVANT, RELEVANT_IN_CONTEXT = 2.0, 4.5
"""What `relevance` must reach, without and with a context. On tuning chats of LoCoMo, and of a set of emotional
recall, 0.4 and 1 percent of the questions that have an answer fall below the first, and of questions about something
else altogether (asked of each chat) 81 and 73 percent do. Below the second fall 5 percent of MADial-Bench's lines."""
WITHIN = 9.0
"""A memory's score may be this far below the best. Of the evidence among LoCoMo's first 50 (tuning chats) 0.2
percent falls out."""
ALIKE = 0.95
"""Texts whose vectors have this cosine say the same."""
BUT_FOR_NUMBERS = 3
"""So many texts that differ in their numbers alone are told: what was, what became of it, but no endless list."""
_NUMBER = re.compile(r"\d+")
_ASKS = int(Holds.ENDS_ASKING)
_ALL_WORDS = FEATURES.index("all_words")


@dataclass(frozen=True, slots=True)
class Scored:
    """A candidate after the careful look; `column` is its row of `features`."""

    sight: Sight
    row: int
    score: float
    column: Floats
    boost: float = 0.0
    """What equal emotions added to the score, where the seed's rule is asked for."""

    @property
    def ref(self) -> int:
        return int(self.sight.ground.at.ids[self.row])

    @property
    def cosine(self) -> float:
        """Of its vector and the query's, 0 where it has none yet."""
        return float(np.nan_to_num(self.sight.cosine[self.row]))

    @property
    def halves(self) -> list[int]:
        """Ids of what makes the line whole: the question it answers, and the answer to what it asks."""
        return [int(self.sight.ground.at.ids[row]) for row in exchange_rows(self)]


def relevance(scored: Sequence[Scored], *, in_context: bool) -> float:
    """How sure it is that any candidate bears on the query, about -2 to 12.

    How well the words of the query are met at best, less what chance makes of the number of candidates; and the
    best cosine, or the best score where a context has its part in the query's vector. Fitted by logistic
    regression on what `RELEVANT` tells of.
    """
    if not scored:
        return -np.inf
    met = max(float(one.column[_ALL_WORDS]) for one in scored)
    chance = float(np.log(len(scored)))
    if in_context:
        return met + 0.4 * max(one.score for one in scored) - 0.5 * chance
    return met + 2.9 * max(one.cosine for one in scored) - 0.7 * chance


def worth_telling(scored: Sequence[Scored], *, in_context: bool) -> list[Scored]:
    """Those that are relevant, best first; none when the best is not."""
    if relevance(scored, in_context=in_context) < (RELEVANT_IN_CONTEXT if in_context else RELEVANT):
        return []
    ordered = sorted(scored, key=lambda one: -one.score)
    return [one for one in ordered if one.score >= ordered[0].score - WITHIN]


def distinct(texts: Sequence[str], vectors: Sequence[Floats | None]) -> list[int]:
    """Of texts in order of preference those that say something new; vectors of length 1, None: not known."""
    known = [n for n, vector in enumerate(vectors) if vector is not None]
    alike = np.zeros((len(texts), len(texts)), bool)
    if known:
        stacked = np.stack([v for v in vectors if v is not None])
        alike[np.ix_(known, known)] = stacked @ stacked.T >= ALIKE
    heard: set[str] = set()
    patterns: Counter[str] = Counter()
    kept: list[int] = []
    for n, text in enumerate(texts):
        words = " ".join(text.split()).casefold()
        pattern = _NUMBER.sub("0", words)
        if words not in heard and patterns[pattern] < BUT_FOR_NUMBERS and not alike[n, kept].any():
            heard.add(words)
            patterns[pattern] += 1
            kept.append(n)
    return kept


def exchange_rows(one: Scored) -> list[int]:
    """Rows of the sight that make a line whole: the question it answers, and the answer to what it asks."""
    lines = one.sight.ground.lines
    found = []
    for asking, answering in ((one.row - 1, one.row), (one.row, one.row + 1)):
        if asking < 0 or answering >= len(lines.position) or not lines.holds[asking] & _ASKS:
            continue
        together = lines.session[asking] == lines.session[answering]
        other = asking if answering == one.row else answering
        if together and lines.speaker[asking] != lines.speaker[answering] and one.sight.allowed[other]:
            found.append(other)
    return found
