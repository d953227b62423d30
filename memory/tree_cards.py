"""The cards of one tree and their chunks."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from memory.chunks import chunk
from memory.stored import Card, CardChunk
from memory.tree_outbox import enqueue


def put(connection: sqlite3.Connection, card: Card, now: float) -> None:
    """Make this the latest card of its name; a new one is cut into chunks to be embedded."""
    seen = connection.execute("SELECT coalesce(max(seen), 0) + 1 FROM cards").fetchone()[0]
    known = connection.execute(
        "UPDATE cards SET seen = ?, user_persona = ? WHERE name = ? AND hash = ? RETURNING id",
        (seen, card.user_persona, card.name, card.hash),
    ).fetchall()
    if known:
        return
    row = connection.execute(
        "INSERT INTO cards(name, text, user_persona, hash, seen) VALUES (?, ?, ?, ?, ?) RETURNING id",
        (card.name, card.text, card.user_persona, card.hash, seen),
    ).fetchone()
    chunks = [
        connection.execute(
            "INSERT INTO card_chunks(card, text) VALUES (?, ?) RETURNING id", (row[0], text)
        ).fetchone()[0]
        for text in chunk(card.text)
    ]
    enqueue(connection, "embed_card", [row[0]], now, json.dumps({"chunks": chunks}))


def latest(connection: sqlite3.Connection, name: str) -> Card | None:
    """The card seen last, of this name or of any when it is empty."""
    row = connection.execute(
        "SELECT name, text, user_persona, hash FROM cards WHERE ?1 IN ('', name) ORDER BY seen DESC LIMIT 1",
        (name,),
    ).fetchone()
    return Card(*row) if row else None


def chunks(connection: sqlite3.Connection, ids: Sequence[int]) -> list[CardChunk]:
    """The chunks, in the order asked; unknown ones are left out."""
    found = {
        row[0]: CardChunk(*row)
        for row in connection.execute(
            "SELECT card_chunks.id, hash, card_chunks.text FROM card_chunks JOIN cards ON cards.id = card "
            "WHERE card_chunks.id IN (SELECT value FROM json_each(?))",
            (json.dumps(list(ids)),),
        )
    }
    return [found[i] for i in ids if i in found]
