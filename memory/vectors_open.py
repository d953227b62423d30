"""Opens the vector index the settings name."""

from __future__ import annotations

from pathlib import Path

from graph.settings import Settings
from memory.vectors import VectorIndex
from memory.vectors_exact import ExactVectors


async def open_vectors(settings: Settings, root: Path, weights_hash: str, dimension: int) -> VectorIndex:
    """The index of VECTOR_STORE over the trees below `root`; raises SettingsError."""
    if settings.vector_store == "exact":
        return ExactVectors(root, weights_hash, dimension)
    from memory.vectors_chroma import ChromaVectors  # imports chromadb only where it is used

    return await ChromaVectors.open(weights_hash, path=settings.chromadb_path, url=settings.chroma_url)
