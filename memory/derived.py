"""Derived tables in a tree's own file: opened without ever making the file, erased without a trace."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path


@contextmanager
def opened(file: Path, schema: str) -> Iterator[sqlite3.Connection | None]:
    """A connection to a tree's file, with a derived table in it: None when the file is gone.

    synchronous=NORMAL is enough: what a power cut loses was written before its job was finished, in the same
    file, so the job is lost with it and done again.
    """
    try:
        database = sqlite3.connect(
            f"{file.absolute().as_uri()}?mode=rw", uri=True, timeout=30, isolation_level=None
        )
    except sqlite3.OperationalError:
        if file.exists():
            raise
        yield None
        return
    try:
        database.execute("PRAGMA synchronous = NORMAL")
        database.execute(schema)
        yield database
    finally:
        database.close()


def erase(file: Path, schema: str, statement: str, parameters: Sequence[tuple[int, ...]] = ((),)) -> None:
    """Delete rows, overwriting them with zeros."""
    with opened(file, schema) as database:
        if database is not None:
            database.execute("PRAGMA secure_delete = ON")
            database.execute("BEGIN IMMEDIATE")
            database.executemany(statement, parameters)
            database.execute("COMMIT")
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def tree_files(root: Path) -> list[Path]:
    """The files of all trees below a data folder."""
    return sorted(root.glob("*/*.sqlite"))


def made_with(name: str) -> int:
    """64 bits that stand for what derived data were made with (weights, a codec)."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big", signed=True)
