"""The requests of a front-end as SillyTavern 1.19 writes them, with its extension's tag or without."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.truth.chat import USER, Chat, Said

Message = dict[str, Any]
"""Any: OpenAI's JSON."""
PLACEHOLDER = "[Start a new chat]"
CONTINUE = "[Continue your last message without repeating its original content.]"
IMPERSONATE = (
    f"[Write your next reply from the point of view of {USER}, using the chat history so far as a guideline "
    f"for the writing style of {USER}. Write 1 reply only in internet RP style. "
    "Don't write as {character} or system. Don't describe actions of {character}.]"
)
SUMMARIZE = "Ignore previous instructions. Summarize the most important facts and events in the story so far."


@dataclass(frozen=True)
class Style:
    """How a front-end is set up to write its requests."""

    mode: str = "none"
    """none, merge, semi, strict or single: what post-processing does to the prompt."""
    whitespace: str = "kept"
    """kept, trimmed or collapsed."""
    names: str = "none"
    """none, content ("Mira: ...") or field (OpenAI's `name`); in a group the characters' are in the content."""
    note_depth: int | None = None
    """A note stands so many messages before the end; not where it would become a message of the user's by
    itself, which only names before messages tell from one."""
    lore: bool = False
    narrator: bool = False
    """A line of a narrator stands inside the history, as a system message. Modes that make it the user's are
    left out: glued to one message for good it is part of that message, as far as any request shows."""
    post_history: bool = False
    prefill: bool = False
    """A continue ends with the message itself and no nudge."""
    streams: bool = True


@dataclass(frozen=True)
class Wanted:
    """What a request is made for."""

    kind: str = "normal"
    """SillyTavern's word: normal, regenerate, swipe, continue, impersonate or quiet."""
    speaker: str = ""
    """Who answers."""
    prompt: str = ""
    """A quiet prompt."""
    note: str = ""
    moved: Sequence[Said] = ()
    """Messages of the window that stand in a system message instead."""


def request(chat: Chat, window: Sequence[Said], style: Style, wanted: Wanted, *, tagged: bool) -> Message:
    """The body of a request that shows this window; `tagged`: the extension names chat, kind and speakers."""
    prompt = prompt_of(chat, window, style, wanted)
    body: Message = {
        "messages": post_processed(prompt, style.mode, wanted.speaker),
        "stream": style.streams and wanted.kind != "quiet",
    }
    return body | {"metadata": tag_of(chat, prompt, style, wanted)} if tagged else body


def tag_of(chat: Chat, prompt: Sequence[Message], style: Style, wanted: Wanted) -> Message:
    """What the extension tells; of a prompt that is going to be post-processed also what nobody said."""
    first = next((n for n, m in enumerate(prompt) if m["role"] != "system"), len(prompt))
    glued = range(first + 1, len(prompt)) if style.mode != "none" else ()
    injected = [[n, prompt[n]["content"]] for n in glued if prompt[n]["role"] == "system"]
    members = chat.characters if len(chat.characters) > 1 else []
    who = {"character": wanted.speaker, "user_name": USER, "group_members": members, "injected": injected}
    return {"chat_id": chat.chat_id, "kind": wanted.kind} | {name: told for name, told in who.items() if told}


def prompt_of(chat: Chat, window: Sequence[Said], style: Style, wanted: Wanted) -> list[Message]:
    """A request's messages before post-processing."""
    rows = [_row(said, style, is_group=len(chat.characters) > 1) for said in window]
    continued = [rows.pop()] if wanted.kind == "continue" else []
    if style.note_depth is not None and len(rows) + len(continued) > style.note_depth:
        at = len(rows) + len(continued) - style.note_depth
        beside = {row["role"] for row in rows[max(0, at - 1) : at + 1]}
        if style.mode in ("none", "merge") or style.names == "content" or "user" in beside:
            rows.insert(at, system(f"NOTE {wanted.note}"))
    if style.narrator and style.mode in ("none", "merge") and len(rows) > 2:
        rows.insert(len(rows) // 2, system("NARRATOR Night falls."))
    after = [system("POSTHISTORY Keep it short.")] if style.post_history else []
    return [
        *_head(chat, style, wanted),
        *rows,
        *_nudge(chat, wanted),
        *after,
        *continued,
        *_asked(style, wanted),
    ]


def _head(chat: Chat, style: Style, wanted: Wanted) -> list[Message]:
    who, members = wanted.speaker, ", ".join(chat.characters)
    head = [f"Write {who}'s next reply in a fictional chat between {who} and {USER}."]
    head += [f"CARD {who} is a keeper of lights."]
    head += ["LORE The gull is noisy."] if style.lore else []
    if wanted.moved:
        head.append("Past events:\n" + "\n".join(said.text for said in wanted.moved))
    is_group = len(chat.characters) > 1
    head.append(f"[Start a new group chat. Group members: {members}]" if is_group else "[Start a new Chat]")
    return [system(text) for text in head]


def _nudge(chat: Chat, wanted: Wanted) -> list[Message]:
    """What ends a group's chat."""
    asks = len(chat.characters) > 1 and wanted.kind not in ("impersonate", "quiet")
    return [system(f"[Write the next reply only as {wanted.speaker}.]")] if asks else []


def _asked(style: Style, wanted: Wanted) -> list[Message]:
    """What ends the prompt."""
    if wanted.kind == "continue" and not style.prefill:
        return [system(CONTINUE)]
    if wanted.kind == "impersonate":
        return [system(IMPERSONATE.format(character=wanted.speaker))]
    return [system(wanted.prompt)] if wanted.prompt else []


def _row(said: Said, style: Style, *, is_group: bool) -> Message:
    text = sent(said.text, style)
    led = style.names == "content" or (style.names == "none" and is_group and said.role == "assistant")
    row = {"role": said.role, "content": f"{said.speaker}: {text}" if led else text}
    return row | {"name": said.speaker} if style.names == "field" else row


def sent(text: str, style: Style) -> str:
    """A message's text as requests have it."""
    if style.whitespace == "kept":
        return text
    return (re.sub(r"[ \t]+", " ", text) if style.whitespace == "collapsed" else text).strip()


def system(text: str) -> Message:
    return {"role": "system", "content": text}


def post_processed(messages: list[Message], mode: str, character: str) -> list[Message]:
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


def _folded(message: Message, mode: str, character: str) -> Message:
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


def _merged(rows: Sequence[Message]) -> list[Message]:
    merged: list[Message] = []
    for row in rows:
        if merged and merged[-1]["role"] == row["role"]:
            merged[-1] = row | {"content": merged[-1]["content"] + "\n\n" + row["content"]}
        else:
            merged.append(dict(row))
    return merged
