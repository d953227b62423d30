"""The built-in all-MiniLM-L6-v2, run by PyTorch straight from its verified weights.

Without the layers of software around it a text of 30 words takes two thirds of the time. Where the CPU has
matrix units for bfloat16 (Intel's AMX) the products are computed in bfloat16, which takes a third; the cosine
to the weights run in float32 stays above 0.9999. Weights in 8 bits, measured in several ways, fall below 0.999
on short texts.

A pass is recorded once and runs as one call that leaves Python alone: step by step it waits for the interpreter
about a hundred times, which takes three times as long while a request is being read beside it.
"""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn.functional import gelu, layer_norm, linear, scaled_dot_product_attention

from models.encoding import Floats, Pass, unit
from models.weights import (
    BUILT_IN_SHA256,
    BUILT_IN_TOKENIZER_SHA256,
    built_in_folder,
    multiplies_bfloat16,
    verified,
)

Precision = Literal["auto", "bfloat16", "float32"]

DIMENSION = 384
LAYERS = 6
HEADS = 12
EPSILON = 1e-12
MOST_TOKENS = 256
"""What the model was trained to read."""
PIECE_TOKENS = 200
RUNS_TO_COMPILE = 3


class MiniLMBackend:
    """`Backend` over the built-in weights."""

    dimension = DIMENSION
    token_dimension = DIMENSION
    piece_tokens = PIECE_TOKENS

    def __init__(self, precision: Precision, threads: int) -> None:
        """Verify and load the weights on the thread that will run them; raises SettingsError."""
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        torch.set_num_threads(threads)  # OpenMP keeps the number of threads for each thread apart
        folder = built_in_folder()
        self.weights_hash = verified(folder / "model.safetensors", BUILT_IN_SHA256)
        verified(folder / "tokenizer.json", BUILT_IN_TOKENIZER_SHA256)
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._counter = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._counter.no_truncation()
        self._counter.no_padding()
        self._tokenizer.enable_truncation(MOST_TOKENS)
        self._tokenizer.enable_padding()
        self._model = _model(folder, _in_bfloat16(precision))

    def lengths(self, words: list[str]) -> Sequence[int]:
        """How many tokens each word has."""
        owners = self._counter.encode(words, is_pretokenized=True, add_special_tokens=False).word_ids
        found = Counter(owners)
        return [found[n] for n in range(len(words))]

    def forward(self, texts: Sequence[str]) -> list[Pass]:
        """One pass over a batch, padded to the longest; the mean of the states is the text's vector."""
        encoded = self._tokenizer.encode_batch(list(texts))
        ids = np.array([e.ids for e in encoded], np.int32)
        mask = np.array([e.attention_mask for e in encoded], bool)
        states = self._model.passed(torch.from_numpy(ids), None if mask.all() else torch.from_numpy(mask))
        found = []
        for row, one, length in zip(states, encoded, mask.sum(axis=1), strict=True):
            inner = slice(1, length - 1)  # [CLS] first, [SEP] last
            said, starts = np.array(one.ids[inner], np.int32), [start for start, _ in one.offsets[inner]]
            vector = unit(row[:length].mean(axis=0))
            found.append(Pass(vector, unit(row[inner]), said, np.array(starts, np.int32)))
        return found


class _Model:
    """The weights in RAM, and a pass over them."""

    def __init__(self, weights: dict[str, Tensor], dtype: torch.dtype) -> None:
        self._words = weights["embeddings.word_embeddings.weight"]
        self._places = (
            weights["embeddings.position_embeddings.weight"]
            + weights["embeddings.token_type_embeddings.weight"][0]
        )
        self._norm = _pair(weights, "embeddings.LayerNorm")
        self._layers = [_Layer.load(weights, f"encoder.layer.{n}", dtype) for n in range(LAYERS)]
        two = torch.zeros((2, 2), dtype=torch.int32)
        self._even = _recorded(self._states, two[:1])
        self._padded = _recorded(self._states, two, torch.ones((2, 2), dtype=torch.bool))

    @torch.inference_mode()
    def passed(self, ids: Tensor, mask: Tensor | None) -> Floats:
        states: Floats = (self._even(ids) if mask is None else self._padded(ids, mask)).numpy()
        return states

    def _states(self, ids: Tensor, mask: Tensor | None = None) -> Tensor:
        x = self._words[ids] + self._places[: ids.shape[1]]
        x = layer_norm(x, (DIMENSION,), *self._norm, EPSILON)
        attended = None if mask is None else mask[:, None, None, :]
        for layer in self._layers:
            x = layer(x, attended)
        return x


@dataclass(frozen=True, slots=True)
class _Layer:
    """One layer of BERT (Devlin et al., 2019): matrices in the chosen precision, sums and norms in float32."""

    attention: tuple[Tensor, Tensor]
    joined: tuple[Tensor, Tensor]
    first_norm: tuple[Tensor, Tensor]
    wide: tuple[Tensor, Tensor]
    narrow: tuple[Tensor, Tensor]
    second_norm: tuple[Tensor, Tensor]

    @classmethod
    def load(cls, weights: dict[str, Tensor], prefix: str, dtype: torch.dtype) -> _Layer:
        def matrix(name: str) -> tuple[Tensor, Tensor]:
            weight, bias = _pair(weights, f"{prefix}.{name}")
            return weight.to(dtype), bias.to(dtype)

        parts = [matrix(f"attention.self.{part}") for part in ("query", "key", "value")]
        return cls(
            attention=(torch.cat([weight for weight, _ in parts]), torch.cat([bias for _, bias in parts])),
            joined=matrix("attention.output.dense"),
            first_norm=_pair(weights, f"{prefix}.attention.output.LayerNorm"),
            wide=matrix("intermediate.dense"),
            narrow=matrix("output.dense"),
            second_norm=_pair(weights, f"{prefix}.output.LayerNorm"),
        )

    def __call__(self, x: Tensor, mask: Tensor | None) -> Tensor:
        batch, length, _ = x.shape
        dtype = self.wide[0].dtype
        parts = linear(x.to(dtype), *self.attention).view(batch, length, 3, HEADS, DIMENSION // HEADS)
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)
        heads = scaled_dot_product_attention(query, key, value, attn_mask=mask)
        joined = linear(heads.transpose(1, 2).reshape(batch, length, DIMENSION), *self.joined)
        x = layer_norm(joined.float() + x, (DIMENSION,), *self.first_norm, EPSILON)
        narrow = linear(gelu(linear(x.to(dtype), *self.wide)), *self.narrow)
        return layer_norm(narrow.float() + x, (DIMENSION,), *self.second_norm, EPSILON)


@lru_cache(maxsize=2)
def _model(folder: Path, in_bfloat16: bool) -> _Model:
    """The verified weights of a folder, once a process: PyTorch never lets go of what was recorded."""
    dtype = torch.bfloat16 if in_bfloat16 else torch.float32
    return _Model(load_file(folder / "model.safetensors"), dtype)


@torch.inference_mode()
def _recorded(states: Callable[..., Tensor], *example: Tensor) -> Callable[..., Tensor]:
    """The computation for arguments of any shape, run often enough to be compiled.

    PyTorch calls recording deprecated; what it names instead needs a C++ compiler where the server runs, or stays in
    Python.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit.trace` is deprecated", DeprecationWarning)
        recorded: Callable[..., Tensor] = torch.jit.trace(  # type: ignore[no-untyped-call]
            states, example, check_trace=False
        )
    for _ in range(RUNS_TO_COMPILE):
        recorded(*example)
    return recorded


def _pair(weights: dict[str, Tensor], name: str) -> tuple[Tensor, Tensor]:
    return weights[f"{name}.weight"], weights[f"{name}.bias"]


def _in_bfloat16(precision: Precision) -> bool:
    """Whether matrices are multiplied in bfloat16: slower than float32 where the CPU has no AMX for it."""
    if precision == "auto":
        return multiplies_bfloat16()
    return precision == "bfloat16"
