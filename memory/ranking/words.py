"""Stemmed words and BM25 over them, counting only the messages of a path."""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

K1, B = 1.2, 0.75
COMMON_SHARE, COMMON_LEAST = 0.1, 20
"""Terms in more than this share of the path (and in more messages than the second) are not scored."""
MOST_COUNTED = 65_535
"""How often a message can have a term."""

STOP_WORDS = frozenset(
    "a about after again all am an and any are as at be because been before being but by can could d did do "
    "does doing don down during each few for from further had has have having he her here hers him his how i "
    "if in into is it its itself just ll m me more most my myself no nor not now o of off on once only or "
    "other our out over own re s same she should so some such t than that the their them then there these "
    "they this those through to too under until up ve very was we were what when where which while who whom "
    "why will with would you your yours".split()
)

_WORD = re.compile(r"[^\W_]+")
_VOWEL = re.compile(r"[aeiouy]")

Floats = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int32]


def terms(text: str) -> list[str]:
    """The stems of a text's words in order, lower case, stop words dropped."""
    return [stem(word) for word in _WORD.findall(text.lower()) if word not in STOP_WORDS]


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """An English word without plural, -ed, -ing, -ly and a last e; short words are left alone."""
    if len(word) > 3 and word.endswith("ies"):
        word = word[:-3] + "y"
    elif len(word) > 4 and word.endswith(("sses", "shes", "ches", "xes", "zes")):
        word = word[:-2]
    elif len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    for suffix in ("ing", "ed", "ly"):
        rest = word.removesuffix(suffix)
        if rest != word and len(rest) > 2 and _VOWEL.search(rest):
            word = _undoubled(rest) if suffix != "ly" else rest
            break
    return word[:-1] if len(word) > 3 and word.endswith("e") else word


def _undoubled(word: str) -> str:
    return word[:-1] if word[-1] == word[-2] and word[-1] not in "aeiouls" else word


class WordIndex:
    """Postings of the messages of one tree; what is off the path counts in no statistic.

    Those it was built with stand in sorted arrays, those added since beside them.
    """

    def __init__(self, built: Postings | None = None) -> None:
        self.built = built or Postings.of(())
        self._added: dict[str, tuple[array[int], array[int]]] = {}
        self._lengths = self.built.lengths

    def add(self, ref: int, text: str) -> None:
        """Index a message once under its id, a positive integer."""
        found = terms(text)
        if ref >= len(self._lengths):
            more = np.zeros(max(len(self._lengths), ref + 1), np.int32)
            self._lengths = np.concatenate([self._lengths, more])
        self._lengths[ref] = len(found)
        for term, count in Counter(found).items():
            refs, counts = self._added.setdefault(term, (array("i"), array("H")))
            refs.append(ref)
            counts.append(min(count, MOST_COUNTED))

    def remove(self, ref: int, text: str) -> None:
        """Take a message out, given the text under which it was added after the index was built."""
        self._lengths[ref] = 0
        for term in set(terms(text)):
            refs, counts = self._added[term]
            at = refs.index(ref)
            del refs[at], counts[at]

    def impacts(self, wanted: Sequence[str], path: Ids) -> tuple[Floats, Floats]:
        """Shape (terms, messages): what each term gives each message of the path; and each term's most.

        A term's impact is BM25's, idf * tf / (tf + k1 * (1 - b + b * length / mean length)), so at most
        its idf, log(1 + (n - df + 0.5) / (df + 0.5)) (Robertson and Zaragoza, 2009). Common terms give 0
        and have a most of 0; a term that nobody says has one, so that the sum of the mosts is what a text
        with every term could get. Repeated terms count once.
        """
        known = max(int(path.max(initial=0)) + 1, len(self._lengths))
        position = np.full(known, -1, np.int32)
        position[path] = np.arange(len(path), dtype=np.int32)
        lengths = np.zeros(known, np.float32)
        lengths[: len(self._lengths)] = self._lengths
        mean = max(float(lengths[path].mean()) if len(path) else 0.0, 1.0)
        unique = list(dict.fromkeys(wanted))
        impacts = np.zeros((len(unique), len(path)), np.float32)
        most = np.zeros(len(unique), np.float32)
        for row, term in enumerate(unique):
            refs, counts = self._postings(term)
            on_path = position[refs] >= 0
            if np.count_nonzero(on_path) > max(COMMON_SHARE * len(path), COMMON_LEAST):
                continue
            refs, counts = refs[on_path], counts[on_path].astype(np.float32)
            most[row] = np.log1p((len(path) - len(refs) + 0.5) / (len(refs) + 0.5))
            saturation = K1 * (1 - B + B * lengths[refs] / mean)
            impacts[row, position[refs]] = most[row] * counts / (counts + saturation)
        return impacts, most

    def _postings(self, term: str) -> tuple[Ids, npt.NDArray[np.uint16]]:
        """The messages with a term, and how often each has it."""
        refs, counts = self.built.of_term(term)
        more = self._added.get(term)
        if more is not None:
            refs = np.concatenate([refs, np.array(more[0], np.int32)])
            counts = np.concatenate([counts, np.array(more[1], np.uint16)])
        return refs, counts


@dataclass(frozen=True, slots=True, eq=False)
class Postings:
    """Which messages have which terms, of many messages at once: those of a term stand together."""

    terms: Mapping[str, int]
    """The number of each term."""
    offsets: npt.NDArray[np.int64]
    """Shape (terms + 1,): where the messages of each term begin."""
    refs: Ids
    counts: npt.NDArray[np.uint16]
    """How often each message has the term."""
    lengths: Ids
    """By id: the number of a message's terms, repeated ones too."""

    @classmethod
    def of(cls, texts: Iterable[tuple[int, str]]) -> Postings:
        """Those of messages, id and text, each once."""
        numbers = _Numbers()
        ids, sizes, found = array("i"), array("i"), array("i")
        for ref, text in texts:
            said = [number for word in _WORD.findall(text.lower()) if (number := numbers[word]) >= 0]
            ids.append(ref)
            sizes.append(len(said))
            found.extend(said)
        refs = np.array(ids, np.int32)
        lengths = np.zeros(int(refs.max(initial=0)) + 1, np.int32)
        lengths[refs] = sizes
        spread = np.int64(len(lengths))
        pairs = np.array(found, np.int64) * spread + np.repeat(refs, np.array(sizes, np.int32))
        pairs, counts = np.unique(pairs, return_counts=True)
        offsets = np.searchsorted(pairs, np.arange(len(numbers.terms) + 1) * spread)
        capped = np.minimum(counts, MOST_COUNTED).astype(np.uint16)
        return cls(numbers.terms, offsets, (pairs % spread).astype(np.int32), capped, lengths)

    def of_term(self, term: str) -> tuple[Ids, npt.NDArray[np.uint16]]:
        """The messages with a term, and how often each has it."""
        number = self.terms.get(term)
        here = slice(0, 0) if number is None else slice(self.offsets[number], self.offsets[number + 1])
        return self.refs[here], self.counts[here]


class _Numbers(dict[str, int]):
    """The number of the term that each word is, -1 for stop words."""

    def __init__(self) -> None:
        super().__init__()
        self.terms: dict[str, int] = {}

    def __missing__(self, word: str) -> int:
        number = -1 if word in STOP_WORDS else self.terms.setdefault(stem(word), len(self.terms))
        self[word] = number
        return number
