"""Exact search over the vectors that stand in the tree's own SQLite file, held in RAM while it is hot."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import ParamSpec, TypeVar

import numpy as np

from memory.derived import erase, made_with, opened, tree_files
from memory.files import tree_path
from memory.path import Path
from memory.rows import Refs, Rows, best_of_each, nearest, rows_of, stored_ids
from memory.stored import TreeKey
from memory.vectors import Hit, Item, ItemKind, Vector

P = ParamSpec("P")
T = TypeVar("T")

HOT_TREES = 1_000
HOT_ROWS = 500_000
"""Rows over all trees held in RAM (768 MB at 384 numbers a row); the tree in use is held in any case."""
THREAD_ROWS = 12_000
"""From so many rows on a search runs in a thread, so that the event loop never waits for a millisecond."""
KEPT = np.dtype("<f2")
"""Half precision: half the file for a cosine that is right to 0.0005."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS piece_vectors (
  kind TEXT NOT NULL, ref INTEGER NOT NULL, piece INTEGER NOT NULL,
  weights INTEGER NOT NULL, vector BLOB NOT NULL,
  PRIMARY KEY (kind, ref, piece)
)
"""


@dataclass(slots=True)
class _Tree:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    rows: dict[ItemKind, Rows] | None = None
    """None: not read from the file yet."""

    def __len__(self) -> int:
        return sum(len(rows) for rows in (self.rows or {}).values())


class ExactVectors:
    """`VectorIndex` in table `piece_vectors` of OWNER/TREE.sqlite; a file that is gone stays gone.

    Rows made with other weights are not read; they are replaced when their item is indexed again.
    """

    name = "exact"

    def __init__(self, root: FilePath, weights_hash: str, dimension: int) -> None:
        self._root = root
        self._weights = made_with(weights_hash)
        self._dimension = dimension
        self._trees: OrderedDict[TreeKey, _Tree] = OrderedDict()

    async def upsert(self, key: TreeKey, items: Sequence[Item]) -> None:
        """Write the items, replacing those that are there; nothing happens where the tree has no file."""
        tree = self._tree(key)
        async with tree.lock:
            try:
                kept = await asyncio.to_thread(self._write_and_hold, key, tree.rows, items)
            except BaseException:
                tree.rows = None
                raise
            if not kept:
                tree.rows = None
        self._cool()

    async def search(
        self, key: TreeKey, kind: ItemKind, query: Vector, allowed: Path | None, k: int
    ) -> list[Hit]:
        vectors, refs = await self._view(key, kind)
        return await _beside(len(refs), nearest, vectors, refs, query, allowed, k)

    async def similarities(self, key: TreeKey, kind: ItemKind, query: Vector, path: Path) -> Vector:
        vectors, refs = await self._view(key, kind)
        return await _beside(len(refs), lambda: best_of_each(vectors, refs, query, stored_ids(path)))

    async def vectors(self, key: TreeKey, kind: ItemKind, refs: Sequence[int]) -> dict[int, Vector]:
        vectors, known = await self._view(key, kind)
        return await _beside(len(known), rows_of, vectors, known, refs)

    async def _view(self, key: TreeKey, kind: ItemKind) -> tuple[Vector, Refs]:
        """The rows of a tree and their items, read from its file where it is not hot; none without a file."""
        tree = self._tree(key)
        if tree.rows is None:
            async with tree.lock:
                if tree.rows is None:
                    tree.rows = await asyncio.to_thread(self._read, key)
            self._cool()
        if tree.rows is None:
            return np.zeros((0, self._dimension), np.float32), np.zeros(0, np.int64)
        return tree.rows[kind].view()

    async def delete(self, key: TreeKey, refs: Sequence[int] | None = None) -> None:
        tree = self._tree(key)
        async with tree.lock:
            rows, tree.rows = tree.rows, None
            await asyncio.to_thread(self._erase, key, refs)
            if refs is not None and rows is not None:
                await asyncio.to_thread(rows["message"].remove, refs)
                tree.rows = rows

    async def clear(self) -> None:
        for file in await asyncio.to_thread(tree_files, self._root):
            await asyncio.to_thread(erase, file, SCHEMA, "DELETE FROM piece_vectors")
        for tree in self._trees.values():
            tree.rows = None

    async def count(self) -> int:
        """Opens every tree's file; for `reindex` and checks, not for every request."""
        return await asyncio.to_thread(lambda: sum(map(self._count, tree_files(self._root))))

    async def close(self) -> None:
        self._trees.clear()

    def _tree(self, key: TreeKey) -> _Tree:
        tree = self._trees.setdefault(key, _Tree())
        self._trees.move_to_end(key)
        return tree

    def _cool(self) -> None:
        """Let go of the trees longest unused until at most HOT_TREES and HOT_ROWS are left."""
        total = sum(map(len, self._trees.values()))
        for key, tree in list(self._trees.items())[:-1]:
            if (len(self._trees) > HOT_TREES or total > HOT_ROWS) and not tree.lock.locked():
                total -= len(tree)
                del self._trees[key]

    def _write_and_hold(self, key: TreeKey, rows: dict[ItemKind, Rows] | None, items: Sequence[Item]) -> bool:
        written = self._write(key, items)
        if written and rows is not None:
            for item in items:
                rows[item.kind].put(item.ref, item.pieces.astype(KEPT).astype(np.float32))
        return written

    def _write(self, key: TreeKey, items: Sequence[Item]) -> bool:
        with opened(tree_path(self._root, key), SCHEMA) as database:
            if database is None:
                return False
            database.execute("BEGIN IMMEDIATE")
            database.executemany(
                "DELETE FROM piece_vectors WHERE kind = ? AND ref = ?",
                [(item.kind, item.ref) for item in items],
            )
            database.executemany(
                "INSERT OR REPLACE INTO piece_vectors VALUES (?, ?, ?, ?, ?)", self._records(items)
            )
            database.execute("COMMIT")
            return True

    def _records(self, items: Iterable[Item]) -> Iterator[tuple[ItemKind, int, int, int, bytes]]:
        for item in items:
            for piece, vector in enumerate(np.ascontiguousarray(item.pieces, KEPT)):
                yield item.kind, item.ref, piece, self._weights, vector.tobytes()

    def _read(self, key: TreeKey) -> dict[ItemKind, Rows] | None:
        with opened(tree_path(self._root, key), SCHEMA) as database:
            if database is None:
                return None
            return {"message": self._rows(database, "message"), "card": self._rows(database, "card")}

    def _rows(self, database: sqlite3.Connection, kind: ItemKind) -> Rows:
        found = database.execute(
            "SELECT ref, vector FROM piece_vectors WHERE kind = ? AND weights = ? ORDER BY ref, piece",
            (kind, self._weights),
        ).fetchall()
        vectors = np.frombuffer(b"".join(blob for _, blob in found), KEPT).astype(np.float32)
        refs = np.fromiter((ref for ref, _ in found), dtype=np.int64, count=len(found))
        return Rows(vectors.reshape(-1, self._dimension), refs)

    def _erase(self, key: TreeKey, refs: Sequence[int] | None) -> None:
        file = tree_path(self._root, key)
        if refs is None:
            erase(file, SCHEMA, "DELETE FROM piece_vectors")
        else:
            erase(
                file,
                SCHEMA,
                "DELETE FROM piece_vectors WHERE kind = 'message' AND ref = ?",
                [(ref,) for ref in refs],
            )

    def _count(self, file: FilePath) -> int:
        with opened(file, SCHEMA) as database:
            if database is None:
                return 0
            (count,) = database.execute(
                "SELECT count(DISTINCT kind || ref) FROM piece_vectors WHERE weights = ?", (self._weights,)
            ).fetchone()
            return int(count)


async def _beside(rows: int, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The call's result, in a thread where many rows are looked at."""
    if rows < THREAD_ROWS:
        return call(*args, **kwargs)
    return await asyncio.to_thread(call, *args, **kwargs)
