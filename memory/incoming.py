"""What a request's `messages` say: rows of the conversation with their fingerprints."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import pairwise
from typing import Any

from memory.likely_names import LIKE_A_NAME, likely_name
from memory.turns import pieces, text_of_parts

ROLES = ("user", "assistant")
SYSTEM = ("system", "developer")
BLANK_LINE = re.compile(r"\n[ \t]*\n\s*")
BEGINNING = "[Here the chat begins]"
"""The first paragraph of a prompt of a single message where nothing stands before the chat: names lead the rest."""
BRACKETED = re.compile(r"\[[^\]\n]+\]")
MOST_FINGERPRINTS = 32_768
"""About 5 MB."""
_fingerprints: dict[int, int] = {}

IdsOf = Callable[[int], Sequence[int]]
"""Ids of the messages with a fingerprint that a tree holds, ascending."""


@dataclass(frozen=True, slots=True)
class Speakers:
    """Names by the role of those who have them."""

    users: tuple[str, ...] = ()
    characters: tuple[str, ...] = ()

    def of(self, role: str) -> tuple[str, ...]:
        return self.users if role == "user" else self.characters


NOBODY = Speakers()


@dataclass(frozen=True, slots=True)
class Incoming:
    """One row of the window; `index` is its place in the request's `messages`."""

    role: str
    speaker: str
    text: str
    fingerprint: int
    index: int
    glued: bool = False
    """Post-processing may have glued other text to it, or it to others."""
    merged: bool = False
    """It may be several messages in one: no two neighbours of the request have the same role."""
    unsettled: bool = False
    """Of its text some may not have been said."""
    is_named: bool = True
    """A name leads whatever its side says now: where none does, a name tells who said it once."""


def fingerprint(role: str, text: str) -> int:
    """A message's identity: signed 64 bits of blake2b over role and text, runs of whitespace as one space.

    A window is read anew with each request, so results are kept, under 64 bits of Python's hash instead of the
    texts themselves, which would keep whole windows in RAM.
    """
    key = hash((role, text))
    known = _fingerprints.get(key)
    if known is None:
        said = f"{role}\n{' '.join(text.split())}".encode(errors="surrogatepass")
        known = int.from_bytes(blake2b(said, digest_size=8).digest(), "big", signed=True)
        if len(_fingerprints) >= MOST_FINGERPRINTS:
            _fingerprints.clear()
        _fingerprints[key] = known
    return known


def no_ids(_: int) -> Sequence[int]:
    """Those of a tree that is not known."""
    return ()


def incoming(
    messages: Sequence[Mapping[str, Any]],
    names: Iterable[str],
    user_name: str = "",
    others: Speakers = NOBODY,
    ids_of: IdsOf = no_ids,
    character: str = "",
) -> list[Incoming]:
    """The window: user and assistant messages that have text, in order.

    The speaker is the message's `name`, or a leading "Name: " whose Name is in `names`, or in those of
    `others` that have the message's role: who spoke before and is not told any more. Who begins a message with the
    name of the `character` who answers them speaks to it. The text is kept as it
    came, the fingerprint leaves such a prefix out, so that a chat stays the same when prefixes are
    switched on or off. A message that may be several is cut before the names that lead paragraphs, but for what
    the tree (`ids_of`) holds as one. A prompt that is a single message is taken apart (`_single`), into texts
    without the names that were written before them. Any: OpenAI's JSON.
    """
    known = [name for name in names if name]
    text = text_of(messages[0].get("content")) if len(messages) == 1 else ""
    if text and (len(known) > 1 or text.startswith(BEGINNING)):
        rows = _single(text, known, user_name, others, ids_of, character)
        return rows or _rows(messages, known, user_name, others, ids_of, character)
    return _rows(messages, known, user_name, others, ids_of, character)


def _rows(
    messages: Sequence[Mapping[str, Any]],
    names: Sequence[str],
    user_name: str,
    others: Speakers,
    ids_of: IdsOf,
    character: str,
) -> list[Incoming]:
    rows: list[Incoming] = []
    known = {role: [*leading(role, names, user_name, character), *others.of(role)] for role in ROLES}
    glued = all(message.get("role") not in SYSTEM for message in messages[1:])
    merged = all(a.get("role") != b.get("role") for a, b in pairwise(messages))
    cast = _cast(messages, names, user_name, others) if merged else _Cast()
    for index, message in enumerate(messages):
        role = message.get("role", "")
        text = text_of(message.get("content")) if role in ROLES else ""
        if text.strip():
            name = str(message.get("name") or "")
            may_be_glued = glued and role == "user"

            def row(said: str, role: str = role, name: str = name, index: int = index) -> Incoming:
                return row_of(role, name, said, known[role], index)

            def stored_at(said: str, row: Callable[[str], Incoming] = row) -> int:
                return max(ids_of(row(said).fingerprint), default=0)

            texts = cast.turns(role, text, stored_at, glued=may_be_glued)
            is_named = not merged or bool(cast.always.of(role))
            known_of = {"glued": may_be_glued, "merged": merged, "is_named": is_named}
            rows += [row_of(role, name, part, known[role], index, **known_of) for part in texts]
    return rows


@dataclass(frozen=True, slots=True)
class _Cast:
    """Whose names a front-end writes before the messages that it merges, by role."""

    always: Speakers = NOBODY
    """Before all that they say."""
    now_and_then: Speakers = NOBODY
    """Before what they said, for somebody else has their role now."""

    def turns(self, role: str, text: str, stored_at: Callable[[str], int], *, glued: bool) -> list[str]:
        """A text cut before every paragraph that a name leads, where one leads the first.

        Where all messages have names, what stands before the first name was glued on, and is none; but what nothing
        but a name that nobody told leads is a message, of a persona that the user had.
        """
        names = [*self.always.of(role), *self.now_and_then.of(role)]
        if not names:
            return [text]
        parts = led_paragraphs(text, names)
        starts = [n for n, part in enumerate(parts) if prefix_of(part, names)]
        has_glue_before = glued and bool(self.always.of(role))
        is_led = not starts and (likely_name(text) or (LIKE_A_NAME.match(text) and stored_at(text)))
        if is_led or (not has_glue_before and (len(starts) < 2 or starts[0])):
            return [text]

        bare = {part: without(prefix_of(part, names), part.lstrip()) for part in parts}

        def stored(said: str) -> int:
            """Also as it was written when its names were those of who spoke then, before none of it."""
            return max(stored_at(said), stored_at(text_of_parts([bare[part] for part in said.split("\n\n")])))

        cuts = pieces(parts, starts, [stored] * len(starts))
        return [text_of_parts(parts[first:end]) for first, end in cuts]


def _cast(
    messages: Sequence[Mapping[str, Any]], names: Sequence[str], user_name: str, others: Speakers
) -> _Cast:
    """Whose names lead messages for sure: every one of the character's, and then most of the user's. A client that
    writes no names merges nothing either, as far as it shows."""
    told = Speakers((user_name,) if user_name else tuple(names), _but(user_name, names))
    texts = {role: [text_of(m.get("content")) for m in messages if m.get("role") == role] for role in ROLES}
    heard = [text for text in texts["assistant"] if text.strip()]
    if not heard or not all(prefix_of(text, [*told.characters, *others.characters]) for text in heard):
        return _Cast(now_and_then=others)
    theirs = [*told.users, *others.users]
    users = [led_paragraphs(text, theirs) for text in texts["user"] if text.strip()]
    led = sum(any(prefix_of(part, theirs) for part in parts) for parts in users)
    is_led = 2 * led > len(users) and any(prefix_of(parts[0], theirs) for parts in users)
    is_led = is_led and any(prefix_of(part, told.users) for parts in users for part in parts)
    return _Cast(Speakers(told.users if is_led else (), told.characters), others)


def _but(name: str, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(other for other in names if other != name) or tuple(names)


def _single(
    text: str,
    names: Sequence[str],
    user_name: str,
    others: Speakers,
    ids_of: IdsOf,
    character: str,
) -> list[Incoming]:
    """The messages of a prompt that was written as one text, each led by its speaker's name.

    What stands before the first name, or before the last line of its own in brackets that a name follows
    (the start of the chat, after example dialogues), is no message. Where the user's name is not known it is
    the last one's but the `character`'s, who is answered; the other names are characters. A message of somebody
    else's gets the name of the one who has its role now before its own.
    """
    known = [*names, *others.users, *others.characters]
    parts = led_paragraphs(text.strip(), known)
    speakers = [prefix_of(part, known) for part in parts]
    begins = parts[0] == BEGINNING
    heads = [n for n, part in enumerate(parts) if BRACKETED.fullmatch(part) and any(speakers[n + 1 : n + 2])]
    heads = [0] if begins else heads
    starts = [n for n, name in enumerate(speakers) if name and n > (heads[-1] if heads else -1)]
    if len(starts) < (1 if heads else 2):
        return []
    last = (speakers[n] for n in reversed(starts) if speakers[n] != character)
    user = user_name if user_name in names else next(last, "")

    def row(start: int, said: str) -> Incoming:
        speaker = speakers[start]
        role = "user" if speaker == user or speaker in others.users else "assistant"
        said = without(speaker, said)
        own = prefix_of(said, others.of(role))
        return replace(row_of(role, own or speaker, without(own, said), []), glued=True)

    def stored_at(start: int) -> Callable[[str], int]:
        return lambda said: max(ids_of(row(start, said).fingerprint), default=0)

    cuts = pieces(parts, starts, [stored_at(start) for start in starts])
    return [row(first, text_of_parts(parts[first:end])) for first, end in cuts]


def leading(role: str, names: Sequence[str], user_name: str, character: str) -> Sequence[str]:
    """The names that may lead a message of this role: in a chat of two the character's leads none of the user's."""
    of_two = role == "user" and character != user_name and set(names) <= {character, user_name}
    return [name for name in names if name != character] if of_two else names


def led_paragraphs(text: str, names: Sequence[str]) -> list[str]:
    """A text's paragraphs. A name that stands alone leads the next one, for a message may begin with an empty line;
    where that has a name too, nothing was said under it."""
    found: list[str] = []
    alone = ""
    for part in BLANK_LINE.split(text):
        said = f"{alone} {part}" if alone and not prefix_of(part, names) else part
        alone = said.strip() if said.rstrip().endswith(":") and said.strip()[:-1] in names else ""
        found += [] if alone else [said]
    return [*found, alone] if alone else found


def row_of(
    role: str, name: str, text: str, names: Sequence[str], index: int = 0, **known_of: bool
) -> Incoming:
    """One row of a text; `name` is its speaker's, where that came beside the text, `known_of` what else is known of
    it by the names of `Incoming`."""
    prefix = prefix_of(text, [name, *names] if name else names)
    said = text.lstrip()[len(prefix) + 1 :] if prefix else text
    return Incoming(role, name or prefix, text, fingerprint(role, said), index, **known_of)


def text_of(content: object) -> str:
    """The text of a message's content: a string, or parts, their texts apart as SillyTavern's `mergeMessages` keeps
    them, which parts merged texts at its pictures. Fingerprints tell no blank line from another space."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    return "\n\n".join(
        part["text"]
        for part in content
        if isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)
    )


def without(name: str, text: str) -> str:
    """A text without the name that it leads with."""
    return text.removeprefix(f"{name}:").lstrip(" ") if name else text


def prefix_of(text: str, names: Iterable[str]) -> str:
    """The name that a text leads with, as in "Mira: Hello"; empty when what follows is empty too."""
    said = text.lstrip()
    for name in names:
        if said.startswith(f"{name}:") and said[len(name) + 1 :].strip():
            return name
    return ""
