"""The catalog: which tree holds a session, a chat or a piece of conversation. Derived from the trees.

Its writes are not waited for to reach the disk, except the mark that a tree is about to change: after a crash
the marked trees are looked at again. Methods block unless they are `async`.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from graph.errors import DataFolderError, NewerSchema
from memory.files import open_database, schema_version, transaction
from memory.schema import CATALOG_SCHEMA, CATALOG_VERSION
from memory.stored import Session, TreeKey
from memory.tree_record import TreeRecord, pair, read_record
from memory.whose import ANYBODY, Whose

log = logging.getLogger(__name__)
FILE = "catalog.sqlite"
TREES_A_PAIR = 8
"""Trees considered for one pair, the newest: a greeting and "hi" stand in thousands."""
TELLING_PAIRS = 8
"""Pairs of a window that must be found, from the newest, before the rest is not looked at."""
CANDIDATES = 8
Given = Sequence[object] | Mapping[str, object]
"""What a query's parameters stand for."""


class Catalog:
    """One process's catalog: one connection writes, one reads, so that no look-up waits for the disk."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        self._write = open_database(path, CATALOG_SCHEMA, CATALOG_VERSION)
        self._write.execute("PRAGMA synchronous=NORMAL")
        self._write.execute("PRAGMA secure_delete=ON")
        self._reading = threading.Lock()
        self._read = open_database(path, CATALOG_SCHEMA, CATALOG_VERSION)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="catalog")
        rows = self._write.execute("SELECT owner, tree_id FROM dirty")
        self._dirty = {TreeKey(*row) for row in rows}

    @classmethod
    def open(cls, root: Path) -> Catalog:
        """The catalog of a data folder, rebuilt when it is missing, damaged or of an older version.

        Raises NewerSchema.
        """
        path = root / FILE
        try:
            if path.exists() and schema_version(path) < CATALOG_VERSION:
                remove_database(path)
            missing = not path.exists()
            catalog = cls(path)
        except NewerSchema:
            raise
        except DataFolderError as error:
            log.warning("the catalog is rebuilt from the chats: %s", error)
            remove_database(path)
            catalog, missing = cls(path), True
        if missing:
            catalog.rebuild(root)
        return catalog

    def rebuild(self, root: Path) -> int:
        """Read every tree's file anew; how many there are. Raises NewerSchema."""
        records = (read_record(path) for path in tree_files(root))
        with self._lock, transaction(self._write):
            for table in ("trees", "sessions", "pairs", "dirty"):
                self._write.execute(f"DELETE FROM {table}")
            found = 0
            for record in records:
                if record is not None:
                    found += 1
                    self._put(record)
                    if record.has_jobs:
                        self._write.execute("INSERT INTO dirty VALUES (?, ?)", _row(record.key))
            self._dirty = {TreeKey(*row) for row in self._write.execute("SELECT owner, tree_id FROM dirty")}
        return found

    def mark(self, key: TreeKey) -> None:
        """Note, durably, that a tree is about to change and may have work in its outbox."""
        with self._lock:
            if key in self._dirty:
                return
            self._write.execute("PRAGMA synchronous=FULL")
            self._write.execute("INSERT OR IGNORE INTO dirty VALUES (?, ?)", _row(key))
            self._write.execute("PRAGMA synchronous=NORMAL")
            self._dirty.add(key)

    def unmark(self, key: TreeKey) -> None:
        """Note that nothing is left to do for a tree."""
        with self._lock:
            if key in self._dirty:
                self._write.execute("DELETE FROM dirty WHERE owner = ? AND tree_id = ?", _row(key))
                self._dirty.discard(key)

    def dirty(self) -> list[TreeKey]:
        """The marked trees."""
        with self._lock:
            return list(self._dirty)

    def record(self, record: TreeRecord, *, whole: bool) -> None:
        """Take over what a tree holds now (`whole`), or what changed in it."""
        with self._lock, transaction(self._write):
            if whole:
                self._erase(record.key)
            self._put(record)

    def forget(self, key: TreeKey) -> None:
        """A tree is gone."""
        with self._lock:
            with transaction(self._write):
                self._erase(key)
                self._write.execute("DELETE FROM trees WHERE owner = ? AND tree_id = ?", _row(key))
            self.unmark(key)

    def empty_journal(self) -> None:
        """Move everything into the file itself, so that no name that was deleted is left beside it."""
        with self._lock, self._reading:
            self._write.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _put(self, record: TreeRecord) -> None:
        number = self._write.execute(
            "INSERT INTO trees(owner, tree_id, revision) VALUES (?, ?, ?) "
            "ON CONFLICT DO UPDATE SET revision = excluded.revision RETURNING number",
            (*_row(record.key), record.revision),
        ).fetchone()[0]
        self._write.executemany(
            "INSERT OR REPLACE INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [_session_row(session, number) for session in record.sessions],
        )
        self._write.executemany(
            "INSERT OR IGNORE INTO pairs VALUES (?, ?, ?)", [(p, seen, number) for p, seen in record.pairs]
        )

    def _erase(self, key: TreeKey) -> None:
        of_tree = "tree = (SELECT number FROM trees WHERE owner = ? AND tree_id = ?)"
        for table in ("sessions", "pairs"):
            self._write.execute(f"DELETE FROM {table} WHERE {of_tree}", _row(key))

    def revision(self, key: TreeKey) -> int | None:
        """The tree's revision that the catalog knows; None for a tree it does not."""
        row = self._look("SELECT revision FROM trees WHERE owner = ? AND tree_id = ?", _row(key))
        return int(row[0][0]) if row else None

    def trees(self) -> list[TreeKey]:
        return [TreeKey(*row) for row in self._look("SELECT owner, tree_id FROM trees ORDER BY number")]

    def tree_of(self, owner: str, session_id: str) -> TreeKey | None:
        """The tree that a session lives in."""
        row = self._look(
            "SELECT owner, tree_id FROM trees WHERE number = "
            "(SELECT tree FROM sessions WHERE owner = ? AND session_id = ?)",
            (owner, session_id),
        )
        return TreeKey(*row[0]) if row else None

    def page(self, owner: str, limit: int, offset: int) -> tuple[list[tuple[str, TreeKey]], int]:
        """Sessions with their trees, most recently updated first, and how many there are in all."""
        rows = self._look(
            "SELECT session_id, trees.owner, tree_id FROM sessions JOIN trees ON trees.number = tree "
            "WHERE sessions.owner = ? ORDER BY updated_at DESC, session_id LIMIT ? OFFSET ?",
            (owner, limit, offset),
        )
        total = self._look("SELECT count(*) FROM sessions WHERE owner = ?", (owner,))[0][0]
        return [(session_id, TreeKey(*key)) for session_id, *key in rows], total

    async def of_chat(self, owner: str, chat_id: str, whose: Whose = ANYBODY) -> str | None:
        """The first of the sessions that a front-end's chat id may mean."""
        return next(iter(await self.chats_of(owner, chat_id, whose)), None)

    async def chats_of(self, owner: str, chat_id: str, whose: Whose = ANYBODY) -> list[str]:
        """The sessions of a front-end's chat id with this character, or of a group where one is meant, and after
        them those of the other of both. Of the same avatar first, then those that told none (by their names), the
        one used last before others. None for the empty id, which chats without an id have."""
        if not chat_id:
            return []
        rows = await self._ask(
            _OF_CHAT,
            {
                "owner": owner,
                "chat": chat_id,
                "told": whose.told,
                "character": whose.character,
                "group": whose.is_group,
                "avatar": whose.avatar,
            },
        )
        return [session_id for (session_id,) in rows]

    def whose_chats(self, owner: str, chat_id: str) -> list[Whose]:
        """Who has chats of a front-end's id."""
        rows = self._look(
            "SELECT DISTINCT iif(is_group, '', character), is_group, iif(is_group, '', avatar) FROM sessions "
            "WHERE owner = ? AND chat_id = ? ORDER BY 1, 2, 3",
            (owner, chat_id),
        )
        return [Whose(character, bool(is_group), avatar) for character, is_group, avatar in rows]

    async def of_person(self, owner: str, user: str, character: str) -> str | None:
        """The newest session of a person with a character that no chat id names; a chat that never told its
        `user` is nobody's, whatever the name of who speaks in it."""
        rows = await self._ask(
            "SELECT session_id FROM sessions WHERE owner = ? AND chat_id = '' AND user_name = ? "
            "AND character = ? AND left_behind = 0 AND coalesce(person, user_name) = user_name "
            "ORDER BY updated_at DESC LIMIT 1",
            (owner, user, character),
        )
        return rows[0][0] if rows else None

    async def recent_of_character(
        self, owner: str, character: str, person: str, limit: int, avatar: str = ""
    ) -> list[tuple[str, TreeKey]]:
        """A character's sessions with a person (OpenAI's `user`; empty: those that told none) and their trees,
        most recently used first; no group's, none that a fork left behind, and with an avatar none of another."""
        rows = await self._ask(_RECENT.format(""), (owner, character, person, avatar, avatar, limit))
        return [(session_id, TreeKey(*key)) for session_id, *key in rows]

    async def unnamed_of_character(
        self, owner: str, character: str, person: str, limit: int, avatar: str = ""
    ) -> list[tuple[str, TreeKey]]:
        """The same, of those that no chat id names."""
        rows = await self._ask(
            _RECENT.format("AND chat_id = ''"), (owner, character, person, avatar, avatar, limit)
        )
        return [(session_id, TreeKey(*key)) for session_id, *key in rows]

    async def holding(self, owner: str, fingerprints: Sequence[int]) -> list[TreeKey]:
        """Trees that hold parts of a conversation, those with most of its newest parts first; at most 8."""
        return await asyncio.get_running_loop().run_in_executor(
            self._pool, self._holding, owner, list(fingerprints)
        )

    def _holding(self, owner: str, fingerprints: Sequence[int]) -> list[TreeKey]:
        votes: Counter[int] = Counter()
        telling = 0
        for n in reversed(range(len(fingerprints))):
            found = self._look(
                "SELECT tree FROM pairs WHERE pair = ? ORDER BY seen DESC LIMIT ?",
                (pair(owner, fingerprints[n - 1] if n else None, fingerprints[n]), TREES_A_PAIR),
            )
            votes.update(tree for (tree,) in found)
            telling += bool(found)
            if telling == TELLING_PAIRS:
                break
        best = [tree for tree, _ in votes.most_common(CANDIDATES)]
        rows = [self._look("SELECT owner, tree_id FROM trees WHERE number = ?", (tree,)) for tree in best]
        return [TreeKey(*row[0]) for row in rows if row]

    def _look(self, query: str, given: Given = ()) -> list[Any]:  # Any: a row's columns
        with self._reading:
            return self._read.execute(query, given).fetchall()

    async def _ask(self, query: str, given: Given) -> list[Any]:
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._look, query, given)

    def close(self) -> None:
        self._pool.shutdown()
        self._read.close()
        self._write.close()


_RECENT = (
    "SELECT session_id, trees.owner, tree_id FROM sessions JOIN trees ON trees.number = tree "
    "WHERE sessions.owner = ? AND character = ? AND left_behind = 0 AND NOT is_group "
    "AND coalesce(person, '') = ? AND (? = '' OR avatar IN ('', ?)) {} "
    "ORDER BY updated_at DESC, session_id LIMIT ?"
)
_OF_CHAT = (
    "SELECT session_id FROM sessions WHERE owner = :owner AND chat_id = :chat AND (NOT :told "
    "OR (is_group AND :group) OR iif(is_group OR avatar = '' OR :avatar = '', character IN (:character, ''), "
    "avatar = :avatar)) ORDER BY :told AND is_group <> :group, :avatar <> '' AND avatar <> :avatar, left_behind, "
    "updated_at DESC LIMIT 8"
)


def tree_files(root: Path) -> list[Path]:
    """Every tree's file below the data folder."""
    return sorted(root.glob("*/*.sqlite"))


def remove_database(path: Path) -> None:
    """Remove a database with what SQLite keeps beside it."""
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _row(key: TreeKey) -> tuple[str, str]:
    return key.owner, key.tree_id


def _session_row(session: Session, tree: int) -> tuple[object, ...]:
    s = session
    who = (s.key.owner, s.session_id, tree, s.chat_id, s.character, s.user_name)
    dates = (s.created_at, s.updated_at)
    return (
        *who,
        s.version,
        len(s.path),
        s.forked_from,
        s.left_behind,
        *dates,
        s.is_group,
        s.person,
        s.avatar,
    )
