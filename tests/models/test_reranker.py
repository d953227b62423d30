"""The reranker, over a real (tiny, untrained) BERT cross-encoder that the test writes to disk."""

import gc
import weakref
from pathlib import Path

import pytest

from graph.errors import SettingsError
from graph.settings import load_settings
from models.reranker import Reranker, open_reranker


@pytest.fixture
def cross_encoder(tmp_path: Path) -> Path:
    return _tiny_cross_encoder(tmp_path / "cross-encoder", labels=1)


def _tiny_cross_encoder(folder: Path, labels: int) -> Path:
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

    torch.manual_seed(7)
    words = (
        "[PAD] [UNK] [CLS] [SEP] [MASK] the lighthouse keeper keeps lamp burning cat sleeps storm who".split()
    )
    BertTokenizer(vocab={word: n for n, word in enumerate(words)}).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
        initializer_range=1.0,
    )
    config.num_labels = labels
    BertForSequenceClassification(config).save_pretrained(folder)
    return folder


async def _open(folder: Path) -> Reranker:
    reranker = await open_reranker(load_settings(reranker_model=str(folder)))
    assert reranker is not None
    return reranker


async def test_without_a_setting_there_is_none() -> None:
    assert await open_reranker(load_settings(reranker_model=None)) is None


async def test_every_text_gets_its_own_score_whatever_stands_beside_it(cross_encoder: Path) -> None:
    reranker = await _open(cross_encoder)
    texts = ["the keeper keeps the lamp burning", "the cat sleeps", "storm", ""]
    together = await reranker.scores("who keeps the lamp", texts)
    alone = [(await reranker.scores("who keeps the lamp", [text]))[0] for text in texts]
    assert together == pytest.approx(alone, abs=1e-5)
    assert len(set(together)) == len(texts)
    await reranker.close()


async def test_more_texts_than_a_batch_and_longer_ones_than_the_model_reads(cross_encoder: Path) -> None:
    reranker = await _open(cross_encoder)
    scores = await reranker.scores("who", ["storm " * n for n in range(100)])
    assert len(scores) == 100 and all(isinstance(score, float) for score in scores)
    await reranker.close()


async def test_no_texts_no_scores_and_broken_unicode_is_no_error(cross_encoder: Path) -> None:
    reranker = await _open(cross_encoder)
    assert await reranker.scores("who", []) == []
    assert len(await reranker.scores("\ud800", ["\udfff", "storm"])) == 2
    await reranker.close()


async def test_a_model_with_two_labels_scores_by_the_second(tmp_path: Path) -> None:
    reranker = await _open(_tiny_cross_encoder(tmp_path / "two-labels", labels=2))
    scores = await reranker.scores("who", ["storm", "the cat"])
    assert len(scores) == 2 and scores[0] != scores[1]
    await reranker.close()


async def test_a_closed_reranker_lets_the_weights_go(cross_encoder: Path) -> None:
    reranker = await _open(cross_encoder)
    weights = weakref.ref(vars(reranker)["_model"].client)
    await reranker.close()
    gc.collect()
    assert weights() is None, "whatever still refers to the reranker keeps no model alive"


async def test_a_folder_without_a_model_stops_the_start_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"RERANKER_MODEL: .*leave it empty"):
        await open_reranker(load_settings(reranker_model=str(tmp_path)))
