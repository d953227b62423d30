"""Names of files for hostile ids, versions of databases, and the lock on the data folder."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.errors import DataFolderBusy, DataFolderError, NewerSchema
from memory.files import FolderLock, holder, open_database, safe_name, transaction, tree_path
from memory.stored import TreeKey

HOSTILE = [
    "",
    ".",
    "..",
    "../../etc/passwd",
    "a/b",
    "a\\b",
    "CON",
    "con",
    "nul",
    "com1",
    "a\0b",
    "-",
    " ",
    "ä",
]
HOLD = """
import sys
from pathlib import Path
from memory.files import FolderLock
lock = FolderLock(Path(sys.argv[1]))
lock.set_url("http://127.0.0.1:8001")
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("name", ["chat", "2024-05-01-chat", "a", "x" * 40])
def test_safe_short_ids_are_their_own_names(name):
    assert safe_name(name) == name


@given(st.text() | st.sampled_from(HOSTILE))
def test_any_id_has_a_harmless_name(text):
    name = safe_name(text)
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,55}[a-z0-9])?", name)
    assert name not in ("con", "prn", "aux", "nul", "com1", "lpt1")


@given(st.lists(st.text() | st.sampled_from(HOSTILE), unique=True))
def test_different_ids_have_different_names(ids):
    names = {*ids, *map(safe_name, ids)}
    assert len({safe_name(name) for name in names}) == len(names)


def test_ids_that_differ_in_case_differ_on_any_file_system():
    assert len({safe_name(t).lower() for t in ("Chat", "chat", "CHAT")}) == 3


def test_a_tree_stays_inside_the_data_folder(tmp_path):
    path = tree_path(tmp_path, TreeKey("../..", "../../x"))
    assert path.resolve().parent.parent == tmp_path.resolve()


def test_a_database_of_a_newer_version_is_refused_with_its_name_and_both_versions(tmp_path):
    path = tmp_path / "tree.sqlite"
    open_database(path, ["CREATE TABLE IF NOT EXISTS t(x)"], 3).close()
    with pytest.raises(NewerSchema, match=r"tree\.sqlite.* 3\b.* 2\b"):
        open_database(path, [], 2)
    open_database(path, [], 3).close()


def test_what_is_no_database_is_refused(tmp_path):
    (tmp_path / "x.sqlite").write_text("this is no database at all, but some text " * 50)
    with pytest.raises(DataFolderError, match=r"x\.sqlite"):
        open_database(tmp_path / "x.sqlite", [], 1)


def test_a_database_is_durable(tmp_path):
    connection = open_database(tmp_path / "x.sqlite", [], 1)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    connection.close()


def test_a_transaction_that_raises_leaves_nothing(tmp_path):
    connection = open_database(tmp_path / "x.sqlite", ["CREATE TABLE IF NOT EXISTS t(x UNIQUE)"], 1)
    with pytest.raises(sqlite3.IntegrityError), transaction(connection):
        connection.execute("INSERT INTO t VALUES (1)")
        connection.execute("INSERT INTO t VALUES (1)")
    assert connection.execute("SELECT count(*) FROM t").fetchone() == (0,)
    connection.close()


@pytest.fixture
def other_process(tmp_path):
    """Another process that holds the data folder."""
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=root,
    )
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()


def test_a_second_process_is_refused_with_pid_and_url(tmp_path, other_process):
    with pytest.raises(DataFolderBusy) as refused:
        FolderLock(tmp_path)
    assert (refused.value.pid, refused.value.url) == (other_process.pid, "http://127.0.0.1:8001")
    assert holder(tmp_path) == (other_process.pid, "http://127.0.0.1:8001")


def test_a_killed_holder_holds_nothing(tmp_path, other_process):
    other_process.kill()
    other_process.wait()
    assert holder(tmp_path) is None
    lock = FolderLock(tmp_path)
    lock.release()


def test_a_folder_nobody_opened_has_no_holder(tmp_path):
    assert holder(tmp_path / "none") is None


@pytest.mark.parametrize("look", [holder, FolderLock])
@pytest.mark.parametrize("place", ["file", "file/below", "x" * 300])
def test_a_folder_that_cannot_be_used_names_the_setting(tmp_path, look, place):
    (tmp_path / "file").touch()
    with pytest.raises(DataFolderError, match="DB_PATH"):
        look(tmp_path / place)


def test_a_lock_that_cannot_be_opened_names_the_setting(tmp_path):
    (tmp_path / ".lock").mkdir()
    with pytest.raises(DataFolderError, match="DB_PATH"):
        FolderLock(tmp_path)


def test_a_released_folder_can_be_held_again(tmp_path):
    first = FolderLock(tmp_path)
    with pytest.raises(DataFolderBusy):
        FolderLock(tmp_path)
    first.set_url("http://127.0.0.1:1/a-rather-long-address")
    first.set_url(None)
    assert json.loads((tmp_path / ".lock").read_text())["url"] is None
    assert holder(tmp_path).url is None
    first.release()
    FolderLock(tmp_path).release()
