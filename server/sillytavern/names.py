"""Who speaks in a request, as far as its texts say."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from graph.state import ChatMessage
from memory.name_field import in_field
from server.sillytavern.leads import NOBODY, Cast, cast_of_rows, cast_of_single
from server.sillytavern.markers import (
    MAIN,
    PREFIX,
    Markers,
    begun,
    has_line,
    is_group,
    role_of,
    text_in,
)
from server.sillytavern.pairs import partner_in

EXAMPLE_NAMES = ("example_user", "example_assistant")
_NOT_NAMES = frozenset({*EXAMPLE_NAMES, "system"})
_IMPERSONATED = re.compile(r"from the point of view of (?P<user>[^\n]{1,100}?)[,.]")
_TWICE = re.compile(r"^(?P<name>[^\s:][^\n:]{0,99}): (?P<sent>\w{1,64}): ", re.MULTILINE)
_NOT_WRITTEN_AS = re.compile(r"Don['\u2019]t write as (?P<char>[^\n]{1,100}?) or system")


def read_names(
    messages: Sequence[ChatMessage],
    markers: Markers,
    told: Cast = NOBODY,
    *,
    is_sillytaverns: bool = False,
) -> tuple[str, str, list[str]]:
    """Character, user and everyone else who speaks, as far as a tag (`told`) or else the texts say."""
    character = user = ""
    others: list[str] = []
    for text in _prompt_texts(messages):
        if not character and (main := MAIN.search(text)):
            character, user = main["char"], user or partner_in(main["char"], main["pair"] or "")
        if nudged := _after(text, markers.group_nudge):
            character = nudged.removesuffix(".")
        if listed := _after(text, markers.new_group_chat):
            others += [name.strip() for name in listed.split(",")]
        if has_line(text, markers.impersonation):
            user = user or _found(_IMPERSONATED, text, "user")
            character = character or _found(_NOT_WRITTEN_AS, text, "char")
    group = is_group(messages, markers)
    spoken, heard = _named(messages, "assistant"), _named(messages, "user")
    if group:
        spoken = spoken or _recurring_prefixes(messages)
    elif not (spoken and heard):
        spoken, heard = _prefix_of_all(messages, "assistant"), _prefix_of_all(messages, "user")
        alone = spoken and heard and spoken != heard
        in_content = alone and (not character or {character, in_field(character)} & set(spoken))
        spoken, heard = (spoken, heard) if in_content else ([], [])
    character = told.character or character or ("" if group else next(iter(spoken), ""))
    user = told.user or user or (heard[0] if len(heard) == 1 else "")
    if not (character and user) and (is_sillytaverns or begins_chat(messages, markers)):
        known = Cast(character, user, tuple(others))
        is_single = len(messages) == 1 and role_of(messages[0]) == "user"
        cast = (cast_of_single if is_single else cast_of_rows)(messages, markers, known)
        character, user = cast.character, cast.user
    return character, user, [*others, *spoken, *heard, *_doubled(messages)]


def begins_chat(messages: Sequence[ChatMessage], markers: Markers) -> bool:
    """Whether the prompt has the line that begins a chat."""
    return any(begun(text, markers) for text in _prompt_texts(messages))


def shows_group(messages: Sequence[ChatMessage], markers: Markers) -> bool:
    """Whether the prompt has a text that only group chats have, in any post-processing mode."""
    starts = (markers.group_nudge, markers.new_group_chat)
    return any(has_line(text, start) for text in _prompt_texts(messages) for start in starts)


def _prompt_texts(messages: Sequence[ChatMessage]) -> Iterable[str]:
    for i, message in enumerate(messages):
        if (role_of(message) == "system" and message.get("name") not in EXAMPLE_NAMES) or i == 0:
            yield text_in(message)
    if messages and role_of(messages[-1]) == "user":
        yield text_in(messages[-1])


def _after(text: str, start: str) -> str:
    """What follows a marker up to the closing bracket."""
    at = text.find(start) if start else -1
    return text[at + len(start) :].split("]", 1)[0].split("\n", 1)[0].strip() if at >= 0 else ""


def _found(pattern: re.Pattern[str], text: str, group: str) -> str:
    match = pattern.search(text)
    return match[group].strip() if match else ""


def _named(messages: Sequence[ChatMessage], role: str) -> list[str]:
    """The `name` fields of a role's messages."""
    names = (str(m["name"]) for m in messages if role_of(m) == role and m.get("name"))
    return distinct(name for name in names if name.lower() not in _NOT_NAMES)


def _doubled(messages: Sequence[ChatMessage]) -> list[str]:
    """Names that a prompt of a single message has before themselves as they are sent: "Mira Stone: Mira_Stone: Hi."."""
    found = _TWICE.finditer(text_in(messages[0])) if len(messages) == 1 else ()
    return distinct(m["name"] for m in found if in_field(m["name"]) == m["sent"] != m["name"])


def _prefixes(messages: Sequence[ChatMessage], role: str) -> list[str]:
    matches = (PREFIX.match(text_in(message)) for message in messages if role_of(message) == role)
    return [match["name"] if match else "" for match in matches]


def _recurring_prefixes(messages: Sequence[ChatMessage]) -> list[str]:
    times = Counter(_prefixes(messages, "assistant"))
    return distinct(name for name in times if times[name] > 1)


def _prefix_of_all(messages: Sequence[ChatMessage], role: str) -> list[str]:
    """The name written before every message of a role, if there is just one and it recurs."""
    names = distinct(prefixes := _prefixes(messages, role))
    return names if len(names) == 1 and len(prefixes) > 1 and all(prefixes) else []


def as_meant(names: Iterable[str]) -> list[str]:
    """The names without those that are another one of them as "Completion object" sends it: SillyTavern writes `_` for
    whatever is no ASCII letter or digit (`PromptManager.sanitizeName`), with or without post-processing."""
    named = distinct(names)
    sent = {form for name in named if (form := in_field(name)) != name}
    return [name for name in named if name not in sent]


def distinct(names: Iterable[str]) -> list[str]:
    """The names that are not empty, each once, in order."""
    return list(dict.fromkeys(name for name in names if name))
