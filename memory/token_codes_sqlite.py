"""Token codes in a table of the tree's own SQLite file, read when they are asked for."""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from memory.derived import erase, made_with, opened, tree_files
from memory.files import tree_path
from memory.stored import TreeKey
from memory.token_codes import Stored

MAPPED_BYTES = 256 * 1024 * 1024
"""Of a tree's file so much is read as memory: codes of many messages half as fast again."""

KEPT_BYTES = 32 * 1024 * 1024
HELD_BYTES = 600
"""What keeping the codes of a message takes besides."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS token_codes (
  ref INTEGER PRIMARY KEY, codec INTEGER NOT NULL, steps BLOB NOT NULL, codes BLOB NOT NULL
)
"""


class SqliteTokenCodes:
    """`TokenCodes` in table `token_codes` of OWNER/TREE.sqlite; a file that is gone stays gone.

    What was read last is kept: one turn's candidates are often the next one's.
    """

    def __init__(self, root: Path, codec_key: str) -> None:
        self._root = root
        self._codec = made_with(codec_key)
        self._kept: OrderedDict[TreeKey, dict[int, Stored]] = OrderedDict()
        """The tree used last stands last, and of a tree what was read last."""
        self._kept_bytes = 0
        self._changes = 0
        """How often anything was written or deleted: what was read before is not kept."""

    async def upsert(self, key: TreeKey, items: Mapping[int, Stored]) -> None:
        self._forget(key, items)
        await asyncio.to_thread(self._write, tree_path(self._root, key), items)
        self._forget(key, items)

    async def fetch(self, key: TreeKey, refs: Sequence[int]) -> dict[int, Stored]:
        kept = self._kept.get(key, {})
        found = {ref: held for ref in refs if (held := kept.get(ref)) is not None}
        if len(found) < len(refs):
            changes, missing = self._changes, [ref for ref in refs if ref not in found]
            read = await asyncio.to_thread(self._read, tree_path(self._root, key), missing)
            if changes == self._changes:
                self._keep(key, read)
            found |= read
        return found

    def _keep(self, key: TreeKey, read: Mapping[int, Stored]) -> None:
        kept = self._kept.setdefault(key, {})
        self._kept.move_to_end(key)
        for ref in read.keys() - kept.keys():
            kept[ref] = read[ref]
            self._kept_bytes += _bytes_of(read[ref])
        while self._kept_bytes > KEPT_BYTES:
            unused = next(iter(self._kept))
            self._drop(unused, [next(iter(self._kept[unused]))])

    def _drop(self, key: TreeKey, refs: Iterable[int]) -> None:
        kept = self._kept.get(key, {})
        for one in [kept.pop(ref) for ref in refs if ref in kept]:
            self._kept_bytes -= _bytes_of(one)
        if not kept:
            self._kept.pop(key, None)

    def _forget(self, key: TreeKey, refs: Iterable[int] | None = None) -> None:
        """Keep nothing of these messages any longer; None: of none of the tree's."""
        self._changes += 1
        self._drop(key, [*self._kept.get(key, ())] if refs is None else refs)

    def _forget_all(self) -> None:
        self._changes, self._kept_bytes = self._changes + 1, 0
        self._kept.clear()

    async def delete(self, key: TreeKey, refs: Sequence[int] | None = None) -> None:
        self._forget(key, refs)
        file = tree_path(self._root, key)
        if refs is None:
            await asyncio.to_thread(erase, file, SCHEMA, "DELETE FROM token_codes")
        else:
            rows = [(int(ref),) for ref in refs]
            await asyncio.to_thread(erase, file, SCHEMA, "DELETE FROM token_codes WHERE ref = ?", rows)
        self._forget(key, refs)

    async def clear(self) -> None:
        self._forget_all()
        for file in await asyncio.to_thread(tree_files, self._root):
            await asyncio.to_thread(erase, file, SCHEMA, "DELETE FROM token_codes")

    async def count(self) -> int:
        """Opens every tree's file; for `reindex` and checks, not for every request."""
        return await asyncio.to_thread(lambda: sum(map(self._count, tree_files(self._root))))

    async def close(self) -> None:
        """No file is held open."""
        self._forget_all()

    def _write(self, file: Path, items: Mapping[int, Stored]) -> None:
        rows = [(ref, self._codec, one.steps, one.packed) for ref, one in items.items()]
        with opened(file, SCHEMA) as database:
            if database is not None:
                database.execute("BEGIN IMMEDIATE")
                database.executemany("INSERT OR REPLACE INTO token_codes VALUES (?, ?, ?, ?)", rows)
                database.execute("COMMIT")

    def _read(self, file: Path, refs: Sequence[int]) -> dict[int, Stored]:
        with opened(file, SCHEMA) as database:
            if database is None:
                return {}
            database.execute(f"PRAGMA mmap_size = {MAPPED_BYTES}")
            rows = database.execute(
                "SELECT ref, codes, steps FROM token_codes "
                "WHERE codec = ? AND ref IN (SELECT value FROM json_each(?))",
                (self._codec, json.dumps([int(ref) for ref in refs])),
            )
            return {ref: Stored(codes, steps) for ref, codes, steps in rows}

    def _count(self, file: Path) -> int:
        with opened(file, SCHEMA) as database:
            if database is None:
                return 0
            query = "SELECT count(*) FROM token_codes WHERE codec = ?"
            return int(database.execute(query, (self._codec,)).fetchone()[0])


def _bytes_of(one: Stored) -> int:
    """What a message's codes take in memory, with what holds them."""
    return len(one.packed) + len(one.steps) + HELD_BYTES
