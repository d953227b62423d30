"""The figures of recall: which questions count, on which scale, and the chart of them."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.recall.chart import LABEL, WIDTH, Bar, Panel, chart
from benchmarks.recall.data import Conversation, DataSet, Line, Question
from benchmarks.recall.report import BEGIN, END, compared, figures_of, of_dataset, panels_of, tell
from benchmarks.recall.texts import texts, vocabulary

LINES = tuple(Line(f"D1:{n}", "user", "Alex", f"Line {n}.", float(n)) for n in range(1, 5))
ASKED = (
    Question("First?", ("D1:1",), "single-hop"),
    Question("Both?", ("D1:2", "D1:3"), "multi-hop"),
    Question("Never?", ("D1:4",), "adversarial"),
)
FIRST, HALF, NONE = ["D1:1"], ["D1:2", "D1:4"], ["D1:1"]


def dataset(name: str, *, report: bool) -> DataSet:
    return DataSet(name, [Conversation("c", "Alex", "Mira", LINES, ASKED, report)], "0" * 64)


def test_adversarial_questions_are_reported_apart() -> None:
    told = figures_of(dataset("locomo", report=True), [[FIRST, HALF, NONE]])
    assert told["report"]["questions"] == 2
    assert told["report"]["r10"] == 75.0
    assert told["report"]["multihop_r10"] == 50.0
    assert told["report"]["by_category"]["adversarial"]["r10"] == 0.0


def test_a_split_without_conversations_has_no_figures() -> None:
    assert set(figures_of(dataset("locomo", report=False), [[FIRST, HALF, NONE]])) == {"all"}


def test_the_other_data_sets_are_told_as_shares() -> None:
    told = figures_of(dataset("realistic", report=True), [[FIRST, HALF, NONE]])
    assert told["all"]["top1"] == 0.75


def test_what_changes_nothing_has_an_interval_of_nothing() -> None:
    ranked = [[FIRST, HALF, NONE]]
    told = compared(dataset("locomo", report=True), ranked, ranked, seed=1)
    assert told["all"] == {"questions": 2, "difference": 0.0, "interval": [0.0, 0.0]}


def test_a_loss_is_negative() -> None:
    told = compared(dataset("locomo", report=True), [[NONE, [], []]], [[FIRST, HALF, []]], seed=1)
    assert told["all"]["difference"] == pytest.approx(-25.0)


def test_the_chart_is_drawn_to_scale() -> None:
    drawn = ElementTree.fromstring(chart([Panel("Recall & more", [Bar("ours", 80, True), Bar("<mem>", 40)])]))
    ours, other = (float(bar.attrib["width"]) for bar in drawn.iter("{http://www.w3.org/2000/svg}rect"))
    assert ours == pytest.approx(2 * other)
    assert ours < WIDTH - LABEL


def test_there_is_no_chart_of_one_system_alone() -> None:
    assert panels_of({"locomo_report": {"r10": 80.0}}) == []


def test_the_table_is_put_where_the_readme_marks_it_and_nowhere_else(tmp_path: Path) -> None:
    figures = {"seed": 1} | of_dataset(
        dataset("locomo", report=True), {"auto": [[FIRST, HALF, NONE]]}, seed=1
    )
    figures |= {
        "baselines": {"locomo": {"cosine": {"report": {"r5": 12.5, "r10": 25.0}}}},
        "peers": {"peers": {}, "cannot_run": [{"name": "their", "version": "1", "reason": "needs a key."}]},
        "speed": {"stored/words": {"10000/10": {"p50_ms": 20.5, "p95_ms": 30.0}}},
    }
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{BEGIN}old\n{END}\nafter\n")
    for _ in range(2):
        tell(figures, readme)
        text = readme.read_text()
        assert text.startswith(f"before\n{BEGIN}\n| system |") and text.endswith(f"{END}\nafter\n")
        assert "| **emotional-rag** | 75.0 | 75.0 | 75.0 | 75.0 | 50.0 | 20.5 / 30 |" in text
        assert "| cosine | 12.5 | 25.0 |  |  |  |  |" in text
        assert "their 1: needs a key." in text and "old" not in text
    readme.write_text("nothing is marked\n")
    tell(figures, readme)
    assert readme.read_text() == "nothing is marked\n"


def test_common_words_are_in_most_texts_and_the_seed_decides_them() -> None:
    said = [text for text, _ in zip(texts(3), range(300), strict=False)]
    assert said == [text for text, _ in zip(texts(3), range(300), strict=False)]
    common = sum(vocabulary()[0] in text.lower().replace(".", "").split() for text in said)
    assert common > len(said) / 2
    assert all(len(text.split()) == 30 for text in said)
