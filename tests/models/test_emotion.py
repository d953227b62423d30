"""Emotions by keywords, and the importance of a message."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.errors import SettingsError
from graph.settings import load_settings
from models.emotion import END, LABELS, Emotion, Label, importance, open_emotion
from models.emotion_keywords import emotion_of
from models.emotion_lexicon import SIGNS, WORDS


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("I hate you! How dare you say that?", "anger"),
        ("*slams the door and glares at him*", "anger"),
        ("Ugh, that stench is revolting.", "disgust"),
        ("She was terrified; her hands trembled.", "fear"),
        ("*smiles softly* I'm so glad you came.", "joy"),
        ("We laughed and danced until morning 😂", "joy"),
        ("He sobbed over his brother's grave, crying.", "sadness"),
        ("*sighs* I miss you", "sadness"),
        ("*her eyes widen* No way, what the...", "surprise"),
        ("Wow, I didn't expect that, unbelievable", "surprise"),
        ("The train leaves at nine from platform two.", "neutral"),
        ("", "neutral"),
        ("She's happier than ever.", "joy"),
        ("see you tomorrow :)", "joy"),
        ("💔", "sadness"),
    ],
)
def test_emotions_are_read_from_words_actions_and_emoji(text: str, label: Label) -> None:
    assert emotion_of(text).label == label


@pytest.mark.parametrize("text", ["He put on his hat.", "A shovel.", "The madam of the house.", "gladiator"])
def test_a_keyword_inside_another_word_is_none(text: str) -> None:
    assert emotion_of(text).label == "neutral"


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("I am not afraid.", "neutral"),
        ("I'm never angry", "neutral"),
        ("She wasn’t really scared.", "neutral"),  # noqa: RUF001
        ("I'm not happy about it.", "sadness"),
        ("I can't stop smiling.", "joy"),
        ("Not only happy, overjoyed", "joy"),
        ("No, I'm afraid.", "fear"),
    ],
)
def test_negation_reaches_to_the_end_of_its_clause(text: str, label: Label) -> None:
    assert emotion_of(text).label == label


def test_exclamation_and_capitals_raise_confidence() -> None:
    plain, loud, loudest = (
        emotion_of(text).confidence for text in ("I am happy", "I am happy!", "I am HAPPY!")
    )
    assert plain < loud < loudest


def test_more_evidence_raises_confidence_and_contradiction_lowers_it() -> None:
    assert emotion_of("happy").confidence < emotion_of("happy, laughing, glad").confidence
    assert emotion_of("happy").confidence > emotion_of("happy and sad").confidence


@given(st.text(max_size=300))
def test_any_text_has_an_emotion_and_a_confidence(text: str) -> None:
    emotion = emotion_of(text)
    assert emotion.label in LABELS and 0.0 <= emotion.confidence <= 1.0


@given(st.lists(st.sampled_from([*WORDS, *SIGNS, "not", "!", "*", "CAPITALS"]), max_size=50))
def test_confidence_stays_a_probability_whatever_is_piled_up(words: list[str]) -> None:
    assert 0.0 <= emotion_of(" ".join(words)).confidence <= 1.0


@given(st.text(), st.sampled_from(LABELS), st.floats(0, 1))
def test_importance_is_always_between_0_and_1(text: str, label: Label, confidence: float) -> None:
    assert 0.0 <= importance(text, Emotion(label, confidence)) <= 1.0


@pytest.mark.parametrize(
    ("text", "emotion", "expected"),
    [
        ("Fine.", Emotion("neutral", 1.0), 0.5),
        ("Fine.", Emotion("anger", 1.0), 0.8),
        ("Fine.", Emotion("fear", 0.5), 0.65),
        ("Fine.", Emotion("sadness", 1.0), 0.8),
        ("Fine.", Emotion("joy", 1.0), 0.74),
        ("Fine.", Emotion("disgust", 1.0), 0.71),
        ("Fine.", Emotion("surprise", 1.0), 0.71),
        ("x" * 200, Emotion("neutral", 1.0), 0.5),
        ("x" * 201, Emotion("neutral", 1.0), 0.65),
        ("Really?", Emotion("neutral", 1.0), 0.6),
        ("Really??", Emotion("neutral", 1.0), 0.65),
        ("Really????", Emotion("neutral", 1.0), 0.65),
        ("Go!", Emotion("neutral", 1.0), 0.55),
        ("Go!!!!", Emotion("neutral", 1.0), 0.6),
        ("I'm here.", Emotion("neutral", 1.0), 0.55),
        ("I lost my hat, my coat", Emotion("neutral", 1.0), 0.6),
        ("I " * 200 + "??!!", Emotion("anger", 1.0), 1.0),
    ],
)
def test_importance_follows_the_formula(text: str, emotion: Emotion, expected: float) -> None:
    assert importance(text, emotion) == pytest.approx(expected)


@pytest.mark.parametrize("place", ["{0}{1}", "{1}{0}", "{1}{0}{1}"], ids=["head", "tail", "middle"])
def test_a_long_message_is_read_at_its_head_and_tail_only(place: str) -> None:
    text = place.format(" I am so happy! ", "The train leaves at nine. " * END)
    read = not place.startswith("{1}{0}{1}")
    assert emotion_of(text).label == ("joy" if read else "neutral")
    assert importance(text, Emotion("neutral", 1.0)) == pytest.approx(0.75 if read else 0.65)


def test_a_message_of_8000_characters_is_read_whole() -> None:
    padding = "." * (END - 10)
    text = f"{padding} I am happy? {padding}"
    assert 2 * END - 10 < len(text) <= 2 * END
    assert emotion_of(text).label == "joy"
    assert importance(text, Emotion("neutral", 1.0)) == pytest.approx(0.8)


async def test_the_detector_named_by_the_settings_is_opened() -> None:
    detector = await open_emotion(load_settings())
    assert detector.name == "keywords"
    assert (await detector.read("I'm so happy!")).label == "joy"


async def test_an_unknown_detector_stops_the_start() -> None:
    with pytest.raises(SettingsError, match=r"EMOTION_MODEL: 'bert' is not known; allowed: keywords"):
        await open_emotion(load_settings(emotion_model="bert"))
