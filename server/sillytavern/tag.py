"""What a request says about itself: chat id, kind and names, in the path, a header or `metadata`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graph.state import Kind
from memory.whose import Whose

_KINDS: dict[str, Kind] = {
    "normal": "normal",
    "swipe": "normal",
    "regenerate": "normal",
    "retry": "normal",
    "append": "normal",
    "continue": "continue",
    "impersonate": "impersonate",
    "quiet": "quiet",
    "raw": "raw",
    "test": "test",
}
_AGAIN = ("swipe", "regenerate", "retry")


@dataclass(frozen=True, slots=True)
class Tag:
    """Its values; empty where nothing was told."""

    chat_id: str
    is_exact: bool
    """The id is the name of the chat's file (`chat_file`), which no branch inherits."""
    kind: Kind | None
    again: bool
    """Another reply is asked for in the place of the last one, or of one that failed."""
    kind_is_last: bool
    """The kind came as `gen_type`, SillyTavern's macro for the *last* generation: stale on raw requests."""
    character: str
    user_name: str
    avatar: str
    """The character's card by its file's name, without the ending; empty in a group."""
    members: list[str]
    is_group: bool
    injected: list[tuple[int, str]]
    """Place and text of what the front-end put between the chat's messages: before post-processing."""
    is_whole: bool
    """The request shows all that the chat shows: nothing fell out of its window."""


def read_tag(
    body: Mapping[str, Any],  # Any: a request as it came
    headers: Mapping[str, str],
    path_chat_id: str,
) -> Tag:
    """Read the tag of a request; values of unexpected types count as absent."""
    raw = body.get("metadata")
    metadata: Mapping[str, object] = raw if isinstance(raw, dict) else {}
    words = [_first(metadata, field).lower() for field in ("kind", "gen_type")]
    told, last = map(_KINDS.get, words)
    group = metadata.get("group") or metadata.get("group_members") or metadata.get("members")
    character = _first(metadata, "character", "char")
    members = _members(group, character)
    is_group = bool(members) if isinstance(group, list) else len(members) > 1
    chat_id = word_of(path_chat_id) or header(headers, "x-chat-id") or _first(metadata, "chat_id")
    return Tag(
        chat_id=chat_id,
        is_exact=bool(chat_id) and chat_id == _first(metadata, "chat_file"),
        kind=told or last,
        again=next(filter(_KINDS.get, words), "") in _AGAIN,
        kind_is_last=told is None and last is not None,
        character=character,
        user_name=_first(metadata, "user_name"),
        avatar="" if is_group else avatar_of(metadata.get("avatar")),
        members=members,
        is_group=is_group,
        injected=_injected(metadata.get("injected")),
        is_whole=_first(metadata, "window") == "whole",
    )


def told_whose(body: Mapping[str, Any], headers: Mapping[str, str]) -> Whose:  # Any: a request as it came
    """Whose chat the chat's id names, as the tag tells it; what the texts alone say is not asked here."""
    tag = read_tag(body, headers, "")
    return Whose(tag.character, tag.is_group, tag.avatar)


def _members(group: object, character: str) -> list[str]:
    """The names of a group; outside of groups `{{group}}` is the character's name, in which may be commas."""
    if isinstance(group, str):
        group = [group] if group.strip() == character else group.split(",")
    return [word for name in group if (word := word_of(name))] if isinstance(group, list) else []


def word_of(value: object) -> str:
    """A tag's value as text; empty and unfilled macros (`{{chatId}}`) are none."""
    text = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
    return "" if "{{" in text else text


def avatar_of(value: object) -> str:
    """What an avatar is known by: SillyTavern names a character's folder of chats as its card, without the ending."""
    return word_of(value).removesuffix(".png")


def header(headers: Mapping[str, str], name: str) -> str:
    """A header's value by its lower-case name."""
    return next((word_of(value) for key, value in headers.items() if key.lower() == name), "")


def _first(metadata: Mapping[str, object], *fields: str) -> str:
    return next((word for field in fields if (word := word_of(metadata.get(field)))), "")


def _injected(told: object) -> list[tuple[int, str]]:
    pairs = (
        [pair for pair in told if isinstance(pair, list) and len(pair) == 2] if isinstance(told, list) else []
    )
    return [
        (at, text) for at, text in pairs if isinstance(at, int) and isinstance(text, str) and text.strip()
    ]
