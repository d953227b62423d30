"""Which kind of request it is, by its tag or else by the shape and texts of its body."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from graph.state import ChatMessage, Kind
from memory.incoming import ROLES
from nodes.card_text import describes_someone, is_task
from server.sillytavern.markers import BREAK, MAIN, PREFIX, Markers, has_line, is_group, role_of, text_in
from server.sillytavern.nudges import is_rewritten
from server.sillytavern.tag import Tag, header, word_of

SETS = frozenset({"temperature", "top_p", "frequency_penalty", "presence_penalty", "max_tokens"})
"""Fields of each request of SillyTavern 1.19's for a Custom endpoint."""
TASK, ITS_CHAT = "### Task:", "<chat_history>"
"""What Open WebUI's prompts for titles, tags, follow-ups and searches begin with, and what holds the chat in them."""


def read_kind(
    body: Mapping[str, Any],  # Any: a request as it came
    headers: Mapping[str, str],
    messages: Sequence[ChatMessage],
    tag: Tag,
    markers: Markers,
    others: frozenset[str],
) -> tuple[Kind, bool]:
    """The kind, and whether the tag told it. `others` are the names of those who do not answer."""
    streams = body.get("stream") is True
    from_sillytavern = tag.kind_is_last or is_sillytaverns(body, headers)
    if (tag.kind is None or tag.kind_is_last) and _is_about_a_chat(messages):
        return "raw", False
    if not streams and is_bare(messages, markers):
        doubted = tag.kind is None or tag.kind_is_last or (tag.kind == "quiet" and from_sillytavern)
        starts_chat = bool(tag.chat_id or word_of(body.get("user"))) and not from_sillytavern
        bare = _bare_kind(messages, markers, from_sillytavern) if doubted and not starts_chat else None
        if bare is not None:
            return bare, tag.kind == bare
    if tag.kind is not None:
        return tag.kind, True
    if not messages:
        return "normal", False
    closing = _closing_text(messages, from_sillytavern)
    return _full_kind(messages, closing, streams, markers, others), False


def is_sillytaverns(body: Mapping[str, Any], headers: Mapping[str, str]) -> bool:  # Any: as read_kind's
    """Whether SillyTavern sent it: its own client did, or it sets what SillyTavern always sets."""
    return header(headers, "user-agent").startswith("node-fetch") or body.keys() >= SETS


def _is_about_a_chat(messages: Sequence[ChatMessage]) -> bool:
    """Whether the one prompt that came is Open WebUI's, of a chat that stands in it: streamed or not, with ids or
    without, nobody said it."""
    texts = [text_in(message) for message in messages if role_of(message) != "system"]
    return len(texts) == 1 and texts[0].lstrip().startswith(TASK) and f"\n{ITS_CHAT}" in texts[0]


def is_bare(messages: Sequence[ChatMessage], markers: Markers) -> bool:
    """One prompt, with an instruction before it or the answer's beginning after it, and no chat around it."""
    roles = [role_of(message) for message in messages]
    shape = roles[1:] if roles[:1] == ["system"] else roles
    if shape not in (["user"], ["user", "assistant"]) and roles != ["system"]:
        return False
    starts = (markers.new_chat, markers.new_group_chat, markers.example_chat, markers.continue_nudge)
    texts = [text_in(message) for message in messages]
    return not any(has_line(text, start) for text in texts for start in starts) and not any(
        map(MAIN.search, texts)
    )


def _bare_kind(messages: Sequence[ChatMessage], markers: Markers, from_sillytavern: bool) -> Kind | None:
    """raw, test, or None where it may be the first turn of a chat: SillyTavern's have more messages."""
    text = text_in(messages[0])
    if role_of(messages[0]) == "system":
        raw = is_task(text) or (from_sillytavern and not describes_someone(text))
        return "raw" if raw else None
    if len(messages) == 1 and len(text) > 400 and describes_someone(text):
        return None
    return "test" if len(messages) == 1 and text.strip() == markers.test_message else "raw"


def _full_kind(
    messages: Sequence[ChatMessage],
    closing: str,
    streams: bool,
    markers: Markers,
    others: frozenset[str],
) -> Kind:
    chat_end = max((i for i, m in enumerate(messages) if role_of(m) != "system"), default=-1)
    trailing = messages[chat_end + 1 :]
    if has_line(closing, markers.impersonation):
        return "impersonate"
    if _is_continue(messages, chat_end, closing, markers, others):
        return "continue"
    if streams:
        return "normal"
    if any(has_line(closing, start) for start in markers.quiet):
        return "quiet"
    spoken_last = chat_end > 0 and role_of(messages[chat_end]) == "assistant"
    return "quiet" if spoken_last and len(trailing) == 2 and not is_group(messages, markers) else "normal"


def _is_continue(
    messages: Sequence[ChatMessage],
    chat_end: int,
    closing: str,
    markers: Markers,
    others: frozenset[str],
) -> bool:
    last = messages[-1]
    if role_of(last) == "assistant":
        speaker = PREFIX.match(text_in(last))
        of_another = speaker is not None and speaker["name"] in others
        is_prefill = markers.continue_prefill or _is_moved(messages)
        return bool(text_in(last).strip()) and not of_another and is_prefill
    if not has_line(closing, markers.continue_nudge):
        return False
    if role_of(last) == "system":
        return chat_end >= 0 and role_of(messages[chat_end]) == "assistant"
    return len(messages) == 1 or role_of(messages[-2]) == "assistant"


def _is_moved(messages: Sequence[ChatMessage]) -> bool:
    """Whether the last message stands behind post-history instructions, where a continue prefill moves it."""
    chat = any(role_of(message) in ROLES for message in messages[:-2])
    return chat and role_of(messages[-2]) == "system"


def _closing_text(messages: Sequence[ChatMessage], from_sillytavern: bool) -> str:
    """The last message if it is a system message, or what post-processing glued to a user message's end."""
    text = text_in(messages[-1])
    if role_of(messages[-1]) == "system":
        return text
    is_users = from_sillytavern and role_of(messages[-1]) == "user" and is_rewritten(messages)
    return text.rsplit(BREAK, 1)[-1] if is_users else ""
