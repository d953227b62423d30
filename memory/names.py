"""Whose names lead the messages of a request: those it tells, and those that its chat is known to have.

A request tells who speaks now. Who spoke before (a persona that the user had, a member who left the group) only
the stored tree tells, and that is known once the session is: then the window is read anew with its names. To find
the session, whatever looks like a name is taken for one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from memory.glue import MOST_PARAGRAPHS, joined, said_paragraphs, unled
from memory.incoming import (
    BLANK_LINE,
    ROLES,
    Incoming,
    Speakers,
    fingerprint,
    incoming,
    prefix_of,
    text_of,
    without,
)
from memory.likely_names import LIKE_A_NAME
from memory.name_field import forms, in_field, with_names
from memory.transcript import TreeView
from memory.tree_shape import NO_TREE

MOST_GUESSES = 16
"""Names guessed for a request, those that lead most of its paragraphs."""
MOST_LEADING = 4
"""Speakers of a tree, the latest to speak, who may have led a message that comes without a name."""
MOST_SPEAKERS = 64
"""Speakers of a tree whose names are looked for in a request, the latest to speak first."""


@dataclass(frozen=True)
class Prompt:
    """A request's messages and the names that it tells."""

    messages: Sequence[Mapping[str, Any]]  # Any: OpenAI's JSON
    names: Sequence[str]
    user_name: str = ""
    character: str = ""

    @cached_property
    def window(self) -> list[Incoming]:
        """The window by the names that the request tells."""
        return self._read(Speakers())

    def window_in(self, tree: TreeView) -> list[Incoming]:
        """The window by the names that its chat's tree knows as well."""
        others = self._others(tree)
        told = window = self._read(Speakers(), tree)
        while others.users or others.characters:
            window = self._read(others, tree)
            fewer = _written(others, told, window, tree)
            if fewer == others:
                break
            window, others = told, fewer
        own = [self.user_name] if self.user_name else []
        return [as_stored(row, tree, own) for row in window]

    def cast_in(self, tree: TreeView) -> tuple[str, str]:
        """Character and user. A prompt of a single message may tell two names without telling whose they are: there
        the tree's speakers tell it."""
        character, user = self.character, self.user_name
        if len(self.messages) == 1 and character and user:
            users, characters = (set(tree.speakers(role)) for role in ROLES)
            is_user = character in users - characters and user not in users
            if is_user or (user in characters - users and character not in characters):
                return user, character
        return character, user

    def guesses(self) -> Iterator[list[Incoming]]:
        """The windows there are where no name is one, or the user's is none, also before what has none now, or whatever
        looks like a name is one: by these a chat is found.

        In a prompt of a single message nothing tells the names of users from those of characters.
        """
        if len(self.messages) == 1 and self.character and self.user_name:
            yield replace(self, character=self.user_name, user_name=self.character).window
        elif any(map(is_led, self.window)):
            yield incoming(self._shown, ())
            yield incoming(self._shown, [name for name in self.names if name != self.user_name])
        if self.user_name:
            yield [self._named(row) for row in self.window]
        guessed = {role: self._guessed(role) for role in ROLES}
        found = Speakers(guessed["user"], guessed["assistant"])
        if found != Speakers():
            yield self._read(found)
            if len(self.messages) == 1:
                yield self._read(Speakers(found.characters, found.users))

    def _named(self, row: Incoming) -> Incoming:
        """A row of the user's as it came when it was led by a name that nobody was known by."""
        is_bare = row.role == "user" and not is_led(row)
        mark = fingerprint(row.role, f"{self.user_name}: {row.text}")
        return replace(row, fingerprint=mark) if is_bare else row

    def _read(self, others: Speakers, tree: TreeView = NO_TREE) -> list[Incoming]:
        character, user = self.cast_in(tree)
        return incoming(self._meant(others), self.names, user, others, tree.ids_of, character)

    def _meant(self, others: Speakers) -> Sequence[Mapping[str, Any]]:
        """The messages with the names that were written as OpenAI's `name` field takes them; of two that are
        written alike, the one who speaks now."""
        characters = [self.character, *(name for name in self.names if name != self.user_name)]
        users = forms([self.user_name, *reversed(others.users)])
        return with_names(
            self.messages, {"user": users, "assistant": forms([*characters, *reversed(others.characters)])}
        )

    @cached_property
    def _shown(self) -> Sequence[Mapping[str, Any]]:
        return self._meant(Speakers())

    def _others(self, tree: TreeView) -> Speakers:
        """The speakers of the tree that the request does not tell, and whose names stand in it."""
        users, characters = (
            [name for name in tree.speakers(role)[-MOST_SPEAKERS:] if name not in self.names]
            for role in ROLES
        )
        first = Speakers(*(self._first_told(role, tree) for role in ROLES))
        if not users and not characters:
            return first
        text = "\n".join(self._texts(*ROLES))
        fields = {str(message.get("name") or "") for message in self.messages}
        shown = [
            tuple(name for name in names if _is_shown(name, text, fields)) for names in (users, characters)
        ]
        return Speakers((*shown[0], *first.users), (*shown[1], *first.characters))

    def _first_told(self, role: str, tree: TreeView) -> tuple[str, ...]:
        """Names that lead what nobody was known to have said, more than once or wherever anything known is shown:
        then no name was told or written."""
        leads: Counter[str] = Counter()
        least = 1
        whole = self._texts(role) if len(self.messages) > 1 else []
        for text in dict.fromkeys(part for said in whole for part in (said, *BLANK_LINE.split(said))):
            led = LIKE_A_NAME.match(text)
            if tree.ids_of(fingerprint(role, text)):
                least = 2
            elif led and led[1] not in self.names:
                said = tree.ids_of(fingerprint(role, text[led.end() :]))
                leads[led[1]] += bool(said) and not any(map(tree.speaker, said))
        return tuple(name for name, times in leads.items() if times >= least)

    def _guessed(self, role: str) -> tuple[str, ...]:
        leads: Counter[str] = Counter()
        for text in self._texts(role):
            for part in BLANK_LINE.split(text):
                known = prefix_of(part, self.names)
                alike = LIKE_A_NAME.match(without(known, part.lstrip()))
                if alike and (not known or len(self.messages) == 1):
                    leads[alike[1]] += 1
        return tuple(name for name, _ in leads.most_common(MOST_GUESSES) if name not in self.names)

    def _texts(self, *roles: str) -> list[str]:
        return [text_of(m.get("content")) for m in self._shown if m.get("role") in roles]


def _is_shown(name: str, text: str, fields: Set[str]) -> bool:
    """Whether a name leads something in the text, or is in a field, in whatever form."""
    form = in_field(name)
    return f"{name}:" in text or (form != name and (form in fields or f"{form}:" in text))


def as_stored(row: Incoming, tree: TreeView, names: Sequence[str] = ()) -> Incoming:
    """The row, or one of the same text that the tree holds with its speaker's name read the other way.

    What was taken for a name once is one, and what was not is none: a name may be told later or no more. But it tells
    who said what nobody was known to have said. `names` may have led a row that comes without a speaker.
    """
    if tree.ids_of(row.fingerprint):
        return row
    if is_led(row):
        for lead in _written_as(row.speaker):
            whole = fingerprint(row.role, f"{lead}:{row.text.lstrip()[len(row.speaker) + 1 :]}")
            if ids := tree.ids_of(whole):
                is_told = row.role == "assistant" or row.speaker in names
                is_known = lead != row.speaker or (is_told and not any(map(tree.speaker, ids)))
                return replace(row, speaker=row.speaker if is_known else "", fingerprint=whole)
        return _as_merged(row, tree, names, [])
    name = prefix_of(row.text, tree.speakers(row.role))
    if name:
        led = replace(row, speaker=name, fingerprint=fingerprint(row.role, without(name, row.text.lstrip())))
        return led if tree.ids_of(led.fingerprint) else row
    leading = (
        [row.speaker] if row.speaker else dict.fromkeys([*names, *tree.speakers(row.role)[-MOST_LEADING:]])
    )
    leads = [lead for name in leading for lead in _written_as(name)]
    for lead in leads:
        named = fingerprint(row.role, f"{lead}: {row.text}")
        if tree.ids_of(named):
            return replace(row, fingerprint=named)
    return _as_merged(row, tree, names, leads)


def _as_merged(row: Incoming, tree: TreeView, names: Sequence[str], leads: Sequence[str]) -> Incoming:
    """The row, or one that the tree holds of the same messages merged, as they were written when the user had
    another name: with one of `leads` before the first, with one of `names` before a later one, without those that
    stand there now.
    """
    parts = said_paragraphs(row)[:MOST_PARAGRAPHS] if row.merged else []
    without_names = [*parts[:1], *map(unled, parts[1:])]
    for said in (parts, without_names) if without_names != parts else (parts,):
        named = (
            [*said[:n], f"{name}: {said[n]}", *said[n + 1 :]] for n in range(1, len(said)) for name in names
        )
        for written in map(joined, (said, *named)):
            for text in (written, *(f"{lead}: {written}" for lead in leads)):
                if tree.ids_of(mark := fingerprint(row.role, text)):
                    return replace(row, fingerprint=mark)
    return row


def _written(
    others: Speakers, told: Sequence[Incoming], window: Sequence[Incoming], tree: TreeView
) -> Speakers:
    """The speakers whose names the front-end writes: not those of whom more messages are shown without.

    What the name of such a one leads was typed so. A phrase that several said shows none of them without a name.
    """
    led = Counter(row.speaker for row in window if tree.ids_of(row.fingerprint))
    said = [(row, {tree.speaker(i) for i in tree.ids_of(row.fingerprint)}) for row in told if not is_led(row)]
    bare = Counter(
        name for row, names in said if len(names) == 1 for name in names if not prefix_of(row.text, names)
    )
    users, characters = (tuple(name for name in others.of(role) if bare[name] <= led[name]) for role in ROLES)
    return Speakers(users, characters)


def _written_as(name: str) -> Sequence[str]:
    form = in_field(name)
    return [name] if form == name else [name, form]


def is_led(row: Incoming) -> bool:
    """Whether a row's text begins with its speaker's name."""
    return bool(prefix_of(row.text, [row.speaker] if row.speaker else []))
