"""Lorebooks in their shapes: SillyTavern's world files, V3 lorebooks, and the book inside a card."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from graph.errors import BadRequest
from memory.library import Book, LoreEntry
from server.transfer.lines import clean, stripped

MOST_ENTRIES = 100_000
V3 = "lorebook_v3"
"""The `spec` of a lorebook by itself (Character Card V3), whose `data` is what a card has inside."""


def is_world(content: dict[str, Any]) -> bool:
    """Whether a JSON is a lorebook by itself (Any: JSON, here and below)."""
    is_of_sillytavern = isinstance(content.get("entries"), dict | list) and "data" not in content
    return is_of_sillytavern or content.get("spec") == V3


def read_world(content: dict[str, Any], name: str) -> Book:
    """The book of a file that `is_world`; raises BadRequest where it holds none."""
    book = content.get("data") if content.get("spec") == V3 else content
    if not isinstance(book, dict):
        raise BadRequest("The lorebook has no data.")
    title = stripped(book.get("name")) or name
    return Book(title or "World", _entries(book.get("entries")))


def read_card_book(content: dict[str, Any], character: str) -> Book | None:
    """The book inside a card, if it has one."""
    data = content.get("data")
    book = (data if isinstance(data, dict) else content).get("character_book")
    if not isinstance(book, dict):
        return None
    return Book(stripped(book.get("name")) or character, _entries(book.get("entries")), character)


def world_of_card(content: dict[str, Any]) -> str:
    """The name of the world file that a card is linked to; empty for none."""
    data = content.get("data")
    extensions = data.get("extensions") if isinstance(data, dict) else None
    return stripped(extensions.get("world")) if isinstance(extensions, dict) else ""


def _entries(entries: object) -> list[LoreEntry]:
    numbered: Iterable[tuple[object, object]]
    if isinstance(entries, dict):
        numbered = entries.items()
    else:
        numbered = enumerate(entries) if isinstance(entries, list) else ()
    found: dict[str, LoreEntry] = {}
    for number, entry in numbered:
        if isinstance(entry, dict) and stripped(entry.get("content")):
            read = _entry(entry, str(number))
            found[read.uid if read.uid not in found else f"{read.uid}-{number}"] = read
    if len(found) > MOST_ENTRIES:
        raise BadRequest(f"The lorebook has more than {MOST_ENTRIES} entries.")
    return [replace(entry, uid=uid) for uid, entry in found.items()]


def _entry(entry: dict[str, Any], number: str) -> LoreEntry:
    """Both shapes name the same things differently."""
    uid = entry.get("uid", entry.get("id"))
    order = entry.get("order", entry.get("insertion_order"))
    known = isinstance(order, int | float) and abs(order) < 1e15
    return LoreEntry(
        uid=str(uid) if isinstance(uid, int | str) and not isinstance(uid, bool) else number,
        content=clean(entry["content"]),
        keys=_texts(entry.get("key", entry.get("keys"))),
        secondary_keys=_texts(entry.get("keysecondary", entry.get("secondary_keys"))),
        comment=stripped(entry.get("comment")) or stripped(entry.get("name")),
        enabled=entry.get("disable") is not True and entry.get("enabled") is not False,
        constant=entry.get("constant") is True,
        insertion_order=float(order or 0) if known else 100.0,
        details=entry,
    )


def _texts(values: object) -> list[str]:
    given = values.split(",") if isinstance(values, str) else values if isinstance(values, list) else []
    return [text for value in given if (text := stripped(value))]
