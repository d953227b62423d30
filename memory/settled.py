"""What of unsettled messages was said, where a chat is shown whole and message by message."""

from __future__ import annotations

from memory.alignment import Alignment
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
