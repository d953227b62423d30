"""SillyTavern's chat files: what each line is, and how SillyTavern would send it.

The first line is a header (very old group chats have none), every other one a message. Hidden messages
(`is_system`) are not sent; narrator lines are sent as system text, which nobody said. Neither is part of the
visible chat, and both are kept beside it. SillyTavern's own notices (help, comments, tool calls) are no
messages at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from memory.incoming import Incoming, incoming
from server.cards import fill
from server.transfer.dates import parse_date
from server.transfer.lines import clean
from server.transfer.report import Problem

NARRATOR = "narrator"
UNNAMED = ("", "unused", "You")
"""Header names that say nothing."""
LONGEST_ID = 200
LIVE_ID = "memory_id"
"""The chat variable in which README's YAML keeps the id that it makes."""


@dataclass(frozen=True, slots=True)
class About:
    """What is known of a file besides its content."""

    name: str = ""
    """Its name; a chat's id is what stands before the ending."""
    group: bool = False
    """It lay among the group chats."""
    modified_at: float = 0.0
    """Unix seconds; the date of messages that have none."""
    members: tuple[str, ...] = ()
    """Who is in the group that has a chat of this name."""

    @property
    def stem(self) -> str:
        """What SillyTavern calls the chat."""
        name = PurePosixPath(self.name.replace("\\", "/")).name
        stem = name.rsplit(".", 1)[0] if "." in name.strip(".") else name
        return "".join(c for c in clean(stem) if c.isprintable()).strip()[:LONGEST_ID]


@dataclass(frozen=True, slots=True)
class Line:
    """A message of the file, sent (`shown`) or kept beside the chat."""

    said: Incoming
    shown: bool
    created_at: float
    swipes: list[tuple[Incoming, float]] = field(default_factory=list)
    """The replies that were not chosen, with their dates."""


@dataclass(slots=True)
class ChatFile:
    """A chat as its file has it."""

    chat_id: str
    user_name: str
    character: str
    lines: list[Line]
    world: str | None = None
    """The lorebook that belongs to the chat; None where the file is too old to tell."""
    main_chat: str = ""
    """The name of the chat that it branched off."""
    live_id: str = ""
    """The id that it made for itself when it was live (README's YAML); branches inherit it."""
    problems: list[Problem] = field(default_factory=list)
    is_group: bool = False
    shown: list[Line] = field(init=False)
    """The lines that are the visible chat."""

    def __post_init__(self) -> None:
        self.shown = [line for line in self.lines if line.shown]


@dataclass(slots=True)
class _Raw:
    number: int
    name: str
    text: str
    is_user: bool
    kind: str
    """`extra.type`: narrator, comment, ..."""
    entry: dict[str, Any]  # Any: JSON as it came


def is_message(entry: dict[str, Any]) -> bool:
    """Whether a line is a message (Any: JSON)."""
    return "mes" in entry


def is_header(entry: dict[str, Any]) -> bool:
    """Whether a line begins a chat (Any: JSON)."""
    return not is_message(entry) and ("chat_metadata" in entry or "user_name" in entry)


def read_chat(lines: Iterable[tuple[int, dict[str, Any] | str]], about: About) -> ChatFile:
    """Read a chat; a line that is broken is left out and named among the problems."""
    header: dict[str, Any] = {}
    raws: list[_Raw] = []
    problems: list[Problem] = []
    for number, entry in lines:
        if isinstance(entry, dict) and is_header(entry):
            header = header or entry
            continue
        raw = _raw(number, entry) if isinstance(entry, dict) else entry
        if isinstance(raw, str):
            problems.append(Problem(message=raw, line=number))
        else:
            raws.append(raw)
    tells, metadata = "chat_metadata" in header, _object(header.get("chat_metadata"))
    user, character = _names(header, raws)
    members = _group_members(raws, about)
    sender = _Sender(user, character, members)
    since = parse_date(header.get("create_date")) or about.modified_at
    of_group = about.group or bool(members)
    return ChatFile(
        chat_id=about.stem,
        user_name=user,
        character=character,
        lines=sender.lines(raws, since),
        world=_text(metadata.get("world_info")) if tells else None,
        main_chat=_text(metadata.get("main_chat")),
        live_id=_text(_object(metadata.get("variables")).get(LIVE_ID)),
        problems=problems,
        is_group=of_group,
    )


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _raw(number: int, entry: dict[str, Any]) -> _Raw | str:
    text, name = entry.get("mes"), entry.get("name")
    if not isinstance(text, str):
        return "the line is no message: it has no text `mes`"
    extra = entry.get("extra")
    kind = _text(extra.get("type")) if isinstance(extra, dict) else ""
    return _Raw(number, _text(name), clean(text), entry.get("is_user") is True, kind, entry)


def _text(value: object) -> str:
    return clean(value).strip() if isinstance(value, str) else ""


def _names(header: dict[str, Any], raws: Sequence[_Raw]) -> tuple[str, str]:
    """The user's name now and who spoke last of the others; newer headers name neither."""
    users = [raw.name for raw in raws if raw.is_user and raw.name]
    others = [raw.name for raw in raws if not raw.is_user and raw.name and not _is_apart(raw)]
    named = _text(header.get("user_name")), _text(header.get("character_name"))
    user = users[-1] if users else "" if named[0] in UNNAMED else named[0]
    return user or "User", others[-1] if others else "" if named[1] in UNNAMED else named[1]


def _is_apart(raw: _Raw) -> bool:
    return raw.entry.get("is_system") is True or raw.kind == NARRATOR


def _group_members(raws: Sequence[_Raw], about: About) -> list[str]:
    """Who speaks in a group chat; empty for a chat with one character."""
    spoken = [raw for raw in raws if not raw.is_user and raw.name and not _is_apart(raw)]
    names = list(dict.fromkeys(raw.name for raw in spoken))
    avatars = {raw.name for raw in spoken if raw.entry.get("original_avatar")}
    of_group = about.members if about.group or set(names) <= set(about.members) else ()
    return list(dict.fromkeys([*of_group, *names])) if about.group or of_group or len(avatars) > 1 else []


@dataclass(slots=True)
class _Sender:
    """Sends messages as SillyTavern does with its default settings, so that live ones are the same."""

    user: str
    character: str
    members: list[str]

    def lines(self, raws: Sequence[_Raw], since: float) -> list[Line]:
        found = []
        at = next((d for raw in raws if (d := parse_date(raw.entry.get("send_date")))), since)
        for raw in raws:
            at = parse_date(raw.entry.get("send_date")) or at
            shown = not _is_apart(raw)
            notice = not shown and raw.kind not in ("", NARRATOR)
            said = None if notice or _is_tool_call(raw) else self.sent(raw, raw.text)
            if said is not None:
                found.append(Line(said, shown, at, self._swipes(raw, said, at)))
        return found

    def sent(self, raw: _Raw, text: str) -> Incoming | None:
        """A text of a message as a request shows it; None when there is none."""
        character = self.character if raw.is_user else raw.name or self.character
        text = fill(text, character, self.user) + _titles(raw)
        role = "user" if raw.is_user else "assistant"
        prefixed = self._prefixed(raw)
        content = f"{raw.name}: {text}" if prefixed else text
        known = [*self.members, self.character, self.user]
        for row in incoming([{"role": role, "content": content}], known):
            kept = text if prefixed and row.speaker == raw.name else content
            return Incoming(role, raw.name or row.speaker, kept, row.fingerprint, raw.number)
        return None

    def _prefixed(self, raw: _Raw) -> bool:
        """Whether SillyTavern writes the speaker's name before a message."""
        if not raw.name or raw.name == self.user or raw.kind == NARRATOR:
            return False
        return bool(self.members or raw.entry.get("force_avatar"))

    def _swipes(self, raw: _Raw, chosen: Incoming, at: float) -> list[tuple[Incoming, float]]:
        swipes, infos = raw.entry.get("swipes"), raw.entry.get("swipe_info")
        if not isinstance(swipes, list):
            return []
        found: dict[int, tuple[Incoming, float]] = {}
        for number, text in enumerate(swipes):
            said = self.sent(raw, clean(text)) if isinstance(text, str) else None
            if said is None or number == raw.entry.get("swipe_id") or said.fingerprint == chosen.fingerprint:
                continue
            info = infos[number] if isinstance(infos, list) and number < len(infos) else None
            when = parse_date(info.get("send_date")) if isinstance(info, dict) else None
            found.setdefault(said.fingerprint, (said, when or at))
        return list(found.values())


def _is_tool_call(raw: _Raw) -> bool:
    extra = raw.entry.get("extra")
    return isinstance(extra, dict) and isinstance(extra.get("tool_invocations"), list)


def _titles(raw: _Raw) -> str:
    """Captions that SillyTavern sends with pictures."""
    extra = raw.entry.get("extra")
    if not isinstance(extra, dict):
        return ""
    media = extra.get("media")
    titled = [extra, *(m for m in media if isinstance(m, dict))] if isinstance(media, list) else [extra]
    titles = [_text(t.get("title")) for t in titled if t.get("append_title")]
    return "".join(f"\n\n{title}" for title in titles if title)
