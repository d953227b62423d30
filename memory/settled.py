"""What a window tells of messages that are stored: what was said of them, and who said it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from memory.alignment import Alignment
from memory.glue import said_paragraphs
from memory.incoming import Incoming, prefix_of
from memory.name_field import in_field
from memory.stored import Settled
from memory.transcript import TreeView


def settled_by(alignment: Alignment, tree: TreeView) -> list[Settled]:
    """Every unsettled message that a row of the window is: nothing was glued to that row."""
    known = {settled.id for settled in alignment.settled}
    more = [
        Settled(i, row.text, row.fingerprint)
        for i, row in zip(alignment.rows, alignment.window, strict=True)
        if i is not None and i not in known and tree.unsettled(i)
    ]
    return [*alignment.settled, *more]


def renamed_by(alignment: Alignment, tree: TreeView, user_name: str) -> list[tuple[int, str]]:
    """The stored messages of which the window tells other speakers, and these.

    Nobody was known for them, or the form of the name that OpenAI's field takes; or they were unsettled, and a name led
    what turned out to be glued on: what no name leads is the present user's, `user_name`.
    """
    settled = {one.id for one in alignment.settled}
    said = [
        (i, row.speaker or (user_name if i in settled and _lost_its_name(i, row, tree) else ""))
        for i, row in zip(alignment.rows, alignment.window, strict=True)
        if i is not None
    ]
    return [
        (i, name)
        for i, name in said
        if name
        and (known := tree.speaker(i)) != name
        and (not known or i in settled or known == in_field(name))
    ]


class Told(NamedTuple):
    """Messages that have other speakers now, and these."""

    renamed: Sequence[tuple[int, str]]
    respoken: Sequence[tuple[int, str]] = ()
    """Those whose texts are shown with the former speaker's name before them: it is none of a speaker's."""


def told_speakers(alignment: Alignment, tree: TreeView, told: Mapping[int, str]) -> Told:
    """What a window that tells every name as it is now, by the rows' index, tells of stored messages: the user's
    earlier ones became another persona's, or a character was renamed in them."""
    renamed, respoken = list[tuple[int, str]](), list[tuple[int, str]]()
    for i, row in zip(alignment.rows, alignment.window, strict=True):
        name, known = told[row.index], "" if i is None else tree.speaker(i)
        if i is not None and name not in ("", known):
            keeps = prefix_of(row.text, [known] if known else [])
            (respoken if keeps else renamed).append((i, name))
    return Told(renamed, respoken)


def _lost_its_name(i: int, row: Incoming, tree: TreeView) -> bool:
    """Whether the name before an unsettled message led a paragraph that the row shows nobody to have said there."""
    is_users = row.role == "user" and tree.is_led(i)
    return is_users and said_paragraphs(row)[0] != tree.paragraphs(i)[0]
