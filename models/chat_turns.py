"""Prompts for providers that want one system text, then user and assistant in turn; nothing is lost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

Message = dict[str, Any]  # Any: OpenAI's message shape
Content = str | list[dict[str, Any]]

SYSTEM_ROLES = ("system", "developer")
OPENING = "[Start a new Chat]"


def alternate(messages: Sequence[Message], *, user_first: bool = False) -> list[Message]:
    """The same prompt as at most one system message, then user and assistant in turn.

    Leading system texts are joined by blank lines; later ones become user text where they stand, after the
    results of tool calls they would part. Of system messages alone the last becomes the user's. Neighbours
    of one role are merged; every text stays byte for byte. A speaker's name is put before the text where
    the role does not say who speaks, or where nothing else in the prompt holds the name. `user_first` lets
    the last leading system text, or an opening, speak as the user before an assistant's greeting.
    """
    said = [message for message in _with_names(messages) if _says_something(message)]
    lead = _leading_system_messages(said)
    rest = said[lead:]
    if lead and (not rest or (user_first and rest[0]["role"] == "assistant")):
        lead, rest = lead - 1, said[lead - 1 :]
    turns = _merged(_in_order(rest))
    if user_first and turns and turns[0]["role"] == "assistant":
        turns.insert(0, {"role": "user", "content": OPENING})
    if not lead:
        return turns
    system = "\n\n".join(text_of(message["content"]) for message in said[:lead])
    return [{"role": "system", "content": system}, *turns]


def text_of(content: Any) -> str:  # Any: a string, parts, or what a client sent instead
    """The text of a message's content, parts joined by newlines."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    return "\n".join(part["text"] for part in content if _is_text(part))


def _is_text(part: Any) -> bool:  # Any: what a client sent as a part
    return isinstance(part, dict) and isinstance(part.get("text"), str)


def _says_something(message: Message) -> bool:
    content = message["content"]
    heard = content if isinstance(content, str) else [one for one in content if one.get("text") != ""]
    return bool(heard or message.get("tool_calls") or message["role"] == "tool")


def _leading_system_messages(messages: Sequence[Message]) -> int:
    """How many messages at the beginning are system text and nothing else."""
    for count, message in enumerate(messages):
        plain = isinstance(message["content"], str) or all(map(_is_text, message["content"]))
        if message["role"] not in SYSTEM_ROLES or not plain:
            return count
    return len(messages)


def _with_names(messages: Sequence[Message]) -> list[Message]:
    """The messages with content never None and names written out where they are needed."""
    texts = [text_of(message.get("content")) for message in messages]
    speakers: dict[str, set[str]] = {}
    for message in messages:
        speakers.setdefault(message["role"], set()).add(message.get("name") or "")
    names = {name for of_role in speakers.values() for name in of_role if name}
    unheard = {name for name in names if not any(name in text for text in texts)}

    named = []
    for message, text in zip(messages, texts, strict=True):
        role, name, content = message["role"], message.get("name"), message.get("content") or ""
        unclear = role in SYSTEM_ROLES or len(speakers[role]) > 1 or name in unheard
        if name and role != "tool" and text and unclear and not text.startswith(f"{name}:"):
            content = _prefixed(content, f"{name}: ")
        named.append({**message, "content": content})
    return named


def _prefixed(content: Content, prefix: str) -> Content:
    if isinstance(content, str):
        return prefix + content
    first = next(index for index, part in enumerate(content) if _is_text(part))
    part = {**content[first], "text": prefix + content[first]["text"]}
    return [*content[:first], part, *content[first + 1 :]]


def _in_order(messages: Sequence[Message]) -> list[Message]:
    """User, assistant and tool messages, tool results directly behind the calls they answer."""
    ordered: list[Message] = []
    held: list[Message] = []
    awaited: set[str] = set()
    for message in messages:
        if message["role"] == "assistant":
            ordered += [*held, message]
            held, awaited = [], {str(call.get("id")) for call in message.get("tool_calls") or ()}
        elif message["role"] == "tool" and str(message.get("tool_call_id")) in awaited:
            awaited.remove(str(message.get("tool_call_id")))
            ordered.append(message)
        else:
            (held if awaited else ordered).append({"role": "user", "content": message["content"]})
        if not awaited and held:
            ordered, held = ordered + held, []
    return ordered + held


def _merged(messages: Iterable[Message]) -> list[Message]:
    turns: list[Message] = []
    for message in messages:
        last = turns[-1] if turns else None
        if last and last["role"] == message["role"] != "tool" and not last.get("tool_calls"):
            turns[-1] = {**last, **message, "content": _joined(last["content"], message["content"])}
        else:
            turns.append(message)
    return turns


def _joined(first: Content, second: Content) -> Content:
    if not first or not second:
        return first or second
    if isinstance(first, str) and isinstance(second, str):
        return f"{first}\n\n{second}"
    return [*_parts(first), *_parts(second)]


def _parts(content: Content) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content
