"""The reranker: a Hugging Face cross-encoder on a thread of its own."""

from __future__ import annotations

import asyncio
import logging
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from graph.errors import SettingsError
from models.weights import prepare_torch

if TYPE_CHECKING:
    from langchain_community.cross_encoders import HuggingFaceCrossEncoder


class CrossEncoderReranker:
    """`Reranker` over langchain-community's HuggingFaceCrossEncoder, which reads pairs in batches of 32."""

    def __init__(self, model: HuggingFaceCrossEncoder, name: str, thread: ThreadPoolExecutor) -> None:
        self.name = name
        self._model = model
        self._thread = thread

    @classmethod
    async def open(cls, name: str, threads: int) -> CrossEncoderReranker:
        """Load the model on the thread that will run it; raises SettingsError."""
        thread = ThreadPoolExecutor(1, thread_name_prefix="reranker")
        try:
            model = await asyncio.get_running_loop().run_in_executor(thread, _load, name, threads)
        except BaseException:
            thread.shutdown(wait=False)
            raise
        return cls(model, name, thread)

    async def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        """One score a text, in the order given."""
        if not texts:
            return []
        pairs = [(_encodable(query), _encodable(text)) for text in texts]
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._score, pairs)

    def _score(self, pairs: list[tuple[str, str]]) -> list[float]:
        return [float(score) for score in self._model.score(pairs)]

    async def close(self) -> None:
        """End after the batch in hand and let the weights go."""
        await asyncio.to_thread(self._thread.shutdown)
        del self._model


def _load(name: str, threads: int) -> HuggingFaceCrossEncoder:
    prepare_torch(threads)
    logging.getLogger("sentence_transformers.cross_encoder").setLevel(logging.WARNING)  # no bar a request
    try:
        cross_encoder = _cross_encoder_class()
        return cross_encoder(
            model_name=name, model_kwargs={"device": "cpu", "local_files_only": Path(name).is_dir()}
        )
    except Exception as error:  # whatever a foreign model folder makes the libraries raise
        raise SettingsError(
            f"RERANKER_MODEL: {name!r} cannot be loaded ({type(error).__name__}: {error}). Name a folder "
            "with a cross-encoder, or one of the Hugging Face hub (needs internet the first time) such as "
            "cross-encoder/ms-marco-MiniLM-L6-v2, or leave it empty."
        ) from error


def _cross_encoder_class() -> type[HuggingFaceCrossEncoder]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`langchain-community` is being sunset", DeprecationWarning)
        from langchain_community.cross_encoders import HuggingFaceCrossEncoder
    return HuggingFaceCrossEncoder


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()  # tokenizers refuse lone surrogates
