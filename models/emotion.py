"""Emotions: a label with confidence, and how much a message matters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

Label = Literal["anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise"]


@dataclass(frozen=True, slots=True)
class Emotion:
    """A label and its confidence in [0, 1]."""

    label: Label
    confidence: float


class EmotionDetector(Protocol):
    """Reads the emotion of one message."""

    name: str

    async def read(self, text: str) -> Emotion: ...
