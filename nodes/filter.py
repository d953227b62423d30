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
        passes &= np.isin(at.speaker, places(at.names, only.speaker))
    if only.emotion:
        passes &= np.isin(at.emotion, places(ground.emotions, only.emotion))
    if only.since is not None:
        passes &= at.created_at >= only.since
    if only.until is not None:
        passes &= at.created_at < only.until
    return passes & ("message" in only.kinds)


def places(names: Sequence[str], name: str) -> list[int]:
    """Where a name stands, letter case aside."""
    return [n for n, known in enumerate(names) if known.casefold() == name.casefold()]
