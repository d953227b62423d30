"""What the catalog keeps of a tree: its sessions, and which message follows which."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from itertools import pairwise, product
from pathlib import Path

from memory.stored import Session, TreeKey
from memory.tree_file import TreeFile
from memory.tree_shape import TreeShape

JOINTS = 32
"""Runs of a path, from its end, whose joints are looked at."""
_MIX = 0x9E3779B97F4A7C15
_WORD = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class TreeRecord:
    """A tree for the catalog; `pairs` hold (pair, milliseconds since 1970 of its first storing)."""

    key: TreeKey
    revision: int
    sessions: Sequence[Session]
    pairs: Sequence[tuple[int, int]]
    has_jobs: bool


def pair(owner: str, before: int | None, fingerprint: int) -> int:
    """Signed 64 bits naming that an owner's message follows another; `before` None: it is the first."""
    mixed = (_seed(owner) + (before or 0)) * _MIX + fingerprint & _WORD
    return mixed - (1 << 64) if mixed >> 63 else mixed


@lru_cache(maxsize=1024)
def _seed(owner: str) -> int:
    return int.from_bytes(blake2b(owner.encode(errors="surrogatepass"), digest_size=8).digest(), "big")


def record_of(
    tree: TreeFile, sessions: Sequence[Session] | None = None, added: Sequence[int] | None = None
) -> TreeRecord:
    """A tree's record, or only what these sessions and messages change in it."""
    if sessions is None:
        sessions = [line.session for line in tree.lines.values()]
    owner, shape = tree.key.owner, tree.loaded_shape()
    pairs = list(_pairs(owner, shape, tree.stored_at(added)))
    joined = _joined(sessions, shape)
    pairs += [
        (pair(owner, shape.fingerprint(joined[i]), shape.fingerprint(i)), int(stored_at * 1000))
        for i, stored_at in tree.stored_at(list(joined))
    ]
    return TreeRecord(tree.key, tree.revision, sessions, pairs, not tree.outbox_is_empty())


def _pairs(owner: str, shape: TreeShape, stored: Sequence[tuple[int, float]]) -> Iterator[tuple[int, int]]:
    """Each pair once a tree; a first message counts when the user said it (a greeting identifies nothing)."""
    for message_id, stored_at in stored:
        parent = shape.parent(message_id)
        if (parent is not None or shape.role(message_id) == "user") and shape.pair_is_new(message_id):
            before = [None] if parent is None else shape.fingerprints_of(parent)
            for earlier, said in product(before, shape.fingerprints_of(message_id)):
                yield pair(owner, earlier, said), int(stored_at * 1000)


def _joined(sessions: Sequence[Session], shape: TreeShape) -> dict[int, int]:
    """Messages that stand after another than they were stored after: what was between is hidden or gone.

    Each with the one before it; of every path the newest.
    """
    return {
        later[0]: earlier[1]
        for session in sessions
        for earlier, later in pairwise(session.path.ranges[-JOINTS:])
        if shape.parent(later[0]) != earlier[1]
    }


def read_record(path: Path) -> TreeRecord | None:
    """The record of a tree's file; None for a file that holds no session. Raises NewerSchema."""
    with closing(sqlite3.connect(path)) as connection:
        try:
            meta = dict(connection.execute("SELECT name, value FROM meta"))
        except sqlite3.OperationalError:
            return None
    tree = TreeFile(path, TreeKey(meta["owner"], meta["tree_id"]))
    with closing(tree):
        return record_of(tree) if tree.lines else None
