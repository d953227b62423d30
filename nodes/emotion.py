"""Emotion: how the newest message feels and how much it matters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from langgraph.runtime import Runtime

from graph.context import TurnContext
from graph.state import TurnState
from models.emotion import EmotionDetector, importance


@dataclass(frozen=True)
class ReadEmotion:
    """Label, confidence and importance of the message that this turn answers."""

    detector: EmotionDetector

    async def __call__(self, state: TurnState, runtime: Runtime[TurnContext]) -> dict[str, Any]:
        emotion = await self.detector.read(state.newest)
        return {
            "emotion": emotion.label,
            "confidence": emotion.confidence,
            "importance": importance(state.newest, emotion),
        }
