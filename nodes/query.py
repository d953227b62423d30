"""What is asked: the newest message, read and embedded once, in the context of the lines before it."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from memory.ranking.features import CONTRASTED, DECAY, FUNCTION_WORD, Floats, token_kinds
from memory.ranking.reading import Asked
from memory.ranking.words import stem, terms
from models.encoding import Encoding, unit

CONTEXT_LINES = 6
"""Lines before the newest that count."""
MOST_TOKENS = 48
"""Tokens of a query that are compared; of more, function words and the oldest fall out first."""

_WORD = re.compile(r"[^\W_]+")

Kinds = npt.NDArray[np.int8]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked for. `named` are the speakers asked about, by name, for every chat counts its own."""

    asked: Asked
    named: frozenset[str]
    asker: str
    vector: Floats
    """Shape (dimension,), length 1."""
    terms: dict[str, float]
    """Stems, each with the weight of the newest line that has it."""
    tokens: Floats
    """Shape (tokens, d), as `TokenCodec.project` makes them."""
    kinds: Kinds
    weights: Floats
    """Shape (tokens,): DECAY to the power of how many lines ago each was said."""
    stems: tuple[str, ...]
    """Of the word that each token is part of, empty where that is no term."""
    in_context: bool = False

    def of_names(self, names: Sequence[str]) -> Asked:
        """What is asked, for a chat of these speakers."""
        return replace(self.asked, named=frozenset(i for i, n in enumerate(names) if n in self.named))


@dataclass(frozen=True, slots=True)
class SaidLine:
    """A line of the context: its text, its vector, and its tokens as `Query` has them."""

    text: str
    vector: Floats
    tokens: Floats
    kinds: Kinds
    stems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wording:
    """What is asked in words, before the newest line is embedded."""

    asked: Asked
    names: Sequence[str]
    """Of those who speak on the chat's path."""
    asker: str
    unseen: Sequence[str] = ()
    """Lines just before the newest that have no vectors: they are read in one pass with it."""
    heard: Sequence[str] = ()
    """Lines before these, which are stored."""

    @property
    def text(self) -> str:
        """What is embedded: one line a line, the newest last."""
        return "\n".join([*self.unseen, self.asked.text])

    @property
    def terms(self) -> dict[str, float]:
        """Stems, each with the weight of the newest line that has it; speakers' names are none."""
        lines = [*self.heard, *self.unseen][-CONTEXT_LINES:]
        spoken = {part for name in self.names for part in terms(name)}
        lines.append(self.asked.text[: self.asked.contrast])
        heard = {term: DECAY ** (len(lines) - 1 - n) for n, line in enumerate(lines) for term in terms(line)}
        return {term: weight for term, weight in heard.items() if term not in spoken}


def words_at(text: str, starts: Sequence[int] | npt.NDArray[np.int32]) -> list[str]:
    """For each character the lower-case word that it stands in, empty for none."""
    spans = [m.span() for m in _WORD.finditer(text)]
    begins = [begin for begin, _ in spans]
    found = []
    for start in starts:
        at = bisect_right(begins, int(start)) - 1
        inside = at >= 0 and start < spans[at][1]
        found.append(text[slice(*spans[at])].lower() if inside else "")
    return found


def query_of(
    wording: Wording,
    encoding: Encoding,
    projected: Floats,
    heard: Sequence[SaidLine] = (),
    common: Collection[str] = frozenset(),
) -> Query:
    """The query of a wording whose `text` was encoded; `projected` are its tokens as the codec has them.

    `heard` are those of the wording's lines that have vectors, `common` are terms that so much of the chat holds that
    they tell nothing apart.
    """
    asked = wording.asked
    lead = len(wording.text) - len(asked.text)
    own = encoding.starts >= lead
    starts = encoding.starts[own] - lead
    words = words_at(asked.text, starts)
    kinds = token_kinds(words, starts.tolist(), asked.contrast)
    query = Query(
        asked=asked,
        named=frozenset(wording.names[i] for i in asked.named),
        asker=wording.asker,
        vector=_vector(encoding, own, None if asked.contrast is None else asked.contrast + lead),
        terms=wording.terms,
        tokens=projected[own],
        kinds=kinds,
        weights=np.ones(len(kinds), np.float32),
        stems=stems_of(words),
    )
    before = [*heard, *_lines(wording.unseen, encoding, projected)][-CONTEXT_LINES:]
    return shortened(_in_context(query, before, common) if before else query)


def _vector(encoding: Encoding, own: Mask, contrast: int | None) -> Floats:
    """Of the whole text, or of its own tokens, those before the contrast."""
    if contrast is not None:
        own = own & (encoding.starts < contrast)
    whole = own.all() or not own.any()
    return unit((encoding.pieces if whole else encoding.tokens[own]).mean(axis=0))


def _lines(before: Sequence[str], encoding: Encoding, projected: Floats) -> list[SaidLine]:
    """Lines that were read in one pass with the newest."""
    found, begin = [], 0
    for text in before:
        own = (encoding.starts >= begin) & (encoding.starts < begin + len(text))
        if own.any():
            found.append(said_line(text, encoding.tokens[own], projected[own], encoding.starts[own] - begin))
        begin += len(text) + 1
    return found


def said_line(text: str, pieces: Floats, tokens: Floats, starts: npt.NDArray[np.int32]) -> SaidLine:
    """A line of the context; `tokens` as the codec has them, `starts` where they begin in the text."""
    words = words_at(text, starts)
    return SaidLine(
        text, unit(pieces.mean(axis=0)), tokens, token_kinds(words, starts.tolist()), stems_of(words)
    )


def stems_of(words: Sequence[str]) -> tuple[str, ...]:
    return tuple(stem(word) if word else "" for word in words)


def _in_context(query: Query, before: Sequence[SaidLine], common: Collection[str]) -> Query:
    """The query with the lines said before it, newest last, each weighing DECAY of the one after it.

    A line weighs less by what is common in it: what the whole chat says is no hint at what is meant now.
    """
    said = list(reversed(before))
    steps = [np.float32(DECAY ** (n + 1) * telling(line.text, common)) for n, line in enumerate(said)]
    vectors = np.stack([line.vector for line in said])
    weights = [np.full(len(line.tokens), step, np.float32) for line, step in zip(said, steps, strict=True)]
    return replace(
        query,
        vector=unit(query.vector + np.array(steps) @ vectors),
        tokens=np.concatenate([query.tokens, *(line.tokens for line in said)]),
        kinds=np.concatenate([query.kinds, *(line.kinds for line in said)]),
        weights=np.concatenate([query.weights, *weights]),
        stems=query.stems + tuple(stem for line in said for stem in line.stems),
        in_context=True,
    )


def telling(text: str, common: Collection[str]) -> float:
    """The share of a line's terms that are not common; 1 where it has none."""
    said = set(terms(text))
    return sum(term not in common for term in said) / len(said) if said else 1.0


def shortened(query: Query) -> Query:
    """The query with at most MOST_TOKENS tokens."""
    if len(query.tokens) <= MOST_TOKENS:
        return query
    worth = query.weights - (query.kinds == FUNCTION_WORD) - 0.5 * (query.kinds == CONTRASTED)
    kept = np.sort(np.argsort(-worth, kind="stable")[:MOST_TOKENS])
    return replace(
        query,
        tokens=query.tokens[kept],
        kinds=query.kinds[kept],
        weights=query.weights[kept],
        stems=tuple(query.stems[i] for i in kept),
    )
