"""What a request says about its memory: how far it reaches, how feelings count, what it holds, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from graph.context import EmotionMode, Filter, MemoryKind, MemoryScope, TurnContext
from graph.errors import BadRequest
from graph.settings import Settings

SCOPES: dict[str, MemoryScope] = {"chat": "chat", "character": "character", "off": "off"}
EMOTIONS: dict[str, EmotionMode] = {"auto": "auto", "off": "off", "seed": "seed"}
SWITCH: dict[str, bool] = {"1": True, "true": True, "0": False, "false": False}


class _Filter(BaseModel):
    """`metadata.memory_filter`."""

    model_config = ConfigDict(extra="forbid")
    role: Literal["user", "assistant"] | None = None
    speaker: str | None = None
    emotion: str | None = None
    since: float | None = None
    until: float | None = None
    kinds: list[MemoryKind] | None = None


def turn_context(
    body: Mapping[str, Any],  # Any: a request as it came
    headers: Mapping[str, str],
    settings: Settings,
    owner: str,
) -> TurnContext:
    """The knobs of a request's run: its header's word, else its metadata's, else the setting.

    Empty values and unfilled macros (`{{...}}`) are none. Raises BadRequest naming what is allowed.
    """
    scope = _chosen(body, headers, "memory_scope", SCOPES)
    emotion = _chosen(body, headers, "memory_emotion", EMOTIONS)
    return TurnContext(
        owner,
        memories=settings.max_memories,
        memory=scope or settings.memory_scope,
        emotion=emotion or settings.memory_emotion,
        only=_filter(_metadata(body).get("memory_filter")),
    )


def explains(body: Mapping[str, Any], headers: Mapping[str, str]) -> bool:
    """Whether the answer is to tell which memories were in the prompt, and why; raises BadRequest."""
    return bool(_chosen(body, headers, "explain", SWITCH))


def _metadata(body: Mapping[str, Any]) -> Mapping[str, Any]:
    metadata = body.get("metadata")
    return metadata if isinstance(metadata, dict) else {}


def _chosen(
    body: Mapping[str, Any], headers: Mapping[str, str], field: str, allowed: Mapping[str, Any]
) -> Any:  # Any: a value of `allowed`
    """From the header (X-Memory-Scope for memory_scope) or the metadata; None where neither says."""
    header = f"x-{field.replace('_', '-')}"
    for param, value in ((header, headers.get(header)), (f"metadata.{field}", _metadata(body).get(field))):
        word = "" if value is None else str(value).strip().lower()
        if not word or "{{" in word:
            continue
        if word not in allowed:
            raise BadRequest(f"{param}: {word!r} is not one of {', '.join(allowed)}.", param=param)
        return allowed[word]
    return None


def _filter(given: Any) -> Filter | None:  # Any: JSON
    if not given:
        return None
    try:
        told = _Filter.model_validate(given).model_dump(exclude_none=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, ("metadata.memory_filter", *first["loc"])))
        raise BadRequest(f"{where}: {first['msg']}.", param=where) from None
    return Filter(**told | ({"kinds": tuple(told["kinds"])} if "kinds" in told else {}))
