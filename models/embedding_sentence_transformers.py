"""Any sentence-transformers model as a backend of the embedder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from models.encoding import Pass, unit
from models.weights import load_embedding_model, prepare_torch

PIECE_TOKENS = 200


class SentenceTransformersBackend:
    """`Backend` over sentence-transformers; a model without states of tokens gives none."""

    def __init__(self, name: str, threads: int) -> None:
        """Load (and, where it is the built-in one, verify) the model on this thread; raises SettingsError."""
        prepare_torch(threads)
        self._model, self.weights_hash = load_embedding_model(name)
        dimension = self._model.get_embedding_dimension()
        if dimension is None:
            raise ValueError("the model does not say the dimension of its embeddings")
        self.dimension: int = dimension
        self.piece_tokens = min(PIECE_TOKENS, (self._model.max_seq_length or PIECE_TOKENS + 2) - 2)
        tokenizer = self._model.tokenizer
        self._marks = (
            [] if _static(tokenizer) else [*({*tokenizer.all_special_ids} - {tokenizer.unk_token_id})]
        )
        self.token_dimension: int = self.forward(["a"])[0].tokens.shape[1]

    def lengths(self, words: list[str]) -> Sequence[int]:
        """How many tokens each word has."""
        tokenizer = self._model.tokenizer
        if _static(tokenizer):
            return [len(one.ids) for one in tokenizer.encode_batch(words, add_special_tokens=False)]
        encoded = tokenizer(words, add_special_tokens=False)["input_ids"]
        return [len(ids) for ids in encoded]

    def forward(self, texts: Sequence[str]) -> list[Pass]:
        """One pass over a batch; the text's vector is what the model's own pooling makes of it."""
        found = self._model.encode(list(texts), output_value=None, show_progress_bar=False)
        return [
            self._pass(text, one)
            for text, one in zip(texts, cast("list[Mapping[str, Any]]", found), strict=True)
        ]

    def _pass(self, text: str, one: Mapping[str, Any]) -> Pass:
        """Any: tensors by name, as the model's modules left them."""
        vector = unit(one["sentence_embedding"].float().numpy())
        if "token_embeddings" not in one or "input_ids" not in one:
            none = np.zeros(0, np.int32)
            return Pass(vector, np.zeros((0, self.dimension), np.float32), none, none)
        ids = one["input_ids"].numpy().astype(np.int32)
        said = one["attention_mask"].numpy().astype(bool) & ~np.isin(ids, self._marks)
        states = unit(one["token_embeddings"].float().numpy()[said])
        return Pass(vector, states, ids[said], self._starts(text, ids[said]))

    def _starts(self, text: str, ids: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """Where each token begins; spread evenly where the tokenizer does not say or cut the text otherwise."""
        tokenizer = self._model.tokenizer
        if getattr(tokenizer, "is_fast", False):
            cut = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
            if list(cut["input_ids"]) == ids.tolist():
                return np.array([start for start, _ in cut["offset_mapping"]], np.int32)
        return (np.arange(len(ids)) * len(text) // max(len(ids), 1)).astype(np.int32)


def _static(tokenizer: object) -> bool:
    """Whether it is the bare tokenizer that sentence-transformers gives models of static embeddings."""
    return isinstance(tokenizer, Tokenizer)
