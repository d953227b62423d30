"""A model of a chat front-end: chats of messages, what a user does to them, and the requests that show them.

It keeps, for each chat, what its requests have shown so far (`Chat.shown`), which is what memory can know.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

USER = "Alex"
GREETING = "Mira sets the kettle down. You are late."
PLACEHOLDER = "[Start a new chat]"
_origins = count()


@dataclass(eq=False)
class Said:
    """A message of a chat; `origin` is the same in every branch that has it."""

    role: str
    speaker: str
    swipes: list[str]
    at: int = 0
    hidden: bool = False
    gone: bool = False
    origin: int = field(default_factory=lambda: next(_origins))

    @property
    def text(self) -> str:
        return self.swipes[self.at]

    @text.setter
    def text(self, text: str) -> None:
        self.swipes[self.at] = text

    @property
    def visible(self) -> bool:
        return not self.hidden and not self.gone


@dataclass(frozen=True)
class Shown:
    """A message as a request, or the reply to one, last told it to memory."""

    said: Said
    text: str


@dataclass(eq=False)
class Chat:
    """One chat file; messages that were deleted keep their place in `said`."""

    characters: list[str]
    chat_id: str = ""
    said: list[Said] = field(default_factory=list)
    shown: list[Shown] = field(default_factory=list)
    earlier: list[list[Shown]] = field(default_factory=list)
    """What had been shown before memory began the chat anew, each time."""
    left: list[list[Shown]] = field(default_factory=list)
    """What had been shown before memory took the chat for another line, as of a branch, each time."""
    tree: str = ""
    """The tree that memory keeps the chat in."""
    session_id: str = ""
    """Its session there, as of its last request."""
    one_with: list[Chat] = field(default_factory=list)
    """Branches that requests cannot tell from this chat after an edit of its last messages."""

    @property
    def visible(self) -> list[Said]:
        return [said for said in self.said if said.visible]

    def branch(self, upto: Said, chat_id: str) -> Chat:
        """A new chat with everything up to and with a message, and what was shown of that."""
        kept = self.said[: self.said.index(upto) + 1]
        copies = {id(said): replace(said, swipes=list(said.swipes)) for said in kept}
        shown = [Shown(copies[id(s.said)], s.text) for s in self.shown if id(s.said) in copies]
        said = [copies[id(said)] for said in kept]
        earlier, left = (
            [[Shown(copies[id(s.said)], s.text) for s in line if id(s.said) in copies] for line in lines]
            for lines in (self.earlier, self.left)
        )
        return Chat(list(self.characters), chat_id, said, shown, earlier, left, self.tree)

    def show(self, window: Sequence[Said], moved: Sequence[Said] = ()) -> list[Shown]:
        """What memory knows of the chat once a request showed this window.

        What stands before the window stays as it was shown; inside it only what is shown counts, and what
        the request moved into a system message.
        """
        order = {id(said): n for n, said in enumerate(self.said)}
        start = order[id(window[0])]
        known = {id(s.said): s for s in self.shown}
        inside = [Shown(said, said.text) for said in window]
        inside += [known[id(said)] for said in moved if id(said) in known]
        inside.sort(key=lambda s: order[id(s.said)])
        return [s for s in self.shown if order[id(s.said)] < start] + inside


@dataclass(frozen=True)
class Style:
    """How a front-end is set up to write its requests."""

    mode: str = "none"
    """none, merge, semi, strict or single: what post-processing does to the prompt."""
    whitespace: str = "kept"
    """kept, trimmed or collapsed."""
    names: str = "none"
    """none, content ("Mira: ...") or field (OpenAI's `name`)."""
    note_depth: int | None = None
    """A note stands so many messages before the end; not where it would become a message of the user's by
    itself, which only names before messages tell from one."""
    lore: bool = False
    narrator: bool = False
    """A line of a narrator stands inside the history, as a system message. Modes that make it the user's are
    left out: glued to one message for good it is part of that message, as far as any request shows."""
    post_history: bool = False


def request(
    chat: Chat, window: Sequence[Said], style: Style, *, note: str = "", moved: Sequence[Said] = ()
) -> list[dict[str, Any]]:  # Any: OpenAI's JSON
    """The `messages` of a request that shows this window."""
    rows = [_row(said, style) for said in window]
    if style.note_depth is not None and len(rows) > style.note_depth:
        at = len(rows) - style.note_depth
        beside = {row["role"] for row in rows[max(0, at - 1) : at + 1]}
        if style.mode in ("none", "merge") or style.names == "content" or "user" in beside:
            rows.insert(at, _system(f"NOTE {note}"))
    if style.narrator and style.mode in ("none", "merge") and len(rows) > 2:
        rows.insert(len(rows) // 2, _system("NARRATOR Night falls."))
    system = [_system("Write the next reply of the character."), _system("CARD A keeper of lights.")]
    if style.lore:
        system.append(_system("LORE The gull is noisy."))
    if moved:
        system.append(_system("Past events:\n" + "\n".join(said.text for said in moved)))
    after = [_system("POSTHISTORY Keep it short.")] if style.post_history else []
    messages = [*system, _system("[Start a new Chat]"), *rows, *after]
    return post_processed(messages, style.mode, chat.characters[0])


def _row(said: Said, style: Style) -> dict[str, Any]:
    text = said.text
    if style.whitespace == "trimmed":
        text = text.strip()
    elif style.whitespace == "collapsed":
        text = re.sub(r"[ \t]+", " ", text).strip()
    row = {"role": said.role, "content": f"{said.speaker}: {text}" if style.names == "content" else text}
    return row | {"name": said.speaker} if style.names == "field" else row


def _system(text: str) -> dict[str, Any]:
    return {"role": "system", "content": text}


def post_processed(messages: list[dict[str, Any]], mode: str, character: str) -> list[dict[str, Any]]:
    """What a front-end's post-processing makes of a prompt, as SillyTavern's modes do."""
    if mode == "none":
        return messages
    rows = [_folded(message, mode, character) for message in messages]
    merged = _merged(rows)
    if mode in ("semi", "strict"):
        merged = [merged[0], *(m | {"role": "user"} if m["role"] == "system" else m for m in merged[1:])]
        if mode == "strict" and (len(merged) == 1 or merged[1]["role"] != "user"):
            merged.insert(1, {"role": "user", "content": PLACEHOLDER})
        merged = _merged(merged)
    return merged


def _folded(message: dict[str, Any], mode: str, character: str) -> dict[str, Any]:
    role, text = message["role"], message["content"]
    name = message.get("name", "")
    if name and role != "system":
        text = text if text.startswith(f"{name}: ") else f"{name}: {text}"
    if mode == "single":
        speaker = {"assistant": character, "user": USER}.get(role, "")
        prefixed = re.match(r"(Mira|Tobias|Alex): ", text)
        text = text if not speaker or prefixed else f"{speaker}: {text}"
        role = "user"
    return {"role": role, "content": text}


def _merged(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    merged: list[dict[str, Any]] = []
    for row in rows:
        if merged and merged[-1]["role"] == row["role"]:
            merged[-1] = row | {"content": merged[-1]["content"] + "\n\n" + row["content"]}
        else:
            merged.append(dict(row))
    return merged
