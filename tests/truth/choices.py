"""How hypothesis chooses: without the constants that it collects from our modules, so that a sequence depends
on its seed and on what a front-end can do, and stays what it is when the product's code changes.
"""

from __future__ import annotations

from typing import Any

from hypothesis.internal.conjecture.providers import AVAILABLE_PROVIDERS, HypothesisProvider

NAME = "without-constants"
"""The backend's name among hypothesis's."""


class WithoutConstants(HypothesisProvider):
    """Hypothesis's own choices, but none of a number because it stands somewhere in a module."""

    def _maybe_draw_constant(self, *_: Any, **__: Any) -> None:  # Any: hypothesis's constraints, unread
        return None


AVAILABLE_PROVIDERS[NAME] = f"{__name__}.{WithoutConstants.__name__}"
