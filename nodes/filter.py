"""Which messages a request's filter lets pass."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from graph.context import Filter
from nodes.sight import Ground


def passing(only: Filter | None, ground: Ground) -> npt.NDArray[np.bool_]:
    """Which of the messages a filter lets pass."""
    at = ground.at
    passes = np.ones(len(at.ids), np.bool_)
    if only is None:
        return passes
    if only.role:
        passes &= at.user == (only.role == "user")
    if only.speaker:
        passes &= at.speaker == index_in(ground.names, only.speaker)
    if only.emotion:
        passes &= at.emotion == index_in(ground.emotions, only.emotion)
    if only.since is not None:
        passes &= at.created_at >= only.since
    if only.until is not None:
        passes &= at.created_at < only.until
    return passes & ("message" in only.kinds)


def index_in(names: Sequence[str], name: str) -> int:
    """Where a name stands, letter case aside; -2 (nobody's) where it does not."""
    return next((n for n, known in enumerate(names) if known.casefold() == name.casefold()), -2)
