"""Search in Chroma, embedded or a server: one collection an owner, shared by all of the owner's trees."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path as FilePath
from typing import Any, ParamSpec, TypeVar, cast

import chromadb
import numpy as np
from chromadb.api.client import Client
from chromadb.api.types import Where

from graph.settings import without_userinfo
from memory.chroma_client import VERSION, close, collection_of, digest, embedded, ours, server
from memory.chroma_client import query as nearest_in
from memory.chroma_client import rows as rows_in
from memory.chroma_older import sweep, take_over
from memory.path import Path
from memory.rows import DECIMALS, stored_ids
from memory.stored import TreeKey
from memory.vectors import Hit, Item, ItemKind, Vector

P = ParamSpec("P")
T = TypeVar("T")

Condition = dict[str, Any]
"""Any: Chroma's own type of a condition is invariant in the values of its operators."""

ASKED_AT_ONCE = 500
"""Items named in one condition."""
POOL = 500
"""Of so many of the best items `similarities` knows the cosine: among 10,000 messages 99 percent of the true 200
best are there, for about 35 ms; 200 would give 93 percent, and 1,000 all, for little less or more."""


class ChromaVectors:
    """`VectorIndex` in collections of owner and weights; ids are tree/kind/ref/piece, the space cosine. The tree is
    named by a digest: Chroma keeps for long what items were called, and a tree's own name tells the chat's.

    Approximate (HNSW). Calls run one after the other on one thread: a first write beside a search has crashed
    Chroma. Its own embedding function is never loaded.
    """

    def __init__(self, client: Client, name: str, weights_hash: str) -> None:
        self.name = name
        self._client = client
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="chroma")
        self._weights = weights_hash
        self._collections: dict[str, chromadb.Collection] = {}

    @classmethod
    async def open(cls, weights_hash: str, *, path: FilePath, url: str | None = None) -> ChromaVectors:
        """The server at `url`, or embedded in the folder `path`; raises SettingsError."""
        if url is None:
            return cls(await asyncio.to_thread(_embedded, path), "chroma", weights_hash)
        client = await asyncio.to_thread(server, url)
        await asyncio.to_thread(take_over, client)
        return cls(client, f"chroma at {without_userinfo(url)}", weights_hash)

    async def _in_thread(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        run = asyncio.get_running_loop().run_in_executor
        return await run(self._thread, lambda: call(*args, **kwargs))

    async def upsert(self, key: TreeKey, items: Sequence[Item]) -> None:
        await self._in_thread(self._upsert, key, items)

    async def search(
        self, key: TreeKey, kind: ItemKind, query: Vector, allowed: Path | None, k: int
    ) -> list[Hit]:
        return await self._in_thread(self._search, key, kind, query, allowed, k)

    async def similarities(self, key: TreeKey, kind: ItemKind, query: Vector, path: Path) -> Vector:
        """Those of the POOL best items of the path; NaN for all others."""
        return await self._in_thread(self._similarities, key, kind, query, path)

    async def vectors(self, key: TreeKey, kind: ItemKind, refs: Sequence[int]) -> dict[int, Vector]:
        return await self._in_thread(self._vectors, key, kind, refs)

    async def delete(self, key: TreeKey, refs: Sequence[int] | None = None) -> None:
        await self._in_thread(self._delete, key, refs)

    async def clear(self) -> None:
        """Remove the vectors of all owners, those made with other weights too."""
        await self._in_thread(self._clear)

    async def count(self) -> int:
        """Reads the id of every item; for `reindex` and checks, not for every request."""
        return await self._in_thread(self._count)

    async def close(self) -> None:
        await self._in_thread(close, self._client)
        self._thread.shutdown(wait=False)

    def _collection(self, owner: str) -> chromadb.Collection:
        if owner not in self._collections:
            told = {"owner": owner, "weights": self._weights}
            name = f"{digest(owner)}-{digest(self._weights)}"
            self._collections[owner] = collection_of(self._client, name, told)
        return self._collections[owner]

    def _upsert(self, key: TreeKey, items: Sequence[Item]) -> None:
        into, tree = self._collection(key.owner), digest(key.tree_id)
        rows = [(item, piece) for item in items for piece in range(len(item.pieces))]
        for batch in _batches(rows, self._client.get_max_batch_size()):
            into.upsert(
                ids=[f"{tree}/{item.kind}/{item.ref}/{piece}" for item, piece in batch],
                embeddings=np.stack([item.pieces[piece] for item, piece in batch]),
                metadatas=[
                    {"tree": tree, "kind": item.kind, "ref": item.ref, "piece": piece}
                    for item, piece in batch
                ],
            )
        self._delete_leftover_pieces(key, items)

    def _delete_leftover_pieces(self, key: TreeKey, items: Sequence[Item]) -> None:
        for kind, pieces in {(item.kind, len(item.pieces)) for item in items}:
            refs = [item.ref for item in items if (item.kind, len(item.pieces)) == (kind, pieces)]
            self._delete_refs(key, kind, refs, {"piece": {"$gte": pieces}})

    def _search(self, key: TreeKey, kind: ItemKind, query: Vector, allowed: Path | None, k: int) -> list[Hit]:
        collection = self._collection(key.owner)
        take = 2 * k
        while True:
            ids, distances = nearest_in(collection, query, take, _all_of(_of(key), {"kind": kind}))
            found = _best_of_each(ids, distances, allowed)
            if len(found) >= k or len(ids) < take:
                return found[:k]
            take *= 2

    def _similarities(self, key: TreeKey, kind: ItemKind, query: Vector, path: Path) -> Vector:
        ids = stored_ids(path)
        known = {hit.ref: hit.similarity for hit in self._search(key, kind, query, path, POOL)}
        return np.array([known.get(i, np.nan) for i in ids.tolist()], np.float32)

    def _vectors(self, key: TreeKey, kind: ItemKind, refs: Sequence[int]) -> dict[int, Vector]:
        found: dict[int, list[tuple[int, Vector]]] = {}
        for batch in _batches(refs, ASKED_AT_ONCE):
            where = _all_of(_of(key), {"kind": kind}, {"ref": {"$in": [int(r) for r in batch]}})
            for ref, piece, vector in rows_in(self._collection(key.owner), where):
                found.setdefault(ref, []).append((piece, vector))
        return {
            ref: np.stack([row for _, row in sorted(rows, key=lambda r: r[0])]) for ref, rows in found.items()
        }

    def _delete(self, key: TreeKey, refs: Sequence[int] | None) -> None:
        if refs is None:
            self._collection(key.owner).delete(where=cast(Where, _of(key)))
        else:
            self._delete_refs(key, "message", refs)

    def _delete_refs(self, key: TreeKey, kind: ItemKind, refs: Sequence[int], *also: Condition) -> None:
        for batch in _batches(refs, ASKED_AT_ONCE):
            where = _all_of(_of(key), {"kind": kind}, {"ref": {"$in": list(batch)}}, *also)
            self._collection(key.owner).delete(where=where)

    def _clear(self) -> None:
        self._collections.clear()
        for one in list(ours(self._client)):
            self._client.delete_collection(one.name)

    def _count(self) -> int:
        known = (one for one in ours(self._client) if one.name.endswith(f"{digest(self._weights)}{VERSION}"))
        return sum(len(one.get(where={"piece": 0}, include=[])["ids"]) for one in known)


def _embedded(path: FilePath) -> Client:
    """Chroma in this process, its collections brought up to date."""
    client = embedded(path)
    if not take_over(client):
        return client
    close(client)
    sweep(path)
    return embedded(path)


def _of(key: TreeKey) -> Condition:
    return {"tree": digest(key.tree_id)}


def _best_of_each(ids: Sequence[str], distances: Sequence[float], allowed: Path | None) -> list[Hit]:
    best: dict[int, float] = {}
    for entry, distance in zip(ids, distances, strict=True):
        ref, similarity = int(entry.rsplit("/", 2)[1]), round(1.0 - float(distance), DECIMALS)
        if (allowed is None or ref in allowed) and similarity > best.get(ref, -2.0):
            best[ref] = similarity
    return sorted((Hit(ref, s) for ref, s in best.items()), key=lambda hit: (-hit.similarity, hit.ref))


def _all_of(*conditions: Condition) -> Where:
    return {"$and": cast(list[Where], list(conditions))}


def _batches(rows: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:  # Any: rows of either kind
    return (rows[at : at + size] for at in range(0, len(rows), size))
