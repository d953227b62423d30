"""The ranker's promises: what is read of a question, what counts, what stands first and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from memory.ranking.features import (
    CONTENT,
    CONTRASTED,
    FEATURES,
    FUNCTION_WORD,
    Around,
    Lines,
    Match,
    features,
    opens_of,
    sessions_of,
    token_kinds,
)
from memory.ranking.mood import MoodHead, congruence
from memory.ranking.ranker import (
    WEIGHTS,
    candidates,
    explained,
    first_scores,
    scores,
    with_neighbours,
)
from memory.ranking.reading import Holds, asks, holds, names_in, read_asked
from memory.ranking.words import WordIndex, stem, terms

NAMES = ["Anna", "Mira Vale"]


def lines(n: int, **given: list[int]) -> Lines:
    def column(name: str, default: list[int]) -> np.ndarray:
        return np.array(given.get(name, default), np.int32)

    return Lines(
        column("position", list(range(n))),
        column("session", [0] * n),
        column("speaker", [0] * n),
        column("holds", [0] * n).astype(np.uint8),
        np.zeros(n, bool),
        column("length", [8] * n),
    )


def match(similar: list[list[float]], in_context: bool = False) -> Match:
    seen = np.array(similar, np.float32)
    n = seen.shape[1]
    return Match(
        cosine=np.zeros(n, np.float32),
        impacts=np.zeros((0, n), np.float32),
        most=np.zeros(0, np.float32),
        similar=seen,
        kinds=np.full(len(seen), CONTENT, np.int8),
        weights=np.ones(len(seen), np.float32),
        names_asker=np.zeros(n, bool),
        in_context=in_context,
        mood=np.zeros(n, np.float32),
    )


@pytest.mark.parametrize(
    ("text", "read", "named"),
    [
        ("When did Mira leave the harbour?", "When did I leave the harbour?", {1}),
        ("What is Mira Vale's sister called?", "What is my sister called?", {1}),
        ("What did you do with Miranda?", "What did I do with Miranda?", {1}),
        ("Have Anna and Mira met?", "Have I and I met?", {0, 1}),
        ("What did you tell me?", "What did you tell me?", set()),
        ("*looks at you*", "*looks at you*", set()),
    ],
)
def test_a_question_about_a_speaker_is_asked_as_the_speaker_would_say_it(
    text: str, read: str, named: set[int]
) -> None:
    asked = read_asked(text, NAMES, asker=0)
    assert (asked.text, set(asked.named)) == (read, named)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Which day was the crash, not the repair?", "Which day was the crash"),
        ("Which letter was the apology, distinct from the invitation?", "Which letter was the apology"),
        ("Not the repair, I said.", None),
        ("It is not easy.", None),
    ],
)
def test_what_is_not_meant_is_told_from_what_is(text: str, kept: str | None) -> None:
    contrast = read_asked(text, NAMES).contrast
    assert (None if contrast is None else text[:contrast]) == kept


def test_what_kind_of_answer_is_wanted_is_read_from_the_question() -> None:
    assert read_asked("How long ago was it?", []).when
    assert read_asked("Which city do we mean?", []).where
    assert read_asked("Who wrote it?", []).who
    assert not read_asked("She left.", []).question


def read(text: str, speakers: Sequence[str] = ()) -> Holds:
    return holds(text, names_in(text).difference(speakers))


def test_what_a_message_holds_is_read_from_its_words() -> None:
    assert read("I met Tobias yesterday.") == Holds.TIME | Holds.NAME | Holds.FIRST_PERSON
    assert read("oh, Mira, no", ["Mira"]) == Holds(0)
    assert read('Did he say "run"? *turns*') == Holds.QUOTE | Holds.QUESTION
    assert read("Did he?*") == Holds.QUESTION | Holds.ENDS_ASKING


@pytest.mark.parametrize(
    ("one", "other"), [("painting", "paints"), ("stopped", "stop"), ("cities", "city"), ("hopes", "hoping")]
)
def test_forms_of_a_word_share_a_stem(one: str, other: str) -> None:
    assert stem(one) == stem(other)


def test_stop_words_are_no_terms_and_words_of_other_scripts_are() -> None:
    assert terms("What was the café in 東京?") == ["café", "東京"]


def test_messages_off_the_path_change_no_score() -> None:
    index = WordIndex()
    for ref, text in ((1, "a red boat"), (2, "the old lighthouse"), (3, "lighthouse keeper and boat")):
        index.add(ref, text)
    before, most = index.impacts(terms("lighthouse"), np.array([1, 3], np.int32))
    for ref in range(4, 60):
        index.add(ref, "lighthouse lighthouse")
    after, most_after = index.impacts(terms("lighthouse"), np.array([1, 3], np.int32))
    assert before.tolist() == after.tolist()
    assert most.tolist() == most_after.tolist()
    assert before[0, 0] == 0 < before[0, 1] <= most[0]


def test_a_term_that_most_messages_have_scores_nothing() -> None:
    index = WordIndex()
    for ref in range(1, 101):
        index.add(ref, "boat" if ref > 1 else "boat lighthouse")
    impacts, most = index.impacts(terms("boat lighthouse"), np.arange(1, 101, dtype=np.int32))
    assert impacts[0].max() == 0 == most[0]
    assert impacts[1].argmax() == 0 and impacts[1].max() > 0


def test_stop_words_and_what_is_not_meant_are_kinds_of_their_own() -> None:
    kinds = token_kinds(["the", "crash", ",", "not", "the", "repair"], [0, 4, 9, 11, 15, 19], contrast=9)
    word, content, against = FUNCTION_WORD, CONTENT, CONTRASTED
    assert kinds.tolist() == [word, content, word, word, word, against]
    assert token_kinds(["who", "?"], [0, 3]).tolist() == [CONTENT, CONTENT]


def test_a_long_silence_begins_a_session() -> None:
    assert sessions_of(np.array([0.0, 60.0, 90_000.0, 90_060.0])).tolist() == [0, 0, 1, 1]
    assert opens_of(np.array([0, 0, 1, 1], np.int32)).tolist() == [True, False, True, False]


def test_neighbours_are_next_to_each_other_on_the_path_and_in_one_session() -> None:
    around = Around(lines(4, position=[3, 4, 5, 7], session=[0, 0, 1, 1]), 2)
    values = np.array([1, 2, 3, 4], np.float32)
    assert around.at(values, 1).tolist() == [2, 0, 0, 0]
    assert around.at(values, -1).tolist() == [0, 1, 0, 0]
    beside, close = around.best(values[:, None], (1, 2))
    assert beside[:, 0].tolist() == [2, 2, 3, 4]
    assert close[:, 0].tolist() == [2, 2, 4, 4]


def test_the_answer_beside_the_match_outranks_a_line_far_from_it() -> None:
    asked = read_asked("What do you keep there?", NAMES)
    similar = [[0.1, 0.9, 0.2, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.2]]
    n = len(similar[0])
    ranked = scores(
        features(
            asked,
            lines(n, holds=[0, int(Holds.ENDS_ASKING | Holds.QUESTION)] + [0] * (n - 2)),
            match(similar),
        )
    )
    assert ranked[2] > ranked[n - 1]


def test_who_is_asked_about_and_when_move_the_order() -> None:
    asked = read_asked("When did Mira leave?", NAMES)
    told = lines(2, speaker=[0, 1])
    assert scores(features(asked, told, match([[0.5, 0.5]]))).argmax() == 1
    timed = lines(2, holds=[int(Holds.TIME), 0])
    assert scores(features(asked, timed, match([[0.5, 0.5]]))).argmax() == 0


def test_an_explanation_adds_up_to_the_score() -> None:
    columns = features(read_asked("Who left?", NAMES), lines(3), match([[0.2, 0.9, 0.4]]))
    assert set(WEIGHTS) == set(FEATURES)
    for column, score in zip(columns, scores(columns), strict=True):
        assert sum(explained(column).values()) == pytest.approx(float(score), abs=1e-4)


def test_no_lines_have_no_scores() -> None:
    assert scores(features(read_asked("?", NAMES), lines(0), match([[]]))).shape == (0,)


def test_the_first_stage_keeps_the_best_and_the_lines_beside_them() -> None:
    told = lines(50, session=[0] * 21 + [1] * 29)
    cosine = np.zeros(50, np.float32)
    cosine[20] = 1
    best = candidates(first_scores(read_asked("?", NAMES), cosine, np.zeros((0, 50), np.float32), told), 1)
    assert best.tolist() == [20]
    assert with_neighbours(best, told).tolist() == [19, 20]


def test_mood_counts_when_a_question_is_asked_and_not_otherwise() -> None:
    seen = replace(match([[0.5, 0.5]]), mood=np.array([1, -1], np.float32))
    asking, telling = (read_asked(text, NAMES) for text in ("Which day was the darkest?", "I am so sad."))
    alike, unlike = scores(features(asking, lines(2, position=[1, 4]), seen))
    assert alike > unlike
    alike, unlike = scores(features(telling, lines(2, position=[1, 4]), seen))
    assert alike == unlike


def test_a_matter_of_fact_moment_has_no_mood() -> None:
    valences = np.array([-1, 0, 1], np.float32)
    assert congruence(valences, 1, 0).tolist() == [0, 0, 0]
    assert congruence(valences, -1, 1).tolist() == [1, 0, -1]


def test_valence_and_emotionality_stay_in_their_ranges() -> None:
    vectors = np.random.default_rng(1).normal(size=(20, 384)).astype(np.float32)
    valence, emotionality = MoodHead().read(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    assert (np.abs(valence) <= 1).all() and ((emotionality >= 0) & (emotionality <= 1)).all()


@pytest.mark.parametrize(
    "line",
    [
        "Where is Ines?",
        '"Where is Ines?" *She looks away.*',
        "*leans in* Tell me about Ines.",
        "Did she leave",
    ],
)
def test_a_question_is_one_whatever_gesture_goes_with_it(line: str) -> None:
    assert asks(line)


@pytest.mark.parametrize("line", ["*wonders where Ines is*", "Give me your hand.", "Ines left.", ""])
def test_what_asks_for_nothing_is_no_question(line: str) -> None:
    assert not asks(line)
