"""What an embedder is asked for while somebody waits."""

from __future__ import annotations

import pytest

from models.embedding import Embedder
from models.encoding import Encoding


def waited_for(embedder: Embedder, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that somebody waits for from now on, as they are asked for."""
    texts: list[str] = []
    encode = embedder.encode

    async def noted(text: str, *, urgent: bool = False) -> Encoding:
        if urgent:
            texts.append(text)
        return await encode(text, urgent=urgent)

    monkeypatch.setattr(embedder, "encode", noted)
    return texts
