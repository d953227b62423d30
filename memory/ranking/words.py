"""Stemmed words and BM25 over them, counting only the messages of a path."""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

K1, B = 1.2, 0.75
COMMON_SHARE, COMMON_LEAST = 0.1, 20
"""Terms in more than this share of the path (and in more messages than the second) are not scored."""

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
    """Postings of the messages of one tree; what is off the path counts in no statistic."""

    def __init__(self) -> None:
        self._postings: dict[str, tuple[array[int], array[int]]] = {}
        self._lengths = array("i")

    def add(self, ref: int, text: str) -> None:
        """Index a message once under its id, a positive integer."""
        found = terms(text)
        if ref >= len(self._lengths):
            self._lengths.extend([0] * (ref + 1 - len(self._lengths)))
        self._lengths[ref] = len(found)
        for term, count in Counter(found).items():
            refs, counts = self._postings.setdefault(term, (array("i"), array("i")))
            refs.append(ref)
            counts.append(count)

    def remove(self, ref: int, text: str) -> None:
        """Take a message out, given the text under which it was indexed."""
        self._lengths[ref] = 0
        for term in set(terms(text)):
            refs, counts = self._postings[term]
            at = refs.index(ref)
            del refs[at], counts[at]

    def impacts(self, wanted: Sequence[str], path: Ids) -> tuple[Floats, Floats]:
        """Shape (terms, messages): what each term gives each message of the path; and each term's most.

        A term's impact is BM25's, idf * tf / (tf + k1 * (1 - b + b * length / mean length)), so at most
        its idf, log(1 + (n - df + 0.5) / (df + 0.5)) (Robertson and Zaragoza, 2009). Common terms give 0
        and have a most of 0; a term that nobody says has one, so that the sum of the mosts is what a text
        with every term could get. Repeated terms count once.
        """
        lengths = np.zeros(max(int(path.max(initial=0)) + 1, len(self._lengths)), np.float32)
        lengths[: len(self._lengths)] = np.array(self._lengths, np.float32)
        position = np.full(len(lengths), -1, np.int32)
        position[path] = np.arange(len(path), dtype=np.int32)
        saturation = K1 * (1 - B + B * lengths / max(float(lengths[path].mean()) if len(path) else 0.0, 1.0))
        unique = list(dict.fromkeys(wanted))
        impacts = np.zeros((len(unique), len(path)), np.float32)
        most = np.zeros(len(unique), np.float32)
        for row, term in enumerate(unique):
            refs, counts = (np.array(a, np.int32) for a in self._postings.get(term, ((), ())))
            on_path = position[refs] >= 0
            refs, counts = refs[on_path], counts[on_path]
            if len(refs) > max(COMMON_SHARE * len(path), COMMON_LEAST):
                continue
            most[row] = np.log1p((len(path) - len(refs) + 0.5) / (len(refs) + 0.5))
            impacts[row, position[refs]] = most[row] * counts / (counts + saturation[refs])
        return impacts, most
