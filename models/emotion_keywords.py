"""Reads emotions by keywords, emoji and emoticons: quick, explainable, English."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache

from models.emotion import Emotion, Label, ends
from models.emotion_lexicon import AFFIRMING_AFTER_NEGATION, NEGATIONS, PHRASE_STARTS, SIGNS, WORDS

NAME = "keywords"
NEGATION_REACH = 3
"""Words a negation reaches forward, within its clause."""

_CLAUSE_END = re.compile(r"[.!?;:,\n*\"…]+")
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")
_EMOTICON = re.compile(
    r"(?<!\S)(?:" + "|".join(re.escape(sign) for sign in SIGNS if sign.isascii()) + r")(?!\S)"
)
_SHOUTED = re.compile(r"\b[A-Z]{3,}\b")
_SUFFIXES = (
    ("iness", "y"), ("iest", "y"), ("ness", ""), ("ily", "y"), ("ing", "e"), ("ing", ""), ("ies", "y"),
    ("ied", "y"), ("ier", "y"), ("ed", "e"), ("ed", ""), ("es", ""), ("ly", ""), ("s", ""), ("'s", ""),
)  # fmt: skip


class KeywordEmotions:
    """`EmotionDetector` without a model."""

    name = NAME

    async def read(self, text: str) -> Emotion:
        return emotion_of(text)


def emotion_of(text: str) -> Emotion:
    """The emotion with the most evidence; neutral without any.

    Every keyword, emoji and emoticon is one piece of evidence, actions between asterisks included. Negated
    ones do not count, except that negated joy is half a piece for sadness. With e pieces for the label of n
    in all, the confidence is e / (e + 0.8) * e / n; an exclamation mark and a word in capitals each take it a
    quarter of the rest of the way to 1. Only the text's `ends` are read.
    """
    text = ends(text)
    evidence = _evidence(text.replace("\u2019", "'"))
    if not evidence:
        return Emotion("neutral", 0.5)
    label, strength = max(evidence.items(), key=lambda entry: entry[1])
    confidence = strength / (strength + 0.8) * strength / sum(evidence.values())
    for raised in ("!" in text, _SHOUTED.search(text) is not None):
        confidence += 0.25 * (1 - confidence) if raised else 0.0
    return Emotion(label, confidence)


def _evidence(text: str) -> Counter[Label]:
    found: Counter[Label] = Counter()
    for character in text:
        if not character.isascii() and character in SIGNS:
            found[SIGNS[character]] += 1
    for emoticon in _EMOTICON.findall(text):
        found[SIGNS[emoticon]] += 1
    for clause in _CLAUSE_END.split(text.lower()):
        for label, amount in _in_clause(_WORD.findall(clause)):
            found[label] += amount  # type: ignore[assignment]  # halves are counted too
    return found


def _in_clause(words: Sequence[str]) -> Iterator[tuple[Label, float]]:
    position = 0
    while position < len(words):
        label, length = _label_at(words, position)
        if label is not None and not _negated(words, position):
            yield label, 1.0
        elif label == "joy":
            yield "sadness", 0.5
        position += length


def _label_at(words: Sequence[str], position: int) -> tuple[Label | None, int]:
    """The label of the phrase or word here, and how many words it takes."""
    forms = base_forms(words[position])
    if position + 1 < len(words):
        for first in forms:
            if first in PHRASE_STARTS:
                for second in base_forms(words[position + 1]):
                    if label := WORDS.get(f"{first} {second}"):
                        return label, 2
    return next((WORDS[form] for form in forms if form in WORDS), None), 1


def _negated(words: Sequence[str], position: int) -> bool:
    negated = False
    for word in words[max(0, position - NEGATION_REACH) : position]:
        if negated and word in AFFIRMING_AFTER_NEGATION:
            negated = False
        elif word in NEGATIONS or word.endswith("n't"):
            negated = True
    return negated


@lru_cache(maxsize=8192)
def base_forms(word: str) -> tuple[str, ...]:
    """The word and what it may be an inflection of: `sobbing` gives sobbing, sobbe, sobb, sob."""
    forms = [word]
    for suffix, ending in _SUFFIXES:
        stem = word.removesuffix(suffix)
        if stem != word and len(stem) >= 2:
            forms.append(stem + ending)
            if suffix in ("ing", "ed") and len(stem) > 2 and stem[-1] == stem[-2]:
                forms.append(stem[:-1])
    return tuple(dict.fromkeys(forms))
