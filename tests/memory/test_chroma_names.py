"""What Chroma calls our items tells nothing of the chats: it keeps that long after they are deleted."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path as FilePath

import chromadb
import numpy as np
import pytest

from memory.chroma_client import close, embedded
from memory.stored import TreeKey
from memory.vectors import Item
from memory.vectors_chroma import ChromaVectors

WEIGHTS = "f" * 64
NAME = b"whispering-pumpkins"
GONE, KEPT = TreeKey("local", f"{NAME.decode()}-0123456789abcdef"), TreeKey("local", "kept")
MANY = 1500
"""More items than Chroma holds back from its index on disk."""


def items(number: int) -> list[Item]:
    """Vectors that turn away from the first."""
    angles = [np.radians(90 * ref / number) for ref in range(1, number + 1)]
    return [
        Item("message", ref, np.array([[np.cos(a), np.sin(a)]], np.float32))
        for ref, a in enumerate(angles, 1)
    ]


def naming(folder: FilePath) -> list[str]:
    """The files in which the chat's name is kept; hnswlib's own hold vectors, and memory that it never wrote to."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".bin"]
    return [path.name for path in files if NAME in path.read_bytes().lower()]


def short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@contextmanager
def older(folder: FilePath) -> Iterator[chromadb.Collection]:
    """The collection of the version whose items were named by their chats."""
    client = embedded(folder)
    yield client.get_or_create_collection(
        f"memory-{short('local')}-{short(WEIGHTS)}",
        embedding_function=None,
        configuration={"hnsw": {"space": "cosine"}},
        metadata={"owner": "local", "weights": WEIGHTS},
    )
    close(client)


def put(collection: chromadb.Collection, key: TreeKey, given: list[Item]) -> None:
    """As that version did."""
    collection.upsert(
        ids=[f"{key.tree_id}/{one.kind}/{one.ref}/0" for one in given],
        embeddings=np.concatenate([one.pieces for one in given]),
        metadatas=[{"tree": key.tree_id, "kind": one.kind, "ref": one.ref, "piece": 0} for one in given],
    )


@pytest.mark.parametrize("number", [3, MANY])
async def test_a_deleted_chats_name_is_in_no_file(tmp_path: FilePath, number: int) -> None:
    index = await ChromaVectors.open(WEIGHTS, path=tmp_path)
    for key in (GONE, KEPT):
        await index.upsert(key, items(number))
    await index.delete(GONE)
    assert await index.count() == number
    await index.close()
    assert naming(tmp_path) == []


@pytest.mark.parametrize("number", [3, MANY])
async def test_what_an_older_version_stored_is_found_and_names_nothing_any_more(
    tmp_path: FilePath, number: int
) -> None:
    with older(tmp_path) as collection:
        put(collection, GONE, items(number))
        put(collection, KEPT, items(3))
    assert naming(tmp_path)
    for _ in range(2):
        index = await ChromaVectors.open(WEIGHTS, path=tmp_path)
        hits = await index.search(GONE, "message", np.array([1, 0], np.float32), None, 3)
        assert [hit.ref for hit in hits] == [1, 2, 3]
        assert set(await index.vectors(KEPT, "message", [1, 2, 3])) == {1, 2, 3}
        assert await index.count() == number + 3
        await index.close()
        assert naming(tmp_path) == []


async def test_other_software_keeps_its_collections(tmp_path: FilePath) -> None:
    with older(tmp_path) as collection:
        put(collection, GONE, items(3))
        client = embedded(tmp_path)
        theirs = client.create_collection("theirs", embedding_function=None)
        theirs.upsert(
            ids=[str(n) for n in range(MANY)], embeddings=np.concatenate([i.pieces for i in items(MANY)])
        )
        close(client)
    index = await ChromaVectors.open(WEIGHTS, path=tmp_path)
    assert await index.count() == 3
    await index.close()
    client = embedded(tmp_path)
    found = client.get_collection("theirs", embedding_function=None).query(
        query_embeddings=np.array([[1, 0]], np.float32), n_results=1
    )
    assert found["ids"] == [["0"]]
    close(client)
