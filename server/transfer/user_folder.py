"""What a SillyTavern user's folder says about chats: groups, and the lorebooks that are bound to things.

Of the settings nothing else is looked at or kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from memory.chat_books import ChatBook
from memory.library import Binding, Group
from memory.whose import Whose
from server.transfer.lines import stripped

Content = dict[str, Any]
"""A file's JSON (Any: as it came)."""


def is_group(content: Content) -> bool:
    """Whether a JSON is a group file."""
    return isinstance(content.get("members"), list) and ("chats" in content or "chat_id" in content)


def read_group(content: Content, name: str) -> Group:
    """The group of a file; members are named by their cards' files, without the ending."""
    chats = _texts(content.get("chats")) or _texts([content.get("chat_id")])
    return Group(
        source=name,
        name=stripped(content.get("name")) or name,
        members=[_stem(member) for member in _texts(content.get("members"))],
        disabled=[_stem(member) for member in _texts(content.get("disabled_members"))],
        chats=chats,
    )


def lore_of_group(content: Content) -> list[ChatBook]:
    """Lorebooks of a group's chats, from the time when the group's file held what is theirs."""
    of_chats = _object(content.get("past_metadata"))
    if now := stripped(content.get("chat_id")):
        of_chats = of_chats | {now: content.get("chat_metadata")}
    books = ((chat, stripped(_object(metadata).get("world_info"))) for chat, metadata in of_chats.items())
    return [ChatBook(book, chat, Whose(is_group=True)) for chat, book in books if book]


def is_settings(content: Content) -> bool:
    """Whether a JSON is a user's settings."""
    return isinstance(content.get("power_user"), dict) or isinstance(content.get("world_info_settings"), dict)


def lore_of_settings(content: Content) -> list[Binding]:
    """The lorebooks that the settings bind: everywhere, to a character beside its card's own, to a persona."""
    world = _object(content.get("world_info_settings")).get("world_info")
    everywhere = world if isinstance(world, list | str) else _object(world).get("globalSelect")
    found = [Binding(book, "global", "") for book in _texts(everywhere)]
    lore = _object(world).get("charLore")
    for entry in lore if isinstance(lore, list) else ():
        character = stripped(_object(entry).get("name"))
        found += [
            Binding(b, "extra", character) for b in _texts(_object(entry).get("extraBooks")) if character
        ]
    return [*dict.fromkeys([*found, *_of_personas(content)])]


def _of_personas(content: Content) -> Iterator[Binding]:
    user = _object(content.get("power_user"))
    names = _object(user.get("personas"))
    for avatar, persona in _object(user.get("persona_descriptions")).items():
        if book := stripped(_object(persona).get("lorebook")):
            yield Binding(book, "persona", stripped(names.get(avatar)) or _stem(avatar))
    if book := stripped(user.get("persona_description_lorebook")):
        named = stripped(names.get(stripped(content.get("user_avatar")))) or stripped(content.get("username"))
        if named:
            yield Binding(book, "persona", named)


def _object(value: object) -> Content:
    return value if isinstance(value, dict) else {}


def _texts(values: object) -> list[str]:
    given = [values] if isinstance(values, str) else values if isinstance(values, list) else []
    return list(dict.fromkeys(text for value in given if (text := stripped(value))))


def _stem(file_name: str) -> str:
    return PurePosixPath(file_name).stem
