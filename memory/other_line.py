"""Another line of a tree: where a window shows what the tree holds off a session's path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile

from memory.alignment import Alignment, Change, users_of
from memory.incoming import Incoming
from memory.path import Path, encode
from memory.transcript import TreeView


def line_elsewhere(
    window: Sequence[Incoming], path: Path, tree: TreeView, lines: Sequence[Path] = ()
) -> Path | None:
    """The line of the newest user message of the window that the tree holds, off the session's path; where the path
    has that one, of the newest reply off it that was given once.

    It is as one of the other sessions' `lines` has it, or else as it was said. Where it leaves the path its head is
    the path's: what was deleted there is no part of the line either.
    """
    held = [(said.role, ids) for said in reversed(window) if (ids := tree.ids_of(said.fingerprint))]
    newest = next((ids[-1] for role, ids in held if role == "user"), None)
    if newest is None or newest in path:
        replies = (ids[0] for role, ids in held if role == "assistant" and len(ids) == 1)
        newest = next((i for i in replies if i not in path), newest)
    if newest is None:
        return None
    back = _as_stored(newest, lines) or _as_said(newest, path, tree)
    line = [*takewhile(lambda i: i not in path, back)]
    at = path.position(back[len(line)]) if len(line) < len(back) else None
    head = [] if at is None else path.between(0, at + 1)
    return Path([*head, *encode(reversed(line))])


def _as_stored(newest: int, lines: Sequence[Path]) -> Sequence[int]:
    """A line that has a message, from that one back to its beginning; empty where none has."""
    found = ((line, at) for line in lines if (at := line.position(newest)) is not None)
    return next((line.slice(0, at + 1)[::-1] for line, at in found), [])


def _as_said(newest: int, path: Path, tree: TreeView) -> Sequence[int]:
    """What a message was said after, from it back to what is on the path, or was before the path's first."""
    back, parent = [newest], tree.parent(newest)
    dropped = _ancestors(path[0], tree)
    while parent is not None and parent not in dropped:
        back.append(parent)
        if parent in path:
            break
        parent = tree.parent(parent)
    return back


def on_another_line(alignment: Alignment, path: Path, tree: TreeView, change: Change) -> Alignment:
    """An alignment with another line of the tree, as a change of the session's own path."""
    shown, holes = Path(alignment.path), {*alignment.holes}
    left = [i for i in path if i not in shown and i not in holes]
    return replace(
        alignment,
        change=change,
        apart_from_holes=change,
        left=left,
        left_users=users_of(left, tree),
    )


def _ancestors(message_id: int, tree: TreeView) -> set[int]:
    """The messages that a message was stored after."""
    found: set[int] = set()
    parent = tree.parent(message_id)
    while parent is not None:
        found.add(parent)
        parent = tree.parent(parent)
    return found
