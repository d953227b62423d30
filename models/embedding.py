"""Embeddings. This module holds the Protocol and opens the embedder the settings name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from graph.errors import SettingsError
from graph.settings import Settings
from models.encoding import Encoding, Floats

if TYPE_CHECKING:
    from models.embedding_minilm import Precision


class Embedder(Protocol):
    """Turns texts into unit vectors; recent results are kept, equal texts in flight are computed once."""

    name: str
    dimension: int
    token_dimension: int
    weights_hash: str
    """sha256 of the weights file: derived data made with other weights is not comparable."""
    forward_passes: int
    """How many texts (pieces) went through the model since the start, for tests and metrics."""

    async def encode(self, text: str, *, urgent: bool = False) -> Encoding:
        """The vectors of the text's pieces and tokens; `urgent` texts (a user waits) go before all others."""
        ...

    async def embed(self, text: str, *, urgent: bool = False) -> Floats:
        """`encode(...).pieces`: shape (pieces, dimension), rows of length 1, read-only."""
        ...

    async def close(self) -> None: ...


async def open_embedder(settings: Settings) -> Embedder:
    """Load the model of EMBEDDING_MODEL without holding up the event loop; raises SettingsError."""
    from models.embedding_queue import QueuedEmbedder  # imports PyTorch's users only when one is opened

    name, threads = settings.embedding_model, settings.embedding_threads
    if (precision := _precision(settings)) is None:
        from models.embedding_sentence_transformers import SentenceTransformersBackend

        return await QueuedEmbedder.open(name, lambda: SentenceTransformersBackend(name, threads))
    from models.embedding_minilm import MiniLMBackend

    return await QueuedEmbedder.open(name, lambda: MiniLMBackend(precision, threads))


def _precision(settings: Settings) -> Precision | None:
    """How the built-in weights are run directly; None when sentence-transformers runs the model."""
    from models.weights import BUILT_IN

    backend = settings.embedding_backend
    if backend == "sentence-transformers" or (backend == "auto" and settings.embedding_model != BUILT_IN):
        return None
    if settings.embedding_model != BUILT_IN:
        raise SettingsError(
            f"EMBEDDING_BACKEND: {backend!r} runs the built-in {BUILT_IN} only, and EMBEDDING_MODEL is "
            f"{settings.embedding_model!r}; leave EMBEDDING_BACKEND at auto."
        )
    return backend
