"""Takes over Chroma's collections of an older version, whose items were named by their chats: names that stay readable
in Chroma's journal of what it was told, and in pages that it freed, after a chat was deleted."""

from __future__ import annotations

import logging
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import cast

import chromadb
import numpy as np
from chromadb.api.client import Client
from chromadb.api.types import Metadata

from memory.chroma_client import PREFIX, VERSION, collection_of, digest, ours
from memory.vectors import Vector

log = logging.getLogger(__name__)
AT_ONCE = 1000
"""Items moved in one go."""
FILE = "chroma.sqlite3"
INDEX = "index_metadata.pickle"
"""What each folder of an index holds."""


def take_over(client: Client) -> bool:
    """Move the items of every older collection under names that tell nothing; whether there was one."""
    older = [one for one in ours(client) if not one.name.endswith(VERSION)]
    for one in older:
        log.info("the vectors of %s are moved under other names", one.name)
        now = collection_of(client, one.name.removeprefix(PREFIX), dict(one.metadata or {}))
        for ids, vectors, metadatas in _pages(one):
            now.upsert(ids=ids, embeddings=vectors, metadatas=metadatas)
        client.delete_collection(one.name)
    return bool(older)


def _pages(older: chromadb.Collection) -> Iterator[tuple[list[str], Vector, list[Metadata]]]:
    """Ids, vectors and metadata of its items, as they are to be."""
    offset = 0
    while (page := older.get(limit=AT_ONCE, offset=offset, include=["embeddings", "metadatas"]))["ids"]:
        offset += len(page["ids"])
        trees = [one.rsplit("/", 3)[0] for one in page["ids"]]
        names = {tree: digest(tree) for tree in trees}
        ids = [names[tree] + one[len(tree) :] for tree, one in zip(trees, page["ids"], strict=True)]
        told = zip(trees, page["metadatas"] or [], strict=True)
        metadatas = [cast(Metadata, {**metadata, "tree": names[tree]}) for tree, metadata in told]
        yield ids, np.asarray(page["embeddings"], np.float32), metadatas


def sweep(folder: Path) -> None:
    """Rewrite the database of an embedded Chroma, while nobody has it open, without the pages that it freed, and
    remove the indexes that none of its collections has."""
    try:
        with closing(sqlite3.connect(folder / FILE, isolation_level=None)) as connection:
            known = {name for (name,) in connection.execute("SELECT id FROM segments")}
            connection.execute("VACUUM")
    except sqlite3.Error as error:
        log.warning("%s keeps the names of deleted chats in free pages: %s", folder / FILE, error)
        return
    for index in folder.glob(f"*/{INDEX}"):
        if index.parent.name not in known:
            shutil.rmtree(index.parent)
