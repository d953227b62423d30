"""The library: imported characters, groups and lorebooks, by owner. Lore is nothing that someone said."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal, NamedTuple

from memory import chat_books, library_sql
from memory.chat_books import Cast, ChatBook, WhoseChats
from memory.files import open_database, transaction
from memory.schema import LIBRARY_MIGRATIONS, LIBRARY_SCHEMA, LIBRARY_VERSION
from memory.whose import Whose

FILE = "library.sqlite"
MOST_CHATS = 200
"""Chats whose lore is remembered."""
Scope = Literal["global", "character", "card", "extra", "persona"]
"""What a book belongs to: everything, a character by its card (known by the character's name or by its own file's), a
character beside that, a persona."""


@dataclass(frozen=True, slots=True)
class LoreEntry:
    """One entry of a lorebook; `uid` is its number within the book."""

    uid: str
    content: str
    keys: list[str] = field(default_factory=list)
    secondary_keys: list[str] = field(default_factory=list)
    comment: str = ""
    enabled: bool = True
    constant: bool = False
    """Always part of the prompt, whatever was said."""
    insertion_order: float = 100.0
    details: dict[str, Any] = field(default_factory=dict)
    """The entry as its file has it (Any: JSON), so that nothing of it is lost."""


@dataclass(frozen=True, slots=True)
class Book:
    """A lorebook; `character` names whose card it is part of, empty for a book of its own."""

    name: str
    entries: Sequence[LoreEntry]
    character: str = ""
    avatar: str = ""
    """That of the character, where it is known."""


@dataclass(frozen=True, slots=True)
class Character:
    """A character card as it was imported; `source` names its file, by which characters are told apart."""

    source: str
    name: str
    card: dict[str, Any]
    """The card's JSON (Any: as it came)."""


@dataclass(frozen=True, slots=True)
class Group:
    """A group of characters; `source` names its file, members the sources of their cards."""

    source: str
    name: str
    members: list[str]
    disabled: list[str]
    """Members that are muted."""
    chats: list[str]
    """The ids of its chats."""


class Binding(NamedTuple):
    """A book by its name, and what it belongs to."""

    book: str
    scope: Scope
    target: str
    """The character's name (its card's source for `card` and `extra`) or the persona's name."""


class Library:
    """One database beside the chats. Methods block."""

    def __init__(self, root: Path, whose_chats: WhoseChats) -> None:
        """`whose_chats` is asked where an older version did not tell. Raises NewerSchema, DataFolderError."""
        self._lock = threading.Lock()
        self._lore: dict[tuple[str, Cast, str], tuple[int, list[tuple[int, str]]]] = {}
        """What was found last, with how many changes there had been; the dict itself is never changed."""
        self._connection = open_database(root / FILE, LIBRARY_SCHEMA, LIBRARY_VERSION, LIBRARY_MIGRATIONS)
        self._connection.execute("PRAGMA secure_delete=ON")
        with transaction(self._connection):
            chat_books.take_over(self._connection, whose_chats)

    def put_character(self, owner: str, character: Character, now: float) -> bool:
        """Keep a card; whether it was new or changed."""
        text = json.dumps(character.card, ensure_ascii=False, sort_keys=True)
        row = (owner, character.source, character.name, text, _hash(text), now)
        return self._changes(
            "INSERT INTO characters(owner, source, name, card, hash, imported_at) VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT(owner, source) DO UPDATE SET name = excluded.name, card = excluded.card, "
            "hash = excluded.hash, imported_at = excluded.imported_at WHERE hash <> excluded.hash",
            row,
        )

    def _changes(self, statement: str, row: tuple[object, ...]) -> bool:
        with self._lock, transaction(self._connection):
            return self._connection.execute(statement, row).rowcount > 0

    def put_book(self, owner: str, book: Book, now: float) -> int:
        """Make a book what it is in its file; how many entries were new or changed."""
        with self._lock, transaction(self._connection):
            named = (owner, book.name, book.character)
            self._connection.execute(library_sql.KNOWN_NOW, (book.avatar, *named))
            [(only,)] = self._connection.execute(library_sql.ONLY_AVATAR, named)
            number = self._connection.execute(
                "INSERT INTO books(owner, name, character, avatar) VALUES (?, ?, ?, ?) "
                "ON CONFLICT DO UPDATE SET name = name RETURNING id",
                (*named, book.avatar or only),
            ).fetchone()[0]
            before = self._connection.total_changes
            self._connection.executemany(
                library_sql.PUT_ENTRY, [_entry_row(number, e, now) for e in book.entries]
            )
            changed = self._connection.total_changes - before
            self._connection.execute(
                "DELETE FROM lore WHERE book = ? AND uid NOT IN (SELECT value FROM json_each(?))",
                (number, json.dumps([entry.uid for entry in book.entries])),
            )
            return changed

    def bind(self, owner: str, book: str, scope: Scope, target: str) -> None:
        """Note that a book of this name belongs to a character."""
        self._changes("INSERT OR IGNORE INTO book_scopes VALUES (?, ?, ?, ?)", (owner, book, scope, target))

    def link(self, owner: str, book: str, source: str, name: str) -> None:
        """Note which book a card is linked to (none: the empty one), known by its file and its character's name."""
        with self._lock, transaction(self._connection):
            self._connection.execute(library_sql.UNLINK, (owner, source, name, book))
            if book:
                self._connection.execute(
                    "INSERT INTO book_scopes VALUES (?, ?, 'card', ?)", (owner, book, source)
                )

    def bind_chat(self, owner: str, bound: ChatBook) -> None:
        """Note that a book of this name belongs to a chat."""
        with self._lock, transaction(self._connection):
            chat_books.bind(self._connection, owner, bound)

    def rebind_chat(self, owner: str, chat_id: str, whose: Whose, book: str) -> None:
        """Make this the chat's only book; an empty name: it has none."""
        with self._lock, transaction(self._connection):
            chat_books.rebind(self._connection, owner, chat_id, whose, book)

    def rename_chat(self, owner: str, chat_id: str, whose: Whose, new_id: str, new: Whose) -> None:
        """Keep a chat's books where it, or its character, is called otherwise from now on."""
        with self._lock, transaction(self._connection):
            chat_books.rename(self._connection, owner, chat_id, whose, new_id, new)

    def forget_chat(self, owner: str, chat_id: str, whose: Whose) -> None:
        """Remove a chat's bindings; its name is left neither in the file nor beside it."""
        self.rebind_chat(owner, chat_id, whose, "")
        with self._lock:
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def chat_books(self, owner: str) -> list[ChatBook]:
        """Which books belong to which chats."""
        with self._lock:
            return chat_books.load(self._connection, owner)

    def rebind(self, owner: str, scope: Scope, bindings: Sequence[Binding]) -> int:
        """Make the bindings of a scope these; how many came or went."""
        of_scope = (owner, scope, json.dumps([[b.book, b.target] for b in bindings]))
        with self._lock, transaction(self._connection):
            before = self._connection.total_changes
            self._connection.execute(library_sql.UNBIND, of_scope)
            self._connection.executemany(
                "INSERT OR IGNORE INTO book_scopes VALUES (?, ?, ?, ?)", [(owner, *b) for b in bindings]
            )
            return self._connection.total_changes - before

    def put_group(self, owner: str, group: Group) -> bool:
        """Make a group what it is in its file; whether it was new or changed."""
        lists = [json.dumps(v, ensure_ascii=False) for v in (group.members, group.disabled, group.chats)]
        return self._changes(
            "INSERT INTO groups VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET name = excluded.name, "
            "members = excluded.members, disabled = excluded.disabled, chats = excluded.chats "
            "WHERE (name, members, disabled, chats) <> "
            "(excluded.name, excluded.members, excluded.disabled, excluded.chats)",
            (owner, group.source, group.name, *lists),
        )

    def groups(self, owner: str) -> list[Group]:
        """Every group, by source."""
        rows = self._look(
            "SELECT source, name, members, disabled, chats FROM groups WHERE owner = ? ORDER BY source", owner
        )
        return [Group(source, name, *map(json.loads, lists)) for source, name, *lists in rows]

    def members_of_chat(self, owner: str, chat_id: str) -> list[str]:
        """The names of the characters whose group has this chat; empty where none has."""
        rows = self._look(
            "SELECT coalesce(characters.name, member.value) FROM groups, json_each(members) member "
            "LEFT JOIN characters ON characters.owner = groups.owner AND characters.source = member.value "
            "WHERE groups.owner = ? AND ? IN (SELECT value FROM json_each(chats)) ORDER BY groups.source, key",
            owner,
            chat_id,
        )
        return list(dict.fromkeys(name for (name,) in rows))

    def characters(self, owner: str) -> list[Character]:
        """Every character, by source."""
        rows = self._look("SELECT source, name, card FROM characters WHERE owner = ? ORDER BY source", owner)
        return [Character(source, name, json.loads(card)) for source, name, card in rows]

    def books(self, owner: str) -> list[Book]:
        """Every book with its entries, by name."""
        rows = self._look(
            "SELECT id, name, character, avatar FROM books WHERE owner = ? ORDER BY 2, 3, 4", owner
        )
        return [Book(name, self._entries(number), *whose) for number, name, *whose in rows]

    def scopes(self, owner: str) -> list[Binding]:
        """Which books belong to what, besides chats."""
        rows = self._look(
            "SELECT book, scope, target FROM book_scopes WHERE owner = ? ORDER BY book, scope, target", owner
        )
        return [Binding(*row) for row in rows]

    def lore_of(self, owner: str, cast: Cast, chat_id: str = "") -> list[tuple[int, str]]:
        """Number and text of the enabled entries of the books of a character and of its chat, or of a group's
        chat, of the user's persona and of those chosen for everything, in order."""
        with self._lock:
            changes = self._connection.total_changes
            of_chat = chat_books.books_of(self._connection, owner, chat_id, cast)
        names = json.dumps(sorted(cast.names))
        found = self._look(
            library_sql.LORE, owner, names, json.dumps(sorted(of_chat)), cast.avatar, cast.user
        )
        asked = (owner, cast, chat_id)
        self._lore = {**(self._lore if len(self._lore) < MOST_CHATS else {}), asked: (changes, found)}
        return found

    def known_lore(self, owner: str, cast: Cast, chat_id: str = "") -> list[tuple[int, str]] | None:
        """What `lore_of` gave, without blocking; None where it was not asked for, or something changed since."""
        changes, found = self._lore.get((owner, cast, chat_id), (None, None))
        return found if changes == self._connection.total_changes else None

    def _entries(self, book: int) -> list[LoreEntry]:
        rows = self._look(
            "SELECT uid, content, keys, secondary_keys, comment, enabled, constant, insertion_order, details "
            "FROM lore WHERE book = ? ORDER BY id",
            book,
        )
        return [
            LoreEntry(
                u, text, json.loads(k), json.loads(s), note, bool(on), bool(always), order, json.loads(d)
            )
            for u, text, k, s, note, on, always, order, d in rows
        ]

    def _look(self, query: str, *given: object) -> list[Any]:  # Any: a row's columns
        with self._lock:
            return self._connection.execute(query, given).fetchall()

    def close(self) -> None:
        self._connection.close()


def _entry_row(book: int, entry: LoreEntry, now: float) -> tuple[object, ...]:
    e = entry
    lists = [json.dumps(value, ensure_ascii=False) for value in (e.keys, e.secondary_keys)]
    details = json.dumps(e.details, ensure_ascii=False, sort_keys=True)
    said = (book, e.uid, e.content, *lists, e.comment, e.enabled, e.constant, e.insertion_order, details)
    return (*said, _hash(json.dumps(asdict(entry), sort_keys=True)), now)


def _hash(text: str) -> str:
    return blake2b(text.encode(errors="surrogatepass"), digest_size=16).hexdigest()
