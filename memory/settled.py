"""What a window tells of messages that are stored: what was said of them, and who said it."""

from __future__ import annotations

from memory.alignment import Alignment
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


def renamed_by(alignment: Alignment, tree: TreeView) -> list[tuple[int, str]]:
    """The stored messages whose speaker was known by the form of the name that OpenAI's field takes, and the name."""
    return [
        (i, row.speaker)
        for i, row in zip(alignment.rows, alignment.window, strict=True)
        if i is not None and (known := tree.speaker(i)) != row.speaker and known == in_field(row.speaker)
    ]
