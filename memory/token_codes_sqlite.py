"""Token codes in a table of the tree's own SQLite file, read when they are asked for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from memory.derived import erase, made_with, opened, tree_files
from memory.files import tree_path
from memory.stored import TreeKey
from memory.token_codes import Stored
from models.token_codes import CODE_BYTES

STEPS = (np.dtype("<u1"), np.dtype("<u2"), np.dtype("<u4"))

SCHEMA = """
CREATE TABLE IF NOT EXISTS token_codes (
  ref INTEGER PRIMARY KEY, codec INTEGER NOT NULL, steps BLOB NOT NULL, codes BLOB NOT NULL
)
"""


class SqliteTokenCodes:
    """`TokenCodes` in table `token_codes` of OWNER/TREE.sqlite; a file that is gone stays gone."""

    def __init__(self, root: Path, codec_key: str) -> None:
        self._root = root
        self._codec = made_with(codec_key)

    async def upsert(self, key: TreeKey, items: Mapping[int, Stored]) -> None:
        await asyncio.to_thread(self._write, tree_path(self._root, key), items)

    async def fetch(self, key: TreeKey, refs: Sequence[int]) -> dict[int, Stored]:
        return await asyncio.to_thread(self._read, tree_path(self._root, key), refs) if refs else {}

    async def delete(self, key: TreeKey, refs: Sequence[int] | None = None) -> None:
        file = tree_path(self._root, key)
        if refs is None:
            await asyncio.to_thread(erase, file, SCHEMA, "DELETE FROM token_codes")
        else:
            rows = [(int(ref),) for ref in refs]
            await asyncio.to_thread(erase, file, SCHEMA, "DELETE FROM token_codes WHERE ref = ?", rows)

    async def clear(self) -> None:
        for file in await asyncio.to_thread(tree_files, self._root):
            await asyncio.to_thread(erase, file, SCHEMA, "DELETE FROM token_codes")

    async def count(self) -> int:
        """Opens every tree's file; for `reindex` and checks, not for every request."""
        return await asyncio.to_thread(lambda: sum(map(self._count, tree_files(self._root))))

    async def close(self) -> None:
        """No file is held open."""

    def _write(self, file: Path, items: Mapping[int, Stored]) -> None:
        rows = [(ref, self._codec, *packed(one)) for ref, one in items.items()]
        with opened(file, SCHEMA) as database:
            if database is not None:
                database.execute("BEGIN IMMEDIATE")
                database.executemany("INSERT OR REPLACE INTO token_codes VALUES (?, ?, ?, ?)", rows)
                database.execute("COMMIT")

    def _read(self, file: Path, refs: Sequence[int]) -> dict[int, Stored]:
        with opened(file, SCHEMA) as database:
            if database is None:
                return {}
            rows = database.execute(
                "SELECT ref, steps, codes FROM token_codes "
                "WHERE codec = ? AND ref IN (SELECT value FROM json_each(?))",
                (self._codec, json.dumps([int(ref) for ref in refs])),
            )
            return {ref: unpacked(steps, codes) for ref, steps, codes in rows}

    def _count(self, file: Path) -> int:
        with opened(file, SCHEMA) as database:
            if database is None:
                return 0
            query = "SELECT count(*) FROM token_codes WHERE codec = ?"
            return int(database.execute(query, (self._codec,)).fetchone()[0])


def packed(one: Stored) -> tuple[bytes, bytes]:
    """The steps, in as few bytes as the longest one takes, and the codes."""
    kind = next(kind for kind in STEPS if one.steps.max(initial=0) <= np.iinfo(kind).max)
    return one.steps.astype(kind).tobytes(), one.codes.tobytes()


def unpacked(steps: bytes, codes: bytes) -> Stored:
    """What was packed."""
    size = CODE_BYTES * len(steps) // max(len(codes), 1)
    return Stored(
        np.frombuffer(codes, np.uint8).reshape(-1, CODE_BYTES), np.frombuffer(steps, f"<u{size or 1}")
    )
