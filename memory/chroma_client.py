"""Clients of Chroma, embedded and of a server, with what has to be minded about them."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import chromadb
import httpx
import numpy as np
from chromadb.api.client import AdminClient, Client
from chromadb.api.fastapi import FastAPI
from chromadb.api.types import Where
from chromadb.config import Settings
from chromadb.errors import InternalError

from graph.errors import SettingsError
from graph.settings import without_userinfo
from memory.vectors import Vector

SERVER_TIMEOUT = 30.0
"""Seconds without an answer after which a Chroma server counts as gone."""
PREFIX = "memory-"
"""Collections of other software on the same server do not begin with it."""
VERSION = "-2"
"""How the names of collections end; older ones had none, and items named by their chats (`memory.chroma_older`)."""
NOT_READY = "Nothing found on disk"
NOT_READY_TRIES = 6


def embedded(path: Path) -> Client:
    """Chroma in this process over the folder `path`; raises SettingsError."""
    try:
        return cast(Client, chromadb.PersistentClient(path, Settings(anonymized_telemetry=False)))
    except Exception as error:  # Chroma's Rust side raises what it likes
        raise SettingsError(
            f"CHROMADB_PATH: the folder {path} cannot be opened by Chroma ({type(error).__name__}: {error}). "
            "Name a folder that can be written, or move this one away and run `emotional-rag reindex`."
        ) from error


def server(url: str) -> Client:
    """The Chroma server at `url`; raises SettingsError when it does not answer."""
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    settings = Settings(anonymized_telemetry=False)
    try:
        client = cast(Client, chromadb.HttpClient(parts.hostname or "", port, secure, settings=settings))
    except Exception as error:  # ValueError, httpx errors, Chroma's own
        raise SettingsError(
            f"CHROMA_URL: no Chroma server answers at {without_userinfo(url)} "
            f"({type(error).__name__}: {error}). Start one with `chroma run`, correct the address, or leave "
            "it empty for the embedded Chroma."
        ) from error
    for connections in _connections(client):
        connections.timeout = httpx.Timeout(SERVER_TIMEOUT)
    return client


def close(client: Client) -> None:
    """Close a client and its connections."""
    left_open = _connections(client)
    client.close()
    for connections in left_open:
        connections.close()


def _connections(client: Client) -> list[httpx.Client]:
    """What the client of a server sends through; Chroma gives it no timeout and does not close it."""
    servers = (client._server, cast(AdminClient, client._admin_client)._server)
    return [server._session for server in servers if isinstance(server, FastAPI)]


def collection_of(client: Client, name: str, metadata: dict[str, Any]) -> chromadb.Collection:
    """Our collection of this name, made where there is none (Any: Chroma's own)."""
    return client.get_or_create_collection(
        f"{PREFIX}{name}{VERSION}",
        embedding_function=None,
        configuration={"hnsw": {"space": "cosine"}},
        metadata=metadata,
    )


def ours(client: Client) -> Iterator[chromadb.Collection]:
    """Every collection of ours, whatever its version."""
    offset = 0
    while page := client.list_collections(limit=100, offset=offset):
        yield from (one for one in page if one.name.startswith(PREFIX))
        offset += len(page)


def digest(text: str) -> str:
    """A name that tells nothing of what it stands for."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def query(
    collection: chromadb.Collection, vector: Vector, n: int, where: Where
) -> tuple[Sequence[str], Sequence[float]]:
    """Ids and distances of the nearest.

    A server can fail for an instant while a new collection is first written; it is asked again.
    """
    for attempt in range(1, NOT_READY_TRIES + 1):
        try:
            answer = collection.query(
                query_embeddings=vector[np.newaxis], n_results=n, where=where, include=["distances"]
            )
            break
        except InternalError as error:
            if NOT_READY not in str(error) or attempt == NOT_READY_TRIES:
                raise
            time.sleep(0.01 * 2**attempt)
    return answer["ids"][0], (answer["distances"] or [[]])[0]


def rows(collection: chromadb.Collection, where: Where) -> list[tuple[int, int, Vector]]:
    """Ref, piece and vector of every row that fits."""
    found = collection.get(where=where, include=["metadatas", "embeddings"])
    vectors, metadatas = found["embeddings"], found["metadatas"] or []
    return [
        (int(str(metadata["ref"])), int(str(metadata["piece"])), np.asarray(vector, np.float32))
        for metadata, vector in zip(metadatas, [] if vectors is None else vectors, strict=True)
    ]
