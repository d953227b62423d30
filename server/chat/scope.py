"""How far a request's memory reaches: its own word, or the setting's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast, get_args

from graph.context import MemoryScope
from graph.errors import BadRequest

HEADER = "x-memory-scope"
FIELD = "memory_scope"
ALLOWED: tuple[str, ...] = get_args(MemoryScope)


def memory_scope(
    body: Mapping[str, Any],  # Any: a request as it came
    headers: Mapping[str, str],
    default: MemoryScope,
) -> MemoryScope:
    """From the header X-Memory-Scope, else `metadata.memory_scope`, else the default.

    Empty values and unfilled macros (`{{...}}`) are none. Raises BadRequest naming what is allowed.
    """
    metadata = body.get("metadata")
    told = metadata.get(FIELD) if isinstance(metadata, dict) else None
    for param, value in ((HEADER, headers.get(HEADER)), (f"metadata.{FIELD}", told)):
        scope = "" if value is None else str(value).strip().lower()
        if not scope or "{{" in scope:
            continue
        if scope not in ALLOWED:
            raise BadRequest(f"{param}: {scope!r} is not one of {', '.join(ALLOWED)}.", param=param)
        return cast(MemoryScope, scope)
    return default
