"""SillyTavern's chat files: what each line is, and how SillyTavern would send it.

The first line is a header (very old group chats have none), every other one a message. Hidden messages
(`is_system`) are not sent; narrator lines are sent as system text, which nobody said. Neither is part of the
visible chat, and both are kept beside it. SillyTavern's own notices (help, comments, tool calls) are no
messages at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from server.transfer.dates import parse_date
from server.transfer.lines import clean, stripped
from server.transfer.report import Problem
from server.transfer.sent import Line, Raw, Sender, is_apart

UNNAMED = ("", "unused", "You")
"""Header names that say nothing."""
LONGEST_ID = 200
CHATS = "chats"
"""The folder of a SillyTavern user in which each character has a folder of chats."""
LIVE_ID = "memory_id"
"""The chat variable in which README's YAML keeps the id that it makes."""
_MADE_ID = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)? \d+")
"""What such an id is like: day, time and a random number."""


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
    def avatar(self) -> str:
        """What SillyTavern knows the character by that has the folder in which the chat lies: its card's file, without
        the ending. Empty elsewhere."""
        parts = PurePosixPath(self.name.replace("\\", "/")).parts
        return clean(parts[-2]).strip() if len(parts) > 2 and parts[-3] == CHATS else ""

    @property
    def stem(self) -> str:
        """What SillyTavern calls the chat."""
        name = PurePosixPath(self.name.replace("\\", "/")).name
        stem = name.rsplit(".", 1)[0] if "." in name.strip(".") else name
        return "".join(c for c in clean(stem) if c.isprintable()).strip()[:LONGEST_ID]


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
    avatar: str = ""
    """The character's, where the file lay in its folder."""
    shown: list[Line] = field(init=False)
    """The lines that are the visible chat."""

    def __post_init__(self) -> None:
        self.shown = [line for line in self.lines if line.shown]


def main_chat_of(entry: dict[str, Any] | str) -> str:
    """The name of the chat that a chat branched off, from its header (Any: JSON); empty for none."""
    header = entry if isinstance(entry, dict) and is_header(entry) else {}
    return stripped(_object(header.get("chat_metadata")).get("main_chat"))


def is_made_id(chat_id: str) -> bool:
    """Whether README's YAML made an id, which is no file's name then."""
    return _MADE_ID.fullmatch(chat_id) is not None


def is_message(entry: dict[str, Any]) -> bool:
    """Whether a line is a message (Any: JSON)."""
    return "mes" in entry


def is_header(entry: dict[str, Any]) -> bool:
    """Whether a line begins a chat (Any: JSON). Older group files have a chat's metadata too."""
    begins = "chat_metadata" in entry or "user_name" in entry
    return begins and not is_message(entry) and "members" not in entry


def read_chat(lines: Iterable[tuple[int, dict[str, Any] | str]], about: About) -> ChatFile:
    """Read a chat; a line that is broken is left out and named among the problems."""
    header: dict[str, Any] = {}
    raws: list[Raw] = []
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
    sender = Sender(user, character, members)
    since = parse_date(header.get("create_date")) or about.modified_at
    of_group = about.group or bool(members)
    return ChatFile(
        chat_id=about.stem,
        user_name=user,
        character=character,
        lines=sender.lines(raws, since),
        world=stripped(metadata.get("world_info")) if tells else None,
        main_chat=stripped(metadata.get("main_chat")),
        live_id=stripped(_object(metadata.get("variables")).get(LIVE_ID)),
        problems=problems,
        is_group=of_group,
        avatar="" if of_group else about.avatar,
    )


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _raw(number: int, entry: dict[str, Any]) -> Raw | str:
    text, name = entry.get("mes"), entry.get("name")
    if not isinstance(text, str):
        return "the line is no message: it has no text `mes`"
    extra = entry.get("extra")
    kind = stripped(extra.get("type")) if isinstance(extra, dict) else ""
    return Raw(number, stripped(name), clean(text), entry.get("is_user") is True, kind, entry)


def _names(header: dict[str, Any], raws: Sequence[Raw]) -> tuple[str, str]:
    """The user's name now and who spoke last of the others; newer headers name neither."""
    users = [raw.name for raw in raws if raw.is_user and raw.name]
    others = [raw.name for raw in raws if not raw.is_user and raw.name and not is_apart(raw)]
    named = stripped(header.get("user_name")), stripped(header.get("character_name"))
    user = users[-1] if users else "" if named[0] in UNNAMED else named[0]
    return user or "User", others[-1] if others else "" if named[1] in UNNAMED else named[1]


def _group_members(raws: Sequence[Raw], about: About) -> list[str]:
    """Who speaks in a group chat; empty for a chat with one character."""
    spoken = [raw for raw in raws if not raw.is_user and raw.name and not is_apart(raw)]
    names = list(dict.fromkeys(raw.name for raw in spoken))
    avatars = {raw.name for raw in spoken if raw.entry.get("original_avatar")}
    of_group = about.members if about.group or set(names) <= set(about.members) else ()
    return list(dict.fromkeys([*of_group, *names])) if about.group or of_group or len(avatars) > 1 else []
