"""Who speaks where names lead what is said and the prompt's other texts do not tell it.

SillyTavern's default main prompt names character and user, but users write their own. Names lead messages where it is
set to write them, and always where post-processing makes the prompt a single message.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from graph.state import ChatMessage
from memory.incoming import BLANK_LINE
from memory.likely_names import likely_name
from memory.name_field import in_field
from nodes.card_text import mentions
from nodes.persona import find_card
from server.sillytavern.markers import BREAK, Markers, begun, has_line, role_of, text_in
from server.sillytavern.nudges import is_rewritten
from server.sillytavern.pairs import partner_of

LEAST_LED = 3
"""So many messages, all of them led, show that names lead them; fewer do where the prompt mentions the character."""
MENTIONED, ANSWERED, OFTEN = 3, 2, 3
"""What it tells of a name that the prompt mentions it, that it leads last, and that it leads more than once."""
ORDER, DECLARED = 3, 2
"""What it tells of a character that it speaks first while another is answered, and that the card declares it."""


@dataclass(frozen=True, slots=True)
class Cast:
    """Who is known; empty where nobody is."""

    character: str = ""
    user: str = ""
    members: tuple[str, ...] = ()
    """A group's."""

    def is_character(self, name: str) -> bool:
        return bool(self.character) and name in (self.character, in_field(self.character))


NOBODY = Cast()


def cast_of_single(messages: Sequence[ChatMessage], markers: Markers, known: Cast) -> Cast:
    """Who speaks in a prompt of a single message, in which SillyTavern leads every message with a name."""
    text = text_in(messages[0])
    declared = find_card(messages, known.character, known.user).name
    parts = begun(text, markers)
    head, leads = (parts[0], _leads(parts[1])) if parts else _chat_in(text, declared)
    others = [
        name for name in leads if name not in (*known.members, known.user) and not known.is_character(name)
    ]
    if not others or (known.user and (known.character or known.members)):
        return known
    if known.user:
        return replace(known, character=others[0])
    if known.character or known.members:
        return replace(known, user=_likeliest(others, leads, head, leads[-1]))
    if (partner := partner_of(messages, declared)) in others:
        return replace(known, character=declared, user=partner)
    continued = has_line(text, markers.continue_nudge)
    return _told_apart(leads, head, declared, continued=continued)


def cast_of_rows(messages: Sequence[ChatMessage], markers: Markers, known: Cast) -> Cast:
    """Who speaks where names lead the messages of both sides.

    What post-processing made messages of the user's has no name, nor has the placeholder before the character's first.
    """
    heads = [n for n, m in enumerate(messages) if role_of(m) == "system" and begun(text_in(m), markers)]
    rows = [m for m in messages[heads[0] + 1 if heads else 0 :] if text_in(m).strip()]
    rows = [m for m in rows if text_in(m).strip() not in markers.placeholders]
    heard = [likely_name(text_in(m)) for m in rows if role_of(m) == "assistant"]
    may_be_glued = is_rewritten(messages)
    asked = [_users_leads(text_in(m), whole=may_be_glued) for m in rows if role_of(m) == "user"]
    led = [names for names in asked if names]
    fewest = len(asked) // 2 + 1 if may_be_glued else len(asked)
    if not heard or not all(heard) or len(led) < max(1, fewest):
        return known
    if known.members and _is_bare(rows, markers):
        return known
    of_group = bool(known.members) and set(heard) <= {*known.members, *map(in_field, known.members)}
    is_one = len(set(heard)) == 1 and (not known.character or known.is_character(heard[0]))
    head = "\n".join(text_in(m) for m in messages if role_of(m) == "system")
    users = [name for name in led[-1] if name not in heard]
    tells = len(heard) + len(led) >= LEAST_LED or any(mentions(head, name) for name in (heard[0], *users))
    if not (of_group or is_one) or not tells or not users:
        return known
    user = known.user or _likeliest(users[::-1], [name for names in led for name in names], head, users[0])
    return replace(known, character=known.character or ("" if of_group else heard[0]), user=user)


def _is_bare(rows: Sequence[ChatMessage], markers: Markers) -> bool:
    """Whether no name leads what the user said last: in a group those that lead the rest may be former personas'."""
    nudges = tuple(filter(None, (markers.group_nudge, markers.continue_nudge, markers.impersonation)))
    texts = [text_in(message) for message in rows if role_of(message) == "user"]
    said = (text for text in reversed(texts) if not text.lstrip().startswith(nudges))
    return not _leads(next(said, ""))


def _users_leads(text: str, *, whole: bool) -> list[str]:
    """The names that lead paragraphs of a user's message; where nothing was merged into it, its own beginning."""
    return list(dict.fromkeys(_leads(text) if whole else filter(None, [likely_name(text)])))


def _told_apart(leads: Sequence[str], head: str, declared: str, *, continued: bool) -> Cast:
    """Which of two speakers is the character: who is continued, or else speaks first while the other one is answered,
    is declared by the card, is mentioned more often."""
    first = leads[0]
    other = _likeliest([name for name in leads if name != first], leads, head, leads[-1])
    two = [first, other] if other else [first]
    last = next(name for name in reversed(leads) if name in two)
    if continued or not other:
        character = last if continued else ""
    else:
        times = {name: len(mentions(head, name)) for name in two}
        is_answered = {last: ORDER if first != last else 1}

        def tells(name: str) -> tuple[int, int]:
            told = DECLARED * (name == declared) + (times[name] > min(times.values()))
            by_order = first != last and min(times.values()) > 0
            return told - is_answered.get(name, 0), name == first if by_order else times[name]

        character = max(two, key=tells)
    return Cast(character, next((name for name in two if name != character), ""))


def _likeliest(names: Sequence[str], leads: Sequence[str], head: str, answered: str) -> str:
    """Which of the names is a speaker's; of those that are as likely the later one. `answered` is who should be."""
    times = Counter(leads)

    def tells(name: str) -> int:
        return (
            MENTIONED * bool(mentions(head, name)) + ANSWERED * (name == answered) + OFTEN * (times[name] > 1)
        )

    return max(dict.fromkeys(reversed(names)), key=tells, default="")


def _chat_in(text: str, declared: str) -> tuple[str, list[str]]:
    """What stands before the chat, and the names that lead it, where nothing marks its beginning: it begins with the
    first name that is the character's or that is mentioned before, or with the first of two that lead again."""
    parts = BLANK_LINE.split(text)
    leads = [likely_name(part) for part in parts]
    times = Counter(filter(None, leads))
    again = {name for name in times if times[name] > 1}
    for n, name in enumerate(leads):
        before = BREAK.join(parts[:n])
        if name and (name == declared or mentions(before, name) or (name in again and len(again) > 1)):
            return before, [name for name in leads[n:] if name]
    return text, []


def _leads(text: str) -> list[str]:
    """The names that may lead paragraphs of a text."""
    return [name for part in BLANK_LINE.split(text) if (name := likely_name(part))]
