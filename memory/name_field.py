"""Names as OpenAI's `name` field takes them: ASCII letters, digits and `_`, 64 at most.

A front-end that fills the field writes `_` for whatever else a name has, and where it merges messages it writes the
names in this form before their texts. Here they become the names again that are known to be written so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

LONGEST = 64
_NOT_TAKEN = re.compile(r"[^a-zA-Z0-9_]")
_LEADS = re.compile(
    r"(?P<before>(?:\A|\n[ \t]*\n)\s*)(?P<name>[^\s:][^\n:]{0,99}):(?:(?P<space> ?)(?P<form>[a-zA-Z0-9_]{1,64}):)?"
)
"""A name before a paragraph; in a prompt of a single message a form may follow it, which was there before it."""

Messages = Sequence[Mapping[str, Any]]
"""Any: OpenAI's JSON."""


@lru_cache(maxsize=4096)
def in_field(name: str) -> str:
    """A name as the field takes it: `_` for each UTF-16 unit that it does not."""
    return _NOT_TAKEN.sub(lambda found: "__" if found[0] > "\uffff" else "_", name)[:LONGEST]


def are_others(name: str, other: str) -> bool:
    """Whether two names are of two people: both are known, and neither is the other in the form of the field."""
    return bool(name and other) and name != other and in_field(name) != other and in_field(other) != name


def forms(names: Iterable[str]) -> dict[str, str]:
    """Of the names that the field does not take as they are, the first by each form."""
    named: dict[str, str] = {}
    for name in names:
        form = in_field(name)
        if name and form != name:
            named.setdefault(form, name)
    return named


def with_names(messages: Messages, by_role: Mapping[str, Mapping[str, str]]) -> Messages:
    """The messages with the names that were meant, in the field and before paragraphs; `by_role`: their `forms`."""
    if not any(by_role.values()):
        return messages
    return [_with_names(message, by_role, lone=len(messages) == 1) for message in messages]


def _with_names(
    message: Mapping[str, Any], by_role: Mapping[str, Mapping[str, str]], *, lone: bool
) -> Mapping[str, Any]:
    role, content = str(message.get("role")), message.get("content")
    named = by_role.get(role)
    if named is None:
        return message
    said: dict[str, Any] = {}
    if message.get("name") in named:
        said["name"] = named[message["name"]]
    known = list(by_role.values()) if lone else [named]
    if isinstance(content, str):
        said["content"] = _in_text(content, known, lone=lone)
    elif isinstance(content, list):
        said["content"] = [_in_part(part, known, lone=lone) for part in content]
    return {**message, **said}


def _in_part(part: Any, known: Sequence[Mapping[str, str]], *, lone: bool) -> Any:
    text = part.get("text") if isinstance(part, dict) else None
    return part | {"text": _in_text(text, known, lone=lone)} if isinstance(text, str) else part


def _in_text(text: str, known: Sequence[Mapping[str, str]], *, lone: bool) -> str:
    if not any(f"{form}:" in text for named in known for form in named):
        return text

    def meant(found: re.Match[str]) -> str:
        before, name, form = found["before"], found["name"], found["form"]
        if whose := _whose(name, known):
            return f"{before}{whose}{found[0][len(before) + len(name) :]}"
        if lone and form and in_field(name) == form != name:
            return f"{before}{name}:"
        if lone and form and (whose := _whose(form, known)):
            return f"{before}{whose}:"
        return found[0]

    return _LEADS.sub(meant, text)


def _whose(form: str, known: Sequence[Mapping[str, str]]) -> str:
    return next((named[form] for named in known if form in named), "")
