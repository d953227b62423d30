"""What a piece of a prompt's opening text is: a rule for the model, an aside, or about whom.

Texts come from anywhere, so every pattern takes linear time: what can repeat is possessive or capped.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

About = Literal["rule", "staging", "aside", "lore", "user", "character", "unsaid"]
"""rule: tells the model how to write; staging: a rule that also names the character ("You will portray X");
aside: summaries and past events; lore: about something else; unsaid: names nobody."""

_I = re.IGNORECASE
_BOUNDARY = re.compile(
    r"^[^\S\n]*(?:\[(?:start a new|start new|example|new chat)[^\]\n]*\]|<start>"
    r"|example (?:chat|dialogue|messages?)s?:)",
    _I | re.MULTILINE,
)
_VERBS = (
    r"write|speak|use|be|stay|break|assume|describe|decide|control|talk|act|refer|repeat|end|include|keep"
    r"|impersonate|respond|reply|continue|engage|role-?play|enter|drive|follow|avoid|ensure|make sure|refrain"
    r"|italicize|consider|please|ignore|format|limit|develop|embody"
)
_RULE = re.compile(
    r"\A(?:[^\w\n]|_){0,20}(?:(?:do not|don['\u2019]t|never|always)\s+)?(?:(?:"
    + _VERBS
    + r")\b|your (?:task|job|role|goal)\b"
    r"|the assistant\b|system(?: note)?:|ooc\b|nsfw\b|if you have more knowledge\b"
    r"|you (?:must|should|can|may|have to|are free|are allowed|are not allowed)\b)",
    _I,
)
_STAGING = re.compile(
    r"\b(?:role-?play(?:er|ing)?|fictional (?:chat|role)|portray|play the (?:role|part)"
    r"|next (?:reply|response)|(?:write|respond|reply|answer) as"
    r"|co-?author|expert (?:actor|writer|storyteller)|uncensored)\b",
    _I,
)
_ASIDE = re.compile(
    r"\A[^\w\n]{0,20}(?:summary|past events|story so far|previously|memories"
    r"|relevant (?:memories|information)|author['\u2019]s note"
    r"|details of the fictional world)\b[^\n]{0,40}?:",
    _I,
)
_LORE = re.compile(
    r"\A(?:[^\w\n]|_){0,20}(?!(?:he|she|they|it|i|you|his|her|their|my|your)\b)"
    r"(?:the\s++[^.,;:\n]{1,60}?(?<!\s)|[^\W\d_][\w'\u2019-]++(?:\s++[^\W\d_][\w'\u2019-]++){0,3})\s++"
    r"(?:is|are|was|were|lies|stands|has been|have been)\b",
    _I,
)
_TASK = re.compile(
    r"\A(?:[^\w\n]|_){0,20}(?:ignore (?:all )?previous instructions\W+)?(?:please\s+)?"
    r"(?:summari[sz]e|extract|list|translate|classify|generate|rewrite|analy[sz]e|identify|determine|convert|provide|output|produce|evaluate"
    r"|compress|count|compare|detect|create|return|label|tag|describe)\b",
    _I,
)
_CAST = re.compile(
    r"\b(?:you are|you['\u2019]re|you will (?:be|play|act)|act as|pretend|persona|character\s*\()|"
    + _STAGING.pattern,
    _I,
)
_FIELD = re.compile(
    r"^(?:[^\w\n]|_){0,20}(?:character(?:[ _]name)?|(?:full )?name|имя|名前|名字|姓名|이름)\s*+"
    r"[:\uff1a=(]++\s*+[\"\u201c'(\[*]*+(?P<name>[^\"\u201d'\n,;:()\[\]*+|{}]{1,60})",
    _I | re.MULTILINE,
)
_SHEET = re.compile(
    r"^(?:[^\w\n]|_){0,20}(?:age|gender|species|personality|appearance|likes|traits)\s*+[:=(]",
    _I | re.MULTILINE,
)
_CAPITALISED = r"[^\W\d_a-z][\w'\u2019-]{0,40}"
_NAME = rf"(?P<name>{_CAPITALISED}(?:[ ](?:{_CAPITALISED}|of|the|von|van|de)){{0,7}})"
_SUBJECT = re.compile(
    r"\A(?:[^\w\n]|_){0,20}(?:You are |You['\u2019]re |This is |Meet )?" + _NAME + r"(?:\s*\([^)\n]*\))?"
    r"(?:,|\s+(?:is|was|has|works|lives|serves|runs|keeps)\b)"
)
_CALLED = re.compile(
    r"\b[Yy]ou(?: are|['\u2019]re)(?: called| named)? "
    + _NAME
    + r"(?=[,.;:!\n]| (?:and|from|the|of|who)\b|$)"
)
_NOBODY = frozenset(
    "the this it he she they i you we a an in here there what that write ai assistant gpt chatgpt claude"
    " gemini if when as once after before system note".split()
)


LOOK = 20_000
"""Characters by which a text is judged; what follows them is taken for more of the same."""
LONGEST_NAME = 100
"""Characters of a name that are looked for."""
LEAST_PROSE = 80
"""Characters below which "Mira is late" is something said, not Mira's definition."""


@dataclass(frozen=True, slots=True)
class Cast:
    """Who is meant; empty where unknown."""

    character: str = ""
    user: str = ""


def boundary(text: str) -> int:
    """Where the card ends at the latest: the examples or the start of the chat; the length if nowhere."""
    found = _BOUNDARY.search(text)
    return found.start() if found else len(text)


def is_task(text: str) -> bool:
    """Whether a text orders a job (summarise, extract, ...) and casts no part."""
    return _TASK.match(text) is not None and _CAST.search(text, 0, LOOK) is None


def describes_someone(text: str) -> bool:
    """Whether a system text may be a character's definition; long texts that order no job may."""
    if is_task(text):
        return False
    text = text[:LOOK]
    named = _SUBJECT.match(text) is not None and declared_name(text) != ""
    return bool(named or len(text) > 400 or _CAST.search(text) or _FIELD.search(text) or _SHEET.search(text))


def defines_someone(text: str) -> bool:
    """Whether something said is a definition all the same: staging, a sheet, a paragraph about someone."""
    if boundary(text) < len(text):
        return True
    text = text[:LOOK]
    if _STAGING.search(text) or _FIELD.search(text) or _SHEET.search(text):
        return True
    return len(text) >= LEAST_PROSE and declared_name(text) != ""


def declared_name(text: str) -> str:
    """Whom a text says it defines: a name field, "You are X", or the subject it begins with; or empty."""
    text = text[:LOOK]
    for pattern in (_FIELD, _CALLED):
        if found := pattern.search(text):
            return _proper(found["name"])
    found = _SUBJECT.match(text)
    return _proper(found["name"]) if found else ""


def _proper(name: str) -> str:
    name = name.strip(" .\"'\u201c\u201d")
    return "" if name.split(" ", 1)[0].lower() in _NOBODY else name


def same_name(one: str, other: str) -> bool:
    """Whether two names share a word (Mira, Mira Voss)."""
    return bool(set(_words(one)) & set(_words(other)))


def _words(name: str) -> list[str]:
    name = name[:LONGEST_NAME]
    words = [word for word in re.split(r"[\s\"'\u201c\u201d\u2019()]+", name.casefold()) if len(word) > 2]
    return [name.casefold(), *words] if name else []


def mentions(text: str, name: str) -> list[int]:
    """Where a name or one of its words stands in a text, ascending; also in scripts without word breaks."""
    folded, places = text.casefold(), set[int]()
    for word in _words(name):
        edge = r"(?<!\w){}(?!\w)" if word.isascii() else "{}"
        places.update(found.start() for found in re.finditer(edge.format(re.escape(word)), folded))
    return sorted(places)


def about(text: str, cast: Cast) -> About:
    """What a piece is, by its opening and by whose name leads its sentences."""
    return _about(text[:LOOK], cast)


@lru_cache(maxsize=256)
def _about(text: str, cast: Cast) -> About:
    if _ASIDE.match(text):
        return "aside"
    character, user = mentions(text, cast.character), mentions(text, cast.user)
    if _STAGING.search(text) and re.search(r"\byou(?:r|['\u2019]ll)?\b|\bwrite\b", text[:200], _I):
        return "staging" if mentions(_without_staging(text), cast.character) else "rule"
    if field := _FIELD.search(text):
        if same_name(field["name"], cast.user):
            return "user"
        return "character"
    called = _CALLED.search(text)
    if called and character and same_name(called["name"], cast.character):
        return "character"
    leads = not text[: character[0]].strip(" \"'*[<({#-") if character else False
    if _RULE.match(text) and not leads:
        return "rule"
    if not character and not user:
        return "lore" if _LORE.match(text) else "unsaid"
    return _subject(text, character, user)


def _without_staging(text: str) -> str:
    sentences = re.split(r"(?<=[.!?。])\s+|\n", text)
    return " ".join(sentence for sentence in sentences if not _STAGING.search(sentence))


def _subject(text: str, character: list[int], user: list[int]) -> Literal["user", "character"]:
    starts = [sum(_leads_sentence(text, at) for at in places) for places in (character, user)]
    if starts[0] != starts[1]:
        return "character" if starts[0] > starts[1] else "user"
    return "character" if character and (not user or character[0] < user[0]) else "user"


def _leads_sentence(text: str, at: int) -> bool:
    before = text[max(at - 20, 0) : at].rstrip(" \"'*_([{<#-\t")
    return not before or before[-1] in ".!?。\uff01\uff1f\n;:"
