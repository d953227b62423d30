"""The data folder: names of files, opening of databases, and the lock that one process holds."""

from __future__ import annotations

import fcntl
import json
import os
import re
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from hashlib import blake2b
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from graph.errors import DataFolderBusy, DataFolderError, NewerSchema
from memory.stored import TreeKey

LONGEST_NAME = 40
BUSY_MS = 10_000
CHECKPOINT_PAGES = 250
"""Of the journal, 1 MB, for each open chat has one; the default is four times as many."""
LONGEST_JOURNAL = 1_000_000
LOCK_FILE = ".lock"
_SAFE = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")
_MADE_SAFE = re.compile(r".*-[0-9a-f]{16}")
_RESERVED = re.compile(r"con|prn|aux|nul|com[0-9]|lpt[0-9]")


def safe_name(text: str) -> str:
    """A file name for any id: the id itself when it is short and safe, else a slug of it and its hash.

    Lower case letters, digits and '-' only, at most 57 of them, never reserved or empty. Different ids have
    different names, also on a file system that ignores case.
    """
    if _SAFE.fullmatch(text) and not _MADE_SAFE.fullmatch(text) and not _RESERVED.fullmatch(text):
        return text
    slug = re.sub(r"[^a-z0-9]+", "-", text.lower())[:LONGEST_NAME].strip("-") or "id"
    return f"{slug}-{blake2b(text.encode(errors='surrogatepass'), digest_size=8).hexdigest()}"


def tree_path(root: Path, key: TreeKey) -> Path:
    """Where a tree's file is: OWNER/TREE.sqlite below the data folder."""
    return root / safe_name(key.owner) / f"{safe_name(key.tree_id)}.sqlite"


def open_database(
    path: Path,
    schema: Sequence[str],
    version: int,
    migrations: Mapping[int, Sequence[str]] = MappingProxyType({}),
) -> sqlite3.Connection:
    """Open or make a database whose every commit is durable; the caller serialises its use.

    `schema` are statements that may be run again (CREATE ... IF NOT EXISTS); `migrations` those that lead from
    an older version to the next, by the older one. Raises NewerSchema when the file
    was written by a newer version, DataFolderError when it cannot be opened or is no database.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        connection = sqlite3.connect(
            path, timeout=BUSY_MS / 1000, isolation_level=None, check_same_thread=False
        )
    except (OSError, sqlite3.Error) as error:
        raise DataFolderError(f"{path} cannot be opened: {error}") from error
    try:
        _prepare(connection, path, schema, version, migrations)
    except sqlite3.Error as error:
        connection.close()
        raise DataFolderError(f"{path} cannot be opened: {error}") from error
    except NewerSchema:
        connection.close()
        raise
    return connection


def schema_version(path: Path) -> int:
    """The version of a database that exists. Raises DataFolderError when it cannot be read."""
    try:
        with closing(sqlite3.connect(path, timeout=BUSY_MS / 1000)) as connection:
            return int(connection.execute("PRAGMA user_version").fetchone()[0])
    except sqlite3.Error as error:
        raise DataFolderError(f"{path} cannot be opened: {error}") from error


def _prepare(
    connection: sqlite3.Connection,
    path: Path,
    schema: Sequence[str],
    version: int,
    migrations: Mapping[int, Sequence[str]],
) -> None:
    found = connection.execute("PRAGMA user_version").fetchone()[0]
    if found > version:
        raise NewerSchema(
            f"{path.name} has schema version {found}, this software knows {version}. "
            f"Update it, or set DB_PATH to another folder. (The file is {path}.)"
        )
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
    connection.execute(f"PRAGMA journal_size_limit={LONGEST_JOURNAL}")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    with transaction(connection):
        older = range(found, version) if found else ()
        for statement in (*(s for v in older for s in migrations.get(v, ())), *schema):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version={version}")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """A write transaction: committed when the block ends, rolled back when it or the commit raises."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


class Holder(NamedTuple):
    """Who holds a data folder."""

    pid: int
    url: str | None


class FolderLock:
    """The data folder, held by this process until `release` or its end, however it ends."""

    def __init__(self, folder: Path) -> None:
        """Raises DataFolderBusy when another process holds it, DataFolderError when it cannot be written."""
        with _usable(folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                self._acquire(folder)
                self.set_url(None)
            except BaseException:
                os.close(self._file)
                raise

    def _acquire(self, folder: Path) -> None:
        """A few tries: `holder` of another process touches the lock for an instant."""
        for attempt in range(5):
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                time.sleep(0.01 * attempt)
        held = _read(self._file)
        raise DataFolderBusy(str(folder), held.pid, held.url)

    def set_url(self, url: str | None) -> None:
        """Say where this process serves."""
        line = json.dumps({"pid": os.getpid(), "url": url}).encode() + b"\n"
        os.pwrite(self._file, line, 0)
        os.ftruncate(self._file, len(line))

    def release(self) -> None:
        os.close(self._file)


def holder(folder: Path) -> Holder | None:
    """The process that holds a data folder, None when nobody does (also when its holder was killed).

    Raises DataFolderError when the folder cannot be looked into.
    """
    with _usable(folder):
        try:
            file = os.open(folder / LOCK_FILE, os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return None
        except BlockingIOError:
            return _read(file)
        finally:
            os.close(file)


@contextmanager
def _usable(folder: Path) -> Iterator[None]:
    """Raise what the system says about the data folder as DataFolderError."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise DataFolderError(f"The data folder {folder} (DB_PATH) cannot be used: {reason}.") from error


def _read(file: int) -> Holder:
    """What the holder wrote; it is waited for when the lock was taken this instant."""
    for _ in range(20):
        line, end, _ = os.pread(file, 4096, 0).partition(b"\n")
        if end:
            held = json.loads(line)
            return Holder(held["pid"], held["url"])
        time.sleep(0.01)
    return Holder(0, None)
