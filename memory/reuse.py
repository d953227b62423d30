"""Which stored message a row of a path is, when it is not on the path already: nothing is stored twice."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from itertools import takewhile

from memory.name_field import are_others
from memory.path import Path, PathBuilder
from memory.places import stands_before
from memory.transcript import TreeView

LONGEST_ABSENCE = 64
"""How many messages in a row may have left the path above one that comes back to the path's end."""
COME_BACK = 2
"""So many hidden messages may come back before it in the same request, edited since, so that nothing tells them."""


def stored_again(
    tree: TreeView,
    laid: PathBuilder,
    later: Container[int],
    fingerprint: int,
    speaker: str,
    *,
    inner: bool,
    new: Mapping[int, int],
) -> int | None:
    """The message that goes on the path after what is `laid`, when the tree holds it; None: store it anew.

    `later` holds the messages that the path has further on. An equal child of the message laid last comes
    first. Within the path (`inner`) any equal message that left it comes back: it was hidden, or edited and
    edited back; one that was said after what comes later only where there is no other. At its end one comes
    back only when all that stood between it and the path has left, so that a common word said again is a new
    message. What another said is not what `speaker` says; an empty one is not known. `new` has the fingerprints of
    what is laid and not stored yet.
    """
    child = equal_child(tree, laid, later, fingerprint, speaker)
    if child is not None:
        return child
    absent = _absent(tree, laid, later, fingerprint, speaker)[::-1]
    if inner:
        return min(absent, key=lambda i: _is_ahead(tree.parent(i), laid, later), default=None)
    return next((i for i in absent if _belongs_here(tree, laid, later, i, new)), None)


def equal_child(
    tree: TreeView, laid: PathBuilder, later: Container[int], fingerprint: int, speaker: str
) -> int | None:
    """The message of this speaker's that was stored after the one laid last."""
    absent = _absent(tree, laid, later, fingerprint, speaker)
    return next((i for i in absent if tree.parent(i) == laid.last), None)


def same_reply(tree: TreeView, laid: PathBuilder, before: Path, fingerprint: int, speaker: str) -> int | None:
    """The reply that a new one of the same words replaces: it stood on the session's path as it was `before`, with
    nothing but replies between it and what is laid last."""
    at = None if laid.last is None else before.position(laid.last)
    replaced = before.slice(at + 1, at + 1 + LONGEST_ABSENCE) if at is not None else []
    replies = takewhile(lambda i: tree.role(i) == "assistant", replaced)
    same = (i for i in replies if tree.fingerprint(i) == fingerprint and i not in laid)
    return next((i for i in same if not are_others(tree.speaker(i), speaker)), None)


def _absent(
    tree: TreeView, laid: PathBuilder, later: Container[int], fingerprint: int, speaker: str
) -> list[int]:
    """The equal messages that the path does not have, and that nobody else said."""
    equal = (i for i in tree.ids_of(fingerprint) if i not in later and i not in laid)
    return [i for i in equal if not are_others(tree.speaker(i), speaker)]


def _is_ahead(message_id: int | None, laid: PathBuilder, later: Container[int]) -> bool:
    """Whether a message stands on the path further on than what is laid."""
    return message_id is not None and message_id in later and message_id not in laid


def _belongs_here(
    tree: TreeView, laid: PathBuilder, later: Container[int], message_id: int, new: Mapping[int, int]
) -> bool:
    """Whether its nearest ancestor on the path is followed by hardly more messages than have left in between,
    besides older ones that were hidden when it was said; where none have left it is another answer there, unless
    the one before it goes on in what follows: both were one message when it was answered."""
    left = 0
    ancestor = tree.parent(message_id)
    while ancestor is not None and ancestor not in laid and ancestor not in later:
        left += 1
        if left > LONGEST_ABSENCE:
            return False
        ancestor = tree.parent(ancestor)
    after = laid.laid_after(ancestor, LONGEST_ABSENCE)
    if not after:
        return after is not None and left > 0
    path = Path(laid.ranges)
    following = path.slice(len(path) - after)
    instead = sum(i < 0 or not stands_before(i, message_id, path, tree) for i in following)
    if left:
        return instead <= left + COME_BACK
    return not instead or (ancestor is not None and _goes_on(ancestor, following, tree, new))


def _goes_on(message_id: int, following: Sequence[int], tree: TreeView, new: Mapping[int, int]) -> bool:
    """Whether all that follows a message is the same side's, and stored or a part of what the message was."""
    role = tree.role(message_id)
    return all(
        tree.role(i) == role if i in tree else message_id in tree.within(new.get(i, 0)) for i in following
    )
