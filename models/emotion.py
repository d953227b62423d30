"""Emotions: a label with confidence, and how much a message matters."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, Protocol

from graph.errors import SettingsError
from graph.settings import Settings

Label = Literal["anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise"]

LABELS: tuple[Label, ...] = ("anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise")

WEIGHTS: dict[Label, float] = {
    "anger": 1.0,
    "fear": 1.0,
    "sadness": 1.0,
    "joy": 0.8,
    "disgust": 0.7,
    "surprise": 0.7,
    "neutral": 0.0,
}
"""How much each emotion adds to the importance of a message."""

LONG_TEXT = 200
"""Characters above which a message counts as long."""

END = 4_000
"""Characters at the head and at the tail of a message that are read; of a longer one the middle is not."""

_FIRST_PERSON = re.compile(r"\b(?:i|me|my|mine|myself|we|us|our|ours|ourselves)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Emotion:
    """A label and its confidence in [0, 1]."""

    label: Label
    confidence: float


class EmotionDetector(Protocol):
    """Reads the emotion of one message."""

    name: str

    async def read(self, text: str) -> Emotion: ...


def ends(text: str) -> str:
    """What is read of a text: all of it up to 8,000 characters, otherwise the first and the last 4,000."""
    return text if len(text) <= 2 * END else f"{text[:END]}\n{text[-END:]}"


def importance(text: str, emotion: Emotion) -> float:
    """How much a message matters, in [0, 1].

    0.5, + 0.3 x confidence x the emotion's weight, + 0.15 over 200 characters, + 0.1 a question mark up to
    0.15 in all, + 0.05 an exclamation mark up to 0.1, + 0.05 a first-person pronoun up to 0.1. Every mark of
    a run counts ("?!?" holds two questions), full-width ones too; pronouns are singular or plural, and "I'm"
    holds one. Marks and pronouns are counted in the text's `ends`.
    """
    long, text = len(text) > LONG_TEXT, ends(text)
    questions = text.count("?") + text.count("？")  # noqa: RUF001
    exclamations = text.count("!") + text.count("！")  # noqa: RUF001
    pronouns = len(_FIRST_PERSON.findall(text))
    total = (
        0.5
        + 0.3 * emotion.confidence * WEIGHTS[emotion.label]
        + (0.15 if long else 0.0)
        + min(0.1 * questions, 0.15)
        + min(0.05 * exclamations, 0.1)
        + min(0.05 * pronouns, 0.1)
    )
    return min(max(total, 0.0), 1.0)


async def open_emotion(settings: Settings) -> EmotionDetector:
    """The detector named by EMOTION_MODEL; raises SettingsError."""
    from models.emotion_keywords import NAME, KeywordEmotions

    if settings.emotion_model != NAME:
        raise SettingsError(f"EMOTION_MODEL: {settings.emotion_model!r} is not known; allowed: {NAME}.")
    return KeywordEmotions()
