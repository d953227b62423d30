"""Which lorebooks are bound to which chats: a chat by its id and by whose it is, as `memory.whose` tells."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import NamedTuple

from memory.whose import ANYBODY, Whose

WhoseChats = Callable[[str, str], Iterable[Whose]]
"""Who has chats of an id: by owner and id."""


class Cast(NamedTuple):
    """Who takes part in a chat that is answered."""

    names: frozenset[str]
    """The character that answers, by all of its names."""
    in_group: bool = False
    avatar: str = ""
    user: str = ""
    """The name of the user's persona."""

    def may_have(self, whose: Whose) -> bool:
        """Whether what is of a character or of a group is theirs, as `Whose.may_have` has it for sessions."""
        if not whose.told or not (self.names or self.in_group):
            return True
        if whose.is_group or self.in_group:
            return whose.is_group and self.in_group
        return whose.avatar == self.avatar if whose.avatar and self.avatar else whose.character in self.names


class ChatBook(NamedTuple):
    """A book by its name, and the chat that it is bound to."""

    book: str
    chat_id: str
    whose: Whose


def bind(connection: sqlite3.Connection, owner: str, bound: ChatBook) -> int:
    """Note that a chat has this book beside others; whether that is new."""
    return connection.execute(
        "INSERT OR IGNORE INTO chat_books VALUES (?, ?, ?, ?, ?, ?)",
        (owner, bound.book, bound.chat_id, *_key(bound.whose)),
    ).rowcount


def rebind(connection: sqlite3.Connection, owner: str, chat_id: str, whose: Whose, book: str) -> None:
    """Make this the chat's only book, none where it is empty; a book that was bound to the id while nobody
    was known to have it, or no avatar, was this chat's."""
    connection.execute(f"DELETE FROM chat_books WHERE {_OF_CHAT}", (owner, chat_id, *_keys(whose)))
    if book:
        bind(connection, owner, ChatBook(book, chat_id, whose))


def rename(
    connection: sqlite3.Connection, owner: str, chat_id: str, whose: Whose, new_id: str, new: Whose
) -> None:
    """Bind a chat's books to the name that it, or its character, has from now on."""
    connection.execute(
        f"UPDATE OR REPLACE chat_books SET chat_id = ?, character = ?, is_group = ?, avatar = ? WHERE {_OF_CHAT}",
        (new_id, *_key(new), owner, chat_id, *_keys(whose)),
    )


def load(connection: sqlite3.Connection, owner: str, chat_id: str | None = None) -> list[ChatBook]:
    """Every binding of an owner, or of this chat id."""
    rows = connection.execute(
        "SELECT book, chat_id, character, is_group, avatar FROM chat_books WHERE owner = ?1 "
        "AND chat_id = coalesce(?2, chat_id) ORDER BY 1, 2, 3, 4, 5",
        (owner, chat_id),
    )
    return [
        ChatBook(book, chat, Whose(name, bool(group), avatar)) for book, chat, name, group, avatar in rows
    ]


def books_of(connection: sqlite3.Connection, owner: str, chat_id: str, cast: Cast) -> set[str]:
    """The books of a chat that is answered."""
    bound = load(connection, owner, chat_id) if chat_id else []
    return {one.book for one in bound if cast.may_have(one.whose)}


def take_over(connection: sqlite3.Connection, owner_chats: WhoseChats) -> None:
    """Bring bindings of an older version here, which knew chats by their ids alone: to everyone who has such a
    chat, until an import tells whose it is."""
    rows = connection.execute("SELECT owner, book, target FROM book_scopes WHERE scope = 'chat'").fetchall()
    for owner, book, chat_id in rows:
        known = {*owner_chats(owner, chat_id), *_groups_with(connection, owner, chat_id)}
        for whose in known or {ANYBODY}:
            bind(connection, owner, ChatBook(book, chat_id, whose))
    connection.execute("DELETE FROM book_scopes WHERE scope = 'chat'")


def _groups_with(connection: sqlite3.Connection, owner: str, chat_id: str) -> list[Whose]:
    rows = connection.execute("SELECT chats FROM groups WHERE owner = ?", (owner,))
    return [Whose(is_group=True)] if any(chat_id in json.loads(chats) for (chats,) in rows) else []


_OF_CHAT = "owner = ? AND chat_id = ? AND (character, is_group, avatar) IN ((?, ?, ?), (?, ?, ?), (?, ?, ?))"


def _key(whose: Whose) -> tuple[str, bool, str]:
    """A group is one whoever speaks in it."""
    return ("", True, "") if whose.is_group else (whose.character, False, whose.avatar)


def _keys(whose: Whose) -> tuple[str | bool, ...]:
    """The keys under which a chat's books may be bound."""
    return (*_key(whose), *_key(replace(whose, avatar="")), *_key(ANYBODY))
