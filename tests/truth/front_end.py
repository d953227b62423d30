"""The requests of a front-end as SillyTavern 1.19 writes them, with its extension's tag or without."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tests.truth.chat import USER, Chat, Said

Message = dict[str, Any]
"""Any: OpenAI's JSON."""
Tag = Literal["none", "yaml", "extension"]
"""Who tells what a request is: nobody, macros in a body that the user writes, or the extension."""
PLACEHOLDER = "[Start a new chat]"
CONTINUE = "[Continue your last message without repeating its original content.]"
IMPERSONATE = (
    "[Write your next reply from the point of view of {user}, using the chat history so far as a guideline "
    "for the writing style of {user}. Write 1 reply only in internet RP style. "
    "Don't write as {character} or system. Don't describe actions of {character}.]"
)
MAIN_PROMPTS = {
    "default": "Write {who}'s next reply in a fictional chat between {who} and {user}.",
    "character": "You are {who}. Stay in character.",
    "nobody": "Continue the story.",
    "both": "This is a slow-burn role-play between {who} and {user}.",
}
"""Main prompts by whom they name: SillyTavern's own, and such as users write."""
SUMMARIZE = "Ignore previous instructions. Summarize the most important facts and events in the story so far."


@dataclass(frozen=True)
class Style:
    """How a front-end is set up to write its requests."""

    main: str = "default"
    """Which of the main prompts."""
    mode: str = "none"
    """none, merge, semi, strict or single: what post-processing does to the prompt."""
    whitespace: str = "kept"
    """kept, trimmed or collapsed."""
    names: str = "none"
    """none, content ("Mira: ...") or field (OpenAI's `name`); with none a group's characters and the personas
    that the user had before are still named in the content."""
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
    start: str = ""
    """What every reply begins with: the prompt ends with it, and the answer goes on from there."""
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


def request(chat: Chat, window: Sequence[Said], style: Style, wanted: Wanted, tag: Tag = "none") -> Message:
    """The body of a request that shows this window, with the tag that goes with it."""
    prompt = prompt_of(chat, window, style, wanted)
    members = chat.characters if len(chat.characters) > 1 else ()
    body: Message = {
        "messages": post_processed(prompt, style.mode, wanted.speaker, chat.user, members),
        "stream": style.streams and wanted.kind != "quiet",
    }
    if tag == "none":
        return body
    told = tag_of(chat, window, prompt, wanted, style) if tag == "extension" else yaml_of(chat, wanted)
    return body | {"metadata": told}


def tells_user(window: Sequence[Said], style: Style, tag: Tag) -> bool:
    """Whether a request tells the user's name: by its tag, its main prompt or the names that it writes.

    Names that lead texts show themselves beside one of the character's.
    """
    if tag != "none" or style.main in ("default", "both") or style.mode == "single":
        return True
    is_answered = any(said.role == "assistant" for said in window)
    return style.names == "field" or (style.names == "content" and is_answered)


def yaml_of(chat: Chat, wanted: Wanted) -> Message:
    """What the macros of a body tell that the user writes without the extension."""
    return {
        "chat_id": chat.chat_id,
        "gen_type": wanted.kind,
        "character": wanted.speaker,
        "user_name": chat.user,
        "group": ", ".join(chat.characters),
    }


def tag_of(
    chat: Chat, window: Sequence[Said], prompt: Sequence[Message], wanted: Wanted, style: Style
) -> Message:
    """What the extension tells; of a prompt that is going to be post-processed also what nobody said."""
    visible = chat.visible[:-1] if wanted.kind == "swipe" else chat.visible
    first = next((n for n, m in enumerate(prompt) if m["role"] != "system"), len(prompt))
    glued = range(first + 1, len(prompt)) if style.mode != "none" else ()
    injected = [[n, prompt[n]["content"]] for n in glued if prompt[n]["role"] == "system"]
    members = chat.characters if len(chat.characters) > 1 else []
    who = {
        "character": wanted.speaker,
        "user_name": chat.user,
        "group_members": members,
        "injected": injected,
        "window": "whole" if list(window) == visible else "",
    }
    of_chat = {"chat_id": chat.chat_id, "chat_file": chat.chat_id, "kind": wanted.kind}
    return of_chat | {name: told for name, told in who.items() if told}


def prompt_of(chat: Chat, window: Sequence[Said], style: Style, wanted: Wanted) -> list[Message]:
    """A request's messages before post-processing."""
    rows = [_row(said, style, chat) for said in window]
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
        *_asked(chat, style, wanted),
    ]


def _head(chat: Chat, style: Style, wanted: Wanted) -> list[Message]:
    who, members = wanted.speaker, ", ".join(chat.characters)
    head = [MAIN_PROMPTS[style.main].format(who=who, user=chat.user)]
    head += [f"{who} is a keeper of lights."]
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


def _asked(chat: Chat, style: Style, wanted: Wanted) -> list[Message]:
    """What ends the prompt."""
    if wanted.kind == "continue" and not style.prefill:
        return [system(CONTINUE)]
    if wanted.kind == "impersonate":
        return [system(IMPERSONATE.format(character=wanted.speaker, user=chat.user))]
    if wanted.prompt:
        return [system(wanted.prompt)]
    starts = style.start and wanted.kind != "continue"
    return [{"role": "assistant", "content": style.start}] if starts else []


def _row(said: Said, style: Style, chat: Chat) -> Message:
    text = sent(said.text, style)
    unclear = len(chat.characters) > 1 if said.role == "assistant" else said.speaker != chat.user
    led = style.names == "content" or (style.names == "none" and unclear)
    row = {"role": said.role, "content": f"{said.speaker}: {text}" if led else text}
    return row | {"name": said.speaker} if style.names == "field" else row


def sent(text: str, style: Style) -> str:
    """A message's text as requests have it."""
    if style.whitespace == "kept":
        return text
    return (re.sub(r"[ \t]+", " ", text) if style.whitespace == "collapsed" else text).strip()


def system(text: str) -> Message:
    return {"role": "system", "content": text}


def post_processed(
    messages: list[Message], mode: str, character: str, user: str = USER, members: Sequence[str] = ()
) -> list[Message]:
    """What a front-end's post-processing makes of a prompt, as SillyTavern's modes do.

    A single message names who speaks by those who speak now, unless the text begins with such a name.
    """
    if mode == "none":
        return messages
    now = {"assistant": [character, *members], "user": [user]}
    rows = [_folded(message, mode, now) for message in messages]
    merged = _merged(rows)
    if mode in ("semi", "strict"):
        merged = [merged[0], *(m | {"role": "user"} if m["role"] == "system" else m for m in merged[1:])]
        if mode == "strict" and (len(merged) == 1 or merged[1]["role"] != "user"):
            merged.insert(1, {"role": "user", "content": PLACEHOLDER})
        merged = _merged(merged)
    return merged


def _folded(message: Message, mode: str, now: Mapping[str, Sequence[str]]) -> Message:
    role, text = message["role"], message["content"]
    name = message.get("name", "")
    if name and role != "system":
        text = text if text.startswith(f"{name}: ") else f"{name}: {text}"
    if mode == "single":
        speakers = now.get(role, ())
        led = any(text.startswith(f"{name}: ") for name in speakers)
        text = text if not speakers or led else f"{speakers[0]}: {text}"
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
