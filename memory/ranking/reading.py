"""What a line asks for and what a line holds, read from its words."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import IntFlag

from memory.ranking.words import STOP_WORDS, stem, terms

MONTHS = "january|february|march|april|may|june|july|august|september|october|november|december"
DAYS = "monday|tuesday|wednesday|thursday|friday|saturday|sunday"

_TIME = re.compile(
    r"\b(?:yesterday|today|tonight|tomorrow|last|next|ago|weekend|weeks?|months?|years?|morning|evening|night|soon|"
    rf"recently|since|just|{DAYS}|{MONTHS}|(?:19|20)\d\d|\d+(?:st|nd|rd|th))\b",
    re.IGNORECASE,
)
_NAMED = re.compile(r"(?<=[a-z0-9,] )[A-Z][^\W\d_]+")
_FIRST_PERSON = re.compile(r"\b(?:i|my|me|mine|we|our|us)\b", re.IGNORECASE)
_WHEN = re.compile(r"\bwhen\b|\bhow (?:long|old|recently)|\b(?:what|which) (?:year|month|date|day|time)")
_WHERE = re.compile(r"\bwhere\b|\b(?:what|which) (?:\w+ )?(?:cit|countr|state|place|location|town)")
_WHO = re.compile(
    r"\bwho(?:m|se)?\b|\bnames?\b|\bwhich\b|\bwhat (?:\w+ )?"
    r"(?:books?|movies?|games?|songs?|bands?|shows?|series|pets?|people|persons?|artists?|authors?)\b"
)
_ASKS = re.compile(
    r"^\W*(?:who|what|when|where|which|why|how|do|does|did|is|are|was|were|have|has|can|could|explain|describe|"
    r"define|summari[sz]e|translate|(?:tell|remind) (?:me|us))\b"
)
_GESTURE = re.compile(r"\*[^*]*\*")
"""What role-play puts between asterisks: done, not said."""
_CONTRAST = re.compile(
    r"(?:[,;\u2013\u2014-]\s*)?\b(?:not(?= (?:the|a|an|his|her|my|their|our|when)\b)|distinct from|different from|"
    r"rather than|instead of|as opposed to|other than|apart from|before|preceded|prior to)\b",
    re.IGNORECASE,
)
CONTRAST_FROM = 12
"""Characters that must stand before a contrast for there to be anything that it contrasts with."""


SMALL_TALK = frozenset(
    map(
        stem,
        "ok okay yes yeah yep yup nope nah sure fine right alright exactly true thank thanks please hello hi hey "
        "bye goodbye goodnight morning night evening afternoon day good great nice cool awesome wow oh ah aww um "
        "uh er hmm hm mhm mm haha hahaha hah ha lol heh sorry welcome see later soon tomorrow agree understand "
        "sound go well much lot nod smile laugh grin chuckle giggle sigh shrug wink blush wave bow look glance "
        "stare gaze blink lean sit stand tilt pause wait slowly softly gently quietly silently bit little head "
        "hand eye face shoulder lip back away".split(),
    )
)
"""Stems of greetings, of assent, and of gestures that accompany it."""


class Holds(IntFlag):
    """What a message holds, as bits that are stored with it."""

    TIME = 1
    NAME = 2
    QUOTE = 4
    FIRST_PERSON = 8
    QUESTION = 16
    ENDS_ASKING = 32


@dataclass(frozen=True, slots=True)
class Asked:
    """What a line asks for. `text` is what to embed: speakers' names give way to I and my.

    `named` are indices into the names it was read with; from character `contrast` of `text` on (None:
    nowhere) it says what is not meant.
    """

    text: str
    named: frozenset[int]
    contrast: int | None
    question: bool
    when: bool
    where: bool
    who: bool


def read_asked(text: str, names: Sequence[str], asker: int | None = None) -> Asked:
    """Read the newest line. `names` are the path's speakers, `asker` whose line this is.

    Messages say I where a question says the speaker's name: "When did Mira leave?" is answered by "I left in
    May", and the name alone would find the lines of others who call her. In a question "you" means
    the others, when no speaker is named.
    """
    named: set[int] = set()
    for index, name in enumerate(names):
        found = _name(name)
        if found is not None and found.search(text):
            named.add(index)
            text = found.sub(lambda m: "my" if m.group(1) else "I", text)
    lower = text.lower()
    if not named and asker is not None and asks(lower) and re.search(r"\byour?\b", lower):
        if not _FIRST_PERSON.search(lower):
            named = set(range(len(names))) - {asker}
            text = re.sub(r"\byou\b", "I", re.sub(r"\byour\b", "my", text))
    match = _CONTRAST.search(text)
    contrast = match.start() if match and match.start() >= CONTRAST_FROM else None
    lower = text.lower()
    kinds = (bool(pattern.search(lower)) for pattern in (_WHEN, _WHERE, _WHO))
    return Asked(text, frozenset(named), contrast, asks(lower), *kinds)


def asks(text: str) -> bool:
    """Whether a line is a question or asks to be told; gestures before and after it set aside."""
    said = _GESTURE.sub(" ", text)
    said = (said if said.strip() else text).lower()
    return said.rstrip(" \t\n\"'*)\u201d").endswith("?") or bool(_ASKS.match(said))


def tells_something(text: str) -> bool:
    """Whether a line holds a word beyond greetings, assent and gestures ("*nods* Okay.")."""
    return not SMALL_TALK.issuperset(terms(text))


def names_in(text: str) -> set[str]:
    """What a message names: the capitalised words inside its sentences."""
    return set(_NAMED.findall(text))


def holds(text: str, names: Collection[str]) -> Holds:
    """The bits of a message; `names` are those of `names_in` that are no speaker's."""
    stripped = text.rstrip(" \t\n\"'*)")
    found = Holds(0)
    for bit, present in (
        (Holds.TIME, bool(_TIME.search(text))),
        (Holds.NAME, bool(names)),
        (Holds.QUOTE, '"' in text or "\u201c" in text),
        (Holds.FIRST_PERSON, bool(_FIRST_PERSON.search(text))),
        (Holds.QUESTION, "?" in text),
        (Holds.ENDS_ASKING, stripped.endswith("?")),
    ):
        found |= bit if present else Holds(0)
    return found


def _name(name: str) -> re.Pattern[str] | None:
    """Matches the whole name or its first word, group 1 a possessive; None for names of one letter, or "You"."""
    parts = [part for part in (name, name.split()[0] if name.split() else "") if len(part) > 1]
    parts = [part for part in parts if part.lower() not in STOP_WORDS]
    if not parts:
        return None
    either = "|".join(re.escape(part) for part in dict.fromkeys(parts))
    return re.compile(rf"\b(?:{either})('s|\u2019s)?(?!\w)")
