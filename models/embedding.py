"""Embeddings. This module holds the Protocol and opens the embedder the settings name."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from graph.settings import Settings


class Embedder(Protocol):
    """Turns texts into unit vectors; recent results are kept, equal texts in flight are computed once."""

    name: str
    dimension: int
    weights_hash: str
    """sha256 of the weights file: derived data made with other weights is not comparable."""
    forward_passes: int
    """How many texts (pieces) went through the model since the start, for tests and metrics."""

    async def embed(self, text: str, *, urgent: bool = False) -> npt.NDArray[np.float32]:
        """Shape (pieces, dimension), rows of length 1, read-only.

        One row up to 200 word pieces, overlapping pieces beyond. `urgent` texts (a user waits)
        go before all others.
        """
        ...

    async def close(self) -> None: ...


async def open_embedder(settings: Settings) -> Embedder:
    """Load the model of EMBEDDING_MODEL without holding up the event loop; raises SettingsError."""
    from models.embedding_torch import TorchEmbedder  # imports PyTorch's users only when one is opened

    return await TorchEmbedder.open(settings.embedding_model, settings.embedding_threads)
