"""A message of a chat file, and how SillyTavern would send it with its default settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from memory.incoming import Incoming, incoming, leading
from server.cards import fill
from server.transfer.dates import parse_date
from server.transfer.lines import clean, stripped

NARRATOR = "narrator"


@dataclass(frozen=True, slots=True)
class Line:
    """A message of the file, sent (`shown`) or kept beside the chat."""

    said: Incoming
    shown: bool
    created_at: float
    swipes: list[tuple[Incoming, float]] = field(default_factory=list)
    """The replies that were not chosen, with their dates."""


@dataclass(slots=True)
class Raw:
    number: int
    name: str
    text: str
    is_user: bool
    kind: str
    """`extra.type`: narrator, comment, ..."""
    entry: dict[str, Any]  # Any: JSON as it came


@dataclass(slots=True)
class Sender:
    """Sends messages as SillyTavern does with its default settings, so that live ones are the same."""

    user: str
    character: str
    members: list[str]

    def lines(self, raws: Sequence[Raw], since: float) -> list[Line]:
        found = []
        at = next((d for raw in raws if (d := parse_date(raw.entry.get("send_date")))), since)
        for raw in raws:
            at = parse_date(raw.entry.get("send_date")) or at
            shown = not is_apart(raw)
            notice = not shown and raw.kind not in ("", NARRATOR)
            said = None if notice or _is_tool_call(raw) else self.sent(raw, raw.text)
            if said is not None:
                found.append(Line(said, shown, at, self._swipes(raw, said, at)))
        return found

    def sent(self, raw: Raw, text: str) -> Incoming | None:
        """A text of a message as a request shows it; None when there is none."""
        character = self.character if raw.is_user else raw.name or self.character
        text = fill(text, character, self.user) + _titles(raw)
        role = "user" if raw.is_user else "assistant"
        prefixed = self._prefixed(raw)
        content = f"{raw.name}: {text}" if prefixed else text
        told = leading(role, [*self.members, self.character, self.user], self.user, self.character)
        known = [*told, *([raw.name] if prefixed else [])]
        for row in incoming([{"role": role, "content": content}], known):
            kept = text if prefixed and row.speaker == raw.name else content
            return Incoming(role, raw.name or row.speaker, kept, row.fingerprint, raw.number)
        return None

    def _prefixed(self, raw: Raw) -> bool:
        """Whether SillyTavern writes the speaker's name before a message."""
        if not raw.name or raw.name == self.user or raw.kind == NARRATOR:
            return False
        return bool(self.members or raw.entry.get("force_avatar"))

    def _swipes(self, raw: Raw, chosen: Incoming, at: float) -> list[tuple[Incoming, float]]:
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


def _is_tool_call(raw: Raw) -> bool:
    extra = raw.entry.get("extra")
    return isinstance(extra, dict) and isinstance(extra.get("tool_invocations"), list)


def _titles(raw: Raw) -> str:
    """Captions that SillyTavern sends with pictures."""
    extra = raw.entry.get("extra")
    if not isinstance(extra, dict):
        return ""
    media = extra.get("media")
    titled = [extra, *(m for m in media if isinstance(m, dict))] if isinstance(media, list) else [extra]
    titles = [stripped(t.get("title")) for t in titled if t.get("append_title")]
    return "".join(f"\n\n{title}" for title in titles if title)


def is_apart(raw: Raw) -> bool:
    return raw.entry.get("is_system") is True or raw.kind == NARRATOR
