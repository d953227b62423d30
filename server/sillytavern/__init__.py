"""What front-ends mean by a request: the one place that knows SillyTavern's habits."""

from server.sillytavern.interpretation import Interpretation, interpret
from server.sillytavern.markers import DEFAULT, MAIN_PROMPT, Markers, markers_of
from server.sillytavern.names import EXAMPLE_NAMES
from server.sillytavern.tag import avatar_of, told_whose, word_of

__all__ = [
    "DEFAULT",
    "EXAMPLE_NAMES",
    "MAIN_PROMPT",
    "Interpretation",
    "Markers",
    "avatar_of",
    "interpret",
    "markers_of",
    "told_whose",
    "word_of",
]
