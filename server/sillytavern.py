"""What front-ends mean by a request: the one place that knows SillyTavern's habits.

SillyTavern names neither chat nor character nor kind. `interpret` reads them from a tag where one came
(`X-Chat-Id`, the path, `metadata`) and from the shape and texts of the body otherwise. In doubt a request is
a normal turn: a reply that never comes back falls off the path by itself, a lost turn does not heal.

What the body alone cannot tell (a tag with `kind` settles each):

- `/gen` and other quiet prompts are taken for normal turns when they were streamed, when the chat ends with
  the user's message, when there are no post-history instructions or several, in groups, or when
  post-processing merged the system messages; unless the prompt begins as a shipped extension's does.
- A normal turn is taken for quiet when streaming is off, the user sent an empty message, and exactly two
  system messages (a note at depth 0 and post-history instructions) follow the character's last message.
- An empty message sent in a chat without post-history instructions ends with the character's message, as a
  continue prefill does, and is taken for it. Merged into a single message, either is a normal turn.
- With edited markers a continue is a normal turn, and an impersonation a normal turn or, unstreamed, quiet.
- Raw requests that play a role ("You are an expert summarizer"), that stream, or that have three or more
  messages are taken for normal turns; so is a lone message of a client that names its user.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graph.settings import Settings
from graph.state import ChatMessage, Kind
from memory.incoming import text_of
from nodes.card_text import describes_someone, is_task
from nodes.persona import find_card

MAIN_PROMPT = "Write {{char}}'s next reply in a fictional chat between {{char}} and {{user}}."
"""SillyTavern's default main prompt, macros unfilled."""


@dataclass(frozen=True, slots=True)
class Markers:
    """The beginnings of the texts by which a request shows its kind; users edit them in SillyTavern."""

    continue_nudge: str = "[Continue your last message"
    impersonation: str = "[Write your next reply from the point of view of"
    group_nudge: str = "[Write the next reply only as"
    new_chat: str = "[Start a new Chat]"
    new_group_chat: str = "[Start a new group chat. Group members:"
    example_chat: str = "[Example Chat]"
    test_message: str = "Hi"
    quiet: tuple[str, ...] = (
        "Ignore previous instructions. Summarize",
        "Ignore previous instructions. Classify",
        "Ignore previous instructions. Please generate",
        "Ignore previous instructions. Determine",
        "Ignore previous instructions and provide",
        "Pause your roleplay",
        "[Pause your roleplay",
        "[In the next response I want you to provide only",
    )


DEFAULT = Markers()


def markers_of(settings: Settings) -> Markers:
    """The markers that the settings name; a whole text may be given, what a macro fills in is cut off."""
    more = map(_fixed, settings.marker_quiet.split("|"))
    return Markers(
        continue_nudge=_fixed(settings.marker_continue),
        impersonation=_fixed(settings.marker_impersonate),
        group_nudge=_fixed(settings.marker_group_nudge),
        new_chat=_fixed(settings.marker_new_chat),
        new_group_chat=_fixed(settings.marker_new_group_chat),
        example_chat=_fixed(settings.marker_example_chat),
        quiet=(*DEFAULT.quiet, *filter(None, more)),
    )


def _fixed(text: str) -> str:
    """A text up to its first macro or line end."""
    return text.strip().split("{{", 1)[0].split("\n", 1)[0].rstrip()


NAMES = 200
"""Speaker names taken from a request at most: every message is compared with each."""
LONGEST_NAME = 100
"""Characters above which something is no speaker's name."""
EXAMPLE_NAMES = ("example_user", "example_assistant")
_NOT_NAMES = frozenset({*EXAMPLE_NAMES, "system"})
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
_MAIN = re.compile(
    r"Write (?P<char>[^\n]{1,100}?)['\u2019]s? next reply"
    r"(?: in a fictional (?:chat|role-?play) between (?P<pair>[^\n]{1,300}))?"
)
_SENTENCE_END = re.compile(r"(?<!\bDr)(?<!\bMr)(?<!\bMs)(?<!\bMrs)(?<!\bSt)[.!?](?=\s|$)")
_IMPERSONATED = re.compile(r"from the point of view of (?P<user>[^\n]{1,100}?)[,.]")
_NOT_WRITTEN_AS = re.compile(r"Don['\u2019]t write as (?P<char>[^\n]{1,100}?) or system")
_PREFIX = re.compile(r"\A(?P<name>[^\s:*\"\[{<(][^\n:*\"]{0,39}): ")


@dataclass(frozen=True, slots=True)
class Interpretation:
    """What a request means; empty strings where nothing was found."""

    kind: Kind
    chat_id: str
    """From the path, the header X-Chat-Id or `metadata.chat_id`, in this order."""
    user: str
    """OpenAI's `user` field as it came."""
    character: str
    user_name: str
    names: list[str]
    """All speaker names: character, user, group members."""
    tagged: bool
    """The kind was told by a tag, not read from the body."""


@dataclass(frozen=True, slots=True)
class _Tag:
    chat_id: str
    kind: Kind | None
    kind_is_last: bool
    """The kind came as `gen_type`, SillyTavern's macro for the *last* generation: stale on raw requests."""
    character: str
    user_name: str
    members: list[str]


def interpret(
    body: Mapping[str, Any],  # Any: a request as it came
    headers: Mapping[str, str],
    path_chat_id: str = "",
    markers: Markers = DEFAULT,
) -> Interpretation:
    """Read kind, chat, character and speaker names from a chat completion request.

    Never raises for a body whose `messages` is a list of dicts; values of unexpected types count as absent.
    """
    tag = _read_tag(body, headers, path_chat_id)
    messages: list[ChatMessage] = [m for m in body.get("messages") or [] if isinstance(m, dict)]
    character, user_name, members = _read_names(messages, markers)
    character, user_name = tag.character or character, tag.user_name or user_name
    if not character:
        character = find_card(messages, "", user_name).name
    named = _distinct([character, user_name, *tag.members, *members])
    names = [name for name in named if len(name) <= LONGEST_NAME][:NAMES]
    others = frozenset(names) - {character}
    kind, tagged = _read_kind(body, headers, messages, tag, markers, others)
    return Interpretation(kind, tag.chat_id, _word(body.get("user")), character, user_name, names, tagged)


# the tag


def _word(value: object) -> str:
    """A tag's value as text; empty and unfilled macros (`{{chatId}}`) are none."""
    text = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
    return "" if "{{" in text else text


def _first(metadata: Mapping[str, object], *fields: str) -> str:
    return next((word for field in fields if (word := _word(metadata.get(field)))), "")


def _read_tag(body: Mapping[str, Any], headers: Mapping[str, str], path_chat_id: str) -> _Tag:
    raw = body.get("metadata")
    metadata: Mapping[str, object] = raw if isinstance(raw, dict) else {}
    told = _KINDS.get(_first(metadata, "kind").lower())
    last = _KINDS.get(_first(metadata, "gen_type").lower())
    group = metadata.get("group") or metadata.get("group_members") or metadata.get("members")
    members = group.split(",") if isinstance(group, str) else group if isinstance(group, list) else []
    return _Tag(
        chat_id=_word(path_chat_id) or _header(headers, "x-chat-id") or _first(metadata, "chat_id"),
        kind=told or last,
        kind_is_last=told is None and last is not None,
        character=_first(metadata, "character", "char"),
        user_name=_first(metadata, "user_name"),
        members=[word for member in members if (word := _word(member))],
    )


def _header(headers: Mapping[str, str], name: str) -> str:
    return next((_word(value) for key, value in headers.items() if key.lower() == name), "")


# the kind


def _read_kind(
    body: Mapping[str, Any],
    headers: Mapping[str, str],
    messages: Sequence[ChatMessage],
    tag: _Tag,
    markers: Markers,
    others: frozenset[str],
) -> tuple[Kind, bool]:
    streams = body.get("stream") is True
    if not streams and _is_bare(messages, markers):
        from_sillytavern = tag.kind_is_last or _header(headers, "user-agent").startswith("node-fetch")
        doubted = tag.kind is None or tag.kind_is_last or (tag.kind == "quiet" and from_sillytavern)
        starts_chat = bool(tag.chat_id or _word(body.get("user"))) and not from_sillytavern
        bare = _bare_kind(messages, markers, from_sillytavern) if doubted and not starts_chat else None
        if bare is not None:
            return bare, tag.kind == bare
    if tag.kind is not None:
        return tag.kind, True
    return _full_kind(messages, streams, markers, others), False


def _is_bare(messages: Sequence[ChatMessage], markers: Markers) -> bool:
    """One prompt, with an instruction before it or the answer's beginning after it, and no chat around it."""
    roles = [_role(message) for message in messages]
    shape = roles[1:] if roles[:1] == ["system"] else roles
    if shape not in (["user"], ["user", "assistant"]) and roles != ["system"]:
        return False
    starts = (markers.new_chat, markers.new_group_chat, markers.example_chat, markers.continue_nudge)
    texts = [_text(message) for message in messages]
    return not any(_has_line(text, start) for text in texts for start in starts) and not any(
        map(_MAIN.search, texts)
    )


def _bare_kind(messages: Sequence[ChatMessage], markers: Markers, from_sillytavern: bool) -> Kind | None:
    """raw, test, or None where it may be the first turn of a chat: SillyTavern's have more messages."""
    text = _text(messages[0])
    if _role(messages[0]) == "system":
        raw = is_task(text) or (from_sillytavern and not describes_someone(text))
        return "raw" if raw else None
    if len(messages) == 1 and len(text) > 400 and describes_someone(text):
        return None
    return "test" if len(messages) == 1 and text.strip() == markers.test_message else "raw"


def _full_kind(
    messages: Sequence[ChatMessage], streams: bool, markers: Markers, others: frozenset[str]
) -> Kind:
    if not messages:
        return "normal"
    chat_end = max((i for i, m in enumerate(messages) if _role(m) != "system"), default=-1)
    trailing = messages[chat_end + 1 :]
    closing = _closing_text(messages)
    if _has_line(closing, markers.impersonation):
        return "impersonate"
    if _is_continue(messages, chat_end, closing, markers, others):
        return "continue"
    if streams:
        return "normal"
    if any(_has_line(closing, start) for start in markers.quiet):
        return "quiet"
    spoken_last = chat_end > 0 and _role(messages[chat_end]) == "assistant"
    return "quiet" if spoken_last and len(trailing) == 2 and not _is_group(messages, markers) else "normal"


def _is_continue(
    messages: Sequence[ChatMessage],
    chat_end: int,
    closing: str,
    markers: Markers,
    others: frozenset[str],
) -> bool:
    last = messages[-1]
    if _role(last) == "assistant":
        speaker = _PREFIX.match(_text(last))
        of_another = speaker is not None and speaker["name"] in others
        return bool(_text(last).strip()) and not of_another
    if not _has_line(closing, markers.continue_nudge):
        return False
    if _role(last) == "system":
        return chat_end >= 0 and _role(messages[chat_end]) == "assistant"
    return len(messages) == 1 or _role(messages[-2]) == "assistant"


def _closing_text(messages: Sequence[ChatMessage]) -> str:
    """The last message if it is a system message, or what post-processing glued to a user message's end."""
    text = _text(messages[-1])
    if _role(messages[-1]) == "system":
        return text
    rewritten = all(_role(message) != "system" for message in messages[1:])
    return text.rsplit("\n\n", 1)[-1] if rewritten and _role(messages[-1]) == "user" else ""


def _is_group(messages: Sequence[ChatMessage], markers: Markers) -> bool:
    starts = (markers.group_nudge, markers.new_group_chat)
    systems = (_text(message) for message in messages if _role(message) == "system")
    return any(_has_line(text, start) for text in systems for start in starts)


def _has_line(text: str, start: str) -> bool:
    return bool(start) and (text.lstrip().startswith(start) or f"\n{start}" in text)


def _text(message: ChatMessage) -> str:
    return text_of(message.get("content"))


def _role(message: ChatMessage) -> str:
    role = message.get("role")
    return "system" if role == "developer" else str(role)


# the names


def _read_names(messages: Sequence[ChatMessage], markers: Markers) -> tuple[str, str, list[str]]:
    """Character, user and everyone else who speaks, as far as the texts say."""
    character = user = ""
    others: list[str] = []
    for text in _prompt_texts(messages):
        if not character and (main := _MAIN.search(text)):
            character, user = main["char"], user or _partner(main["char"], main["pair"] or "")
        if nudged := _after(text, markers.group_nudge):
            character = nudged.removesuffix(".")
        if listed := _after(text, markers.new_group_chat):
            others += [name.strip() for name in listed.split(",")]
        if _has_line(text, markers.impersonation):
            user = user or _found(_IMPERSONATED, text, "user")
            character = character or _found(_NOT_WRITTEN_AS, text, "char")
    group = _is_group(messages, markers)
    spoken, heard = _named(messages, "assistant"), _named(messages, "user")
    if group:
        spoken = spoken or _recurring_prefixes(messages)
    elif not (spoken and heard):
        spoken, heard = _prefix_of_all(messages, "assistant"), _prefix_of_all(messages, "user")
        in_content = spoken and heard and spoken != heard and character in ("", *spoken)
        spoken, heard = (spoken, heard) if in_content else ([], [])
    character = character or ("" if group else next(iter(spoken), ""))
    user = user or (heard[0] if len(heard) == 1 else "")
    return character, user, [*others, *spoken, *heard]


def _prompt_texts(messages: Sequence[ChatMessage]) -> Iterable[str]:
    for i, message in enumerate(messages):
        if (_role(message) == "system" and message.get("name") not in EXAMPLE_NAMES) or i == 0:
            yield _text(message)
    if messages and _role(messages[-1]) == "user":
        yield _text(messages[-1])


def _after(text: str, start: str) -> str:
    """What follows a marker up to the closing bracket."""
    at = text.find(start) if start else -1
    return text[at + len(start) :].split("]", 1)[0].split("\n", 1)[0].strip() if at >= 0 else ""


def _partner(character: str, pair: str) -> str:
    """The user's name in "Mira and Alex. ..." (names may hold dots, quotes and "and")."""
    own = f"{character} and "
    rest = pair.removeprefix(own) if pair.startswith(own) else pair.rpartition(" and ")[2]
    end = _SENTENCE_END.search(rest)
    return rest[: end.start()].strip() if end else rest.strip()


def _found(pattern: re.Pattern[str], text: str, group: str) -> str:
    match = pattern.search(text)
    return match[group].strip() if match else ""


def _named(messages: Sequence[ChatMessage], role: str) -> list[str]:
    """The `name` fields of a role's messages."""
    names = (str(m["name"]) for m in messages if _role(m) == role and m.get("name"))
    return _distinct(name for name in names if name.lower() not in _NOT_NAMES)


def _prefixes(messages: Sequence[ChatMessage], role: str) -> list[str]:
    matches = (_PREFIX.match(_text(message)) for message in messages if _role(message) == role)
    return [match["name"] if match else "" for match in matches]


def _recurring_prefixes(messages: Sequence[ChatMessage]) -> list[str]:
    times = Counter(_prefixes(messages, "assistant"))
    return _distinct(name for name in times if times[name] > 1)


def _prefix_of_all(messages: Sequence[ChatMessage], role: str) -> list[str]:
    """The name written before every message of a role, if there is just one and it recurs."""
    names = _distinct(prefixes := _prefixes(messages, role))
    return names if len(names) == 1 and len(prefixes) > 1 and all(prefixes) else []


def _distinct(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(name for name in names if name))
