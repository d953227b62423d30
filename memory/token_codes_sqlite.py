"""Token codes in a table of the tree's own SQLite file, read when they are asked for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from memory.derived import erase, opened, tree_files
from memory.files import tree_path
from memory.token_codes import Stored
from memory.transcript import TreeKey
from models.token_codes import CODE_BYTES

SCHEMA = """
CREATE TABLE IF NOT EXISTS token_codes (
  ref INTEGER PRIMARY KEY, codec TEXT NOT NULL, starts BLOB NOT NULL, codes BLOB NOT NULL
)
"""


class SqliteTokenCodes:
    """`TokenCodes` in table `token_codes` of OWNER/TREE.sqlite; a file that is gone stays gone."""

    def __init__(self, root: Path, codec_key: str) -> None:
        self._root = root
        self._codec = codec_key

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
        rows = [
            (ref, self._codec, one.starts.astype("<i4").tobytes(), one.codes.tobytes())
            for ref, one in items.items()
        ]
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
                "SELECT ref, starts, codes FROM token_codes "
                "WHERE codec = ? AND ref IN (SELECT value FROM json_each(?))",
                (self._codec, json.dumps([int(ref) for ref in refs])),
            )
            return {ref: _stored(starts, codes) for ref, starts, codes in rows}

    def _count(self, file: Path) -> int:
        with opened(file, SCHEMA) as database:
            if database is None:
                return 0
            query = "SELECT count(*) FROM token_codes WHERE codec = ?"
            return int(database.execute(query, (self._codec,)).fetchone()[0])


def _stored(starts: bytes, codes: bytes) -> Stored:
    return Stored(
        np.frombuffer(codes, np.int8).reshape(-1, CODE_BYTES), np.frombuffer(starts, "<i4").astype(np.int32)
    )
