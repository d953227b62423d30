"""What front-ends mean by a request: the one place that knows SillyTavern's habits."""

from server.sillytavern.interpretation import Interpretation, interpret
from server.sillytavern.markers import DEFAULT, MAIN_PROMPT, Markers, markers_of
from server.sillytavern.names import EXAMPLE_NAMES, shows_group
from server.sillytavern.tag import told_whose

__all__ = [
    "DEFAULT",
    "EXAMPLE_NAMES",
    "MAIN_PROMPT",
    "Interpretation",
    "Markers",
    "interpret",
    "markers_of",
    "shows_group",
    "told_whose",
]
