"""The texts by which a request of SillyTavern's shows its kind, and how they are found."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from graph.settings import Settings
from graph.state import ChatMessage
from memory.incoming import text_of

MAIN_PROMPT = "Write {{char}}'s next reply in a fictional chat between {{char}} and {{user}}."
"""SillyTavern's default main prompt, macros unfilled."""
MAIN = re.compile(
    r"Write (?P<char>[^\n]{1,100}?)['\u2019]s? next reply"
    r"(?: in a fictional (?:chat|role-?play) between (?P<pair>[^\n]{1,300}))?"
)
"""The same with its names, as users vary it."""
BREAK = "\n\n"
"""What post-processing writes between texts that it merges."""
PREFIX = re.compile(r"\A(?P<name>[^\s:*\"\[{<(][^\n:*\"]{0,39}): ")
"""A speaker's name before what is said."""


@dataclass(frozen=True, slots=True)
class Markers:
    """The beginnings of the texts by which a request shows its kind; users edit them in SillyTavern."""

    continue_nudge: str = "[Continue your last message"
    continue_prefill: bool = False
    """A continue has no nudge: it ends with the character's message."""
    impersonation: str = "[Write your next reply from the point of view of"
    group_nudge: str = "[Write the next reply only as"
    new_chat: str = "[Start a new Chat]"
    new_group_chat: str = "[Start a new group chat. Group members:"
    example_chat: str = "[Example Chat]"
    test_message: str = "Hi"
    placeholders: tuple[str, ...] = ("[Start a new chat]", "Let's get started.")
    """Whole texts, not beginnings."""
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
    placeholders = (text.strip() for text in settings.marker_placeholder.split("|"))
    return Markers(
        continue_nudge=_fixed(settings.marker_continue),
        continue_prefill=settings.continue_prefill,
        impersonation=_fixed(settings.marker_impersonate),
        group_nudge=_fixed(settings.marker_group_nudge),
        new_chat=_fixed(settings.marker_new_chat),
        new_group_chat=_fixed(settings.marker_new_group_chat),
        example_chat=_fixed(settings.marker_example_chat),
        placeholders=tuple(filter(None, placeholders)),
        quiet=(*DEFAULT.quiet, *filter(None, more)),
    )


def _fixed(text: str) -> str:
    """A text up to its first macro or line end."""
    return text.strip().split("{{", 1)[0].split("\n", 1)[0].rstrip()


def is_group(messages: Sequence[ChatMessage], markers: Markers) -> bool:
    """Whether a system message is one that only group chats have."""
    starts = (markers.group_nudge, markers.new_group_chat)
    systems = (text_in(message) for message in messages if role_of(message) == "system")
    return any(has_line(text, start) for text in systems for start in starts)


def has_line(text: str, start: str) -> bool:
    """Whether a line of a text begins like this; an empty beginning is none."""
    return bool(start) and (text.lstrip().startswith(start) or f"\n{start}" in text)


def begun(text: str, markers: Markers) -> tuple[str, str] | None:
    """What stands before and after the line of a text that begins the chat; None where there is no such line."""
    starts = (markers.new_chat, markers.new_group_chat)
    found = [f"\n{text}".find(f"\n{start}") for start in starts if has_line(text, start)]
    at = min((at for at in found if at >= 0), default=None)
    return None if at is None else (text[:at], text[at:].partition("\n")[2].lstrip("\n"))


def text_in(message: ChatMessage) -> str:
    """The text of a message, whatever its content is."""
    return text_of(message.get("content"))


def role_of(message: ChatMessage) -> str:
    """A message's role; `developer` is OpenAI's newer word for system."""
    role = message.get("role")
    return "system" if role == "developer" else str(role)
