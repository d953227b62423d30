"""Of a long message only the sentences around what bears on the query."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from memory.ranking.features import CONTENT
from memory.ranking.words import stem
from memory.token_codes import Stored
from models.token_codes import rows
from nodes.query import Query, words_at

LONG = 700
"""Characters above which a message is told in part; about 150 word pieces."""
PASSAGE = 500
"""Characters that a passage has about."""
GAP = "\u2026"

_SENTENCE = re.compile(r"\S.*?(?:[.!?\u2026]+[\"'\u201d*)\]]*(?=\s|$)|$)", re.MULTILINE)

Span = tuple[int, int]


def passage(text: str, query: Query, stored: Stored | None) -> str:
    """The text, or of a long one the sentences around the best hit, with GAP where something is left out."""
    if len(text) <= LONG:
        return text
    sentences = sentences_of(text)
    places, worth = hits(text, query, stored)
    gains = [float(worth[(places >= a) & (places < b)].sum()) for a, b in sentences]
    first, last = around(sentences, gains)
    begin, end = sentences[first][0], sentences[last][1]
    shown = text[begin:end].strip()
    return f"{GAP + ' ' if begin else ''}{shown}{' ' + GAP if end < len(text.rstrip()) else ''}"


def sentences_of(text: str) -> list[Span]:
    """Where the sentences stand; one longer than a passage is cut between words."""
    found: list[Span] = []
    for match in _SENTENCE.finditer(text):
        begin, end = match.span()
        while end - begin > PASSAGE:
            space = text.rfind(" ", begin + 1, begin + PASSAGE)
            cut = space if space > begin else begin + PASSAGE
            found.append((begin, cut))
            begin = cut + 1 if space > begin else cut
        found.append((begin, end))
    return found


def hits(text: str, query: Query, stored: Stored | None) -> tuple[np.ndarray, np.ndarray]:
    """Where the query's content meets the text, as characters, and how well: each token's best place.

    By the text's words where its codes are not there.
    """
    wanted = query.kinds == CONTENT
    if stored is not None and len(stored) and wanted.any():
        alike = query.tokens[wanted] @ rows(stored.codes).T
        best = alike.argmax(axis=1)
        return stored.starts[best], alike.max(axis=1) ** 2 * query.weights[wanted]
    starts = [m.start() for m in re.finditer(r"[^\W_]+", text)]
    found = [a for a, word in zip(starts, words_at(text, starts), strict=True) if stem(word) in query.terms]
    return np.array(found, np.int32), np.ones(len(found), np.float32)


def around(sentences: Sequence[Span], gains: Sequence[float]) -> tuple[int, int]:
    """The run of sentences with the largest gain of those about PASSAGE long; first and last index.

    It is grown from the best sentence, each time by the neighbour that gains more.
    """
    first = last = int(np.argmax(gains))
    while True:
        left = gains[first - 1] if first > 0 else -1.0
        right = gains[last + 1] if last + 1 < len(gains) else -1.0
        if max(left, right) < 0:
            return first, last
        wider = (first - 1, last) if left > right else (first, last + 1)
        if sentences[wider[1]][1] - sentences[wider[0]][0] > PASSAGE:
            return first, last
        first, last = wider
