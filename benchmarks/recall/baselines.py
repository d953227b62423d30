"""What everybody has: cosine of MiniLM's embeddings and stemmed BM25, as rankings of the same lines."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from benchmarks.figures import keep
from benchmarks.recall.data import COUNTED, LOCOMO_CATEGORIES, Conversation, DataSet, Line, locomo
from benchmarks.recall.measures import mean, ndcg_at, recall_at
from models.weights import BUILT_IN, load_embedding_model, prepare_torch

DEPTH = 50
"""How many lines a ranking names; no figure looks further."""
CUTS = (5, 10, 25, 50)
UNCOUNTED = frozenset(name for number, name in LOCOMO_CATEGORIES.items() if number not in COUNTED)
"""LoCoMo's adversarial questions."""
ABSENT = "Skipped: there is no data at {}. Say where it is with --data PATH."

Rankings = list[list[list[str]]]
"""A conversation's, in it a question's ids of lines, best first, at most DEPTH."""
Ranker = Callable[[Conversation], list[list[str]]]
Vectors = npt.NDArray[np.float32]


def said(line: Line) -> str:
    """A line as all systems are given it: who said it, and what."""
    return f"{line.speaker}: {line.text}" if line.speaker else line.text


class Cosine:
    """all-MiniLM-L6-v2, one unit vector a text; a text that comes again is not embedded again."""

    def __init__(self) -> None:
        prepare_torch(1)
        self._model, _ = load_embedding_model(BUILT_IN)
        self._known: dict[str, Vectors] = {}

    def __call__(self, conversation: Conversation) -> list[list[str]]:
        lines = self.embed([said(line) for line in conversation.lines])
        asked = self.embed([question.text for question in conversation.questions])
        return [best(conversation.lines, lines @ query) for query in asked]

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Shape (texts, dimension), rows of length 1."""
        if new := [text for text in dict.fromkeys(texts) if text not in self._known]:
            vectors = self._model.encode(new, normalize_embeddings=True, show_progress_bar=False)
            self._known.update(zip(new, np.asarray(vectors, dtype=np.float32), strict=True))
        return np.stack([self._known[text] for text in texts])


def bm25(conversation: Conversation) -> list[list[str]]:
    """BM25 over Snowball's English stems; stop words, question words among them, are dropped.

    k1 0.9 and b 0.4 are Anserini's defaults, for short texts better than 1.5 and 0.75. Needs the extra `bench`
    (bm25s, PyStemmer); raises ModuleNotFoundError where it is not installed.
    """
    library, stemmer = import_module("bm25s"), import_module("Stemmer").Stemmer("english")

    def stems(texts: list[str]) -> Any:  # Any: the library's own type, which is not known without it
        return library.tokenize(texts, stopwords="en_plus", stemmer=stemmer, show_progress=False)

    index = library.BM25(k1=0.9, b=0.4)
    index.index(stems([said(line) for line in conversation.lines]), show_progress=False)
    asked = stems([question.text for question in conversation.questions])
    depth = min(DEPTH, len(conversation.lines))
    found, _ = index.retrieve(asked, k=depth, show_progress=False)
    return [[conversation.lines[i].id for i in row] for row in found.tolist()]


def best(lines: Sequence[Line], scores: Vectors) -> list[str]:
    """The ids of the DEPTH lines with the largest scores (lines,), best first, equal ones in order."""
    return [lines[i].id for i in np.argsort(-scores, kind="stable")[:DEPTH]]


def rankings(dataset: DataSet) -> dict[str, Rankings]:
    """Every baseline's ranking for each conversation's questions, by the baseline's name."""
    rankers: dict[str, Ranker] = {"MiniLM cosine": Cosine(), "BM25, stemmed": bm25}
    return {name: [rank(one) for one in dataset.conversations] for name, rank in rankers.items()}


def figures(dataset: DataSet, ranked: Rankings) -> dict[str, dict[str, float]]:
    """For `report` (what nothing was chosen by) and `all`: questions, r5 r10 r25 r50, multihop_r10, ndcg5.

    In percent, means over questions; LoCoMo's adversarial questions do not count.
    """
    pairs = list(zip(dataset.conversations, ranked, strict=True))
    return {
        "report": _figures((c, r) for c, r in pairs if c.report),
        "all": _figures(pairs),
    }


def _figures(pairs: Iterable[tuple[Conversation, list[list[str]]]]) -> dict[str, float]:
    asked = [
        (question, row)
        for conversation, rows in pairs
        for question, row in zip(conversation.questions, rows, strict=True)
        if question.category not in UNCOUNTED
    ]
    told: dict[str, float] = {"questions": len(asked)}
    for k in CUTS:
        told[f"r{k}"] = round(mean([recall_at(k, row, q.evidence) for q, row in asked]), 1)
    if multihop := [(q, row) for q, row in asked if q.category == LOCOMO_CATEGORIES[1]]:
        told["multihop_r10"] = round(mean([recall_at(10, row, q.evidence) for q, row in multihop]), 1)
    told["ndcg5"] = round(mean([ndcg_at(5, row, q.evidence) for q, row in asked]), 1)
    return told


def measure(dataset: DataSet) -> dict[str, Any]:
    """The baselines' figures, ready for JSON (Any: of several kinds)."""
    told = {name: figures(dataset, ranked) for name, ranked in rankings(dataset).items()}
    return description(dataset) | {"baselines": told}


def description(dataset: DataSet) -> dict[str, Any]:
    """What was measured on, to be told with every figure (Any: of several kinds)."""
    return {
        "data": dataset.name,
        "sha256": dataset.sha256,
        "unit": "a line (turn) with its speaker's name",
        "k": list(CUTS),
        "report": [c.name for c in dataset.conversations if c.report],
        "all": [c.name for c in dataset.conversations],
    }


def recall_table(title: str, rows: dict[str, dict[str, float]]) -> Table:
    """One line a system, one column a figure."""
    table = Table(title=title)
    table.add_column("system")
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    for column in columns:
        table.add_column(column, justify="right")
    for name, row in rows.items():
        table.add_row(name, *(f"{row[c]:g}" if c in row else "" for c in columns))
    return table


def print_description(console: Console, told: dict[str, Any]) -> None:
    """The data, its hash, unit, cuts and split (Any: as in `description`)."""
    console.print(
        f"{told['data']}, sha256 {told['sha256'][:16]}; unit: {told['unit']}; k: {told['k']}; "
        f"report: {len(told['report'])} of {len(told['all'])} conversations; no seed, nothing is random"
    )


def main() -> None:
    """Measure on LoCoMo, print, and write build/bench/baselines.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="LoCoMo's JSON file")
    parser.add_argument("--json", type=Path, default=Path("build/bench/baselines.json"))
    options = parser.parse_args()
    if not options.data.is_file():
        print(ABSENT.format(options.data))
        return
    told = measure(locomo(options.data))
    keep(told, options.json)
    console = Console()
    print_description(console, told)
    for split in ("report", "all"):
        rows = {name: row[split] for name, row in told["baselines"].items()}
        console.print(recall_table(f"Recall, percent ({split})", rows))


if __name__ == "__main__":
    main()
