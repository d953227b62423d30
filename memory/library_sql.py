"""The longer statements of the library."""

from __future__ import annotations

UNBIND = (
    "DELETE FROM book_scopes WHERE owner = ? AND scope = ? AND NOT EXISTS (SELECT 1 FROM json_each(?) "
    "WHERE json_extract(value, '$[0]') = book AND json_extract(value, '$[1]') = target)"
)
"""Bindings of a scope that are none of the given pairs of book and target."""
UNLINK = (
    "DELETE FROM book_scopes WHERE owner = ?1 AND (scope = 'card' AND target = ?2 "
    "OR scope = 'character' AND target = ?3 AND book = ?4)"
)
"""The books of a card, and the same book by its character's name."""
KNOWN_NOW = (
    "UPDATE OR IGNORE books SET avatar = ? WHERE owner = ? AND name = ? AND character = ? AND avatar = ''"
)
"""A character's book whose avatar was not known is that of the first one told."""
ONLY_AVATAR = (
    "SELECT iif(count(*) = 1, max(avatar), '') FROM books WHERE owner = ? AND name = ? AND character = ?"
)
"""The avatar of a character's only book of a name."""
LORE = (
    "WITH named AS (SELECT value FROM json_each(?2)), carded AS (SELECT ?4 WHERE ?4 <> '' UNION ALL "
    "SELECT source FROM characters, named WHERE ?4 = '' AND characters.owner = ?1 AND name = value) "
    "SELECT lore.id, content FROM lore JOIN books ON books.id = book WHERE owner = ?1 AND enabled "
    "AND (avatar = '' OR ?4 IN ('', avatar)) "
    "AND (character IN named OR name IN (SELECT value FROM json_each(?3)) "
    "OR EXISTS (SELECT 1 FROM book_scopes AS s WHERE s.owner = ?1 AND s.book = books.name AND "
    "((s.scope = 'character' OR s.scope = 'extra' AND ?4 = '') AND target IN named "
    "OR s.scope IN ('card', 'extra') AND target IN carded OR s.scope = 'global' "
    "OR s.scope = 'persona' AND target <> '' AND target = ?5))) "
    "ORDER BY lore.id"
)
"""By owner, names, the chat's books, avatar and the user's name; without an avatar a card's file is found by its
character's name."""
PUT_ENTRY = (
    "INSERT INTO lore(book, uid, content, keys, secondary_keys, comment, enabled, constant, insertion_order, "
    "details, hash, imported_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT(book, uid) DO UPDATE SET content = excluded.content, keys = excluded.keys, "
    "secondary_keys = excluded.secondary_keys, comment = excluded.comment, enabled = excluded.enabled, "
    "constant = excluded.constant, insertion_order = excluded.insertion_order, details = excluded.details, "
    "hash = excluded.hash, imported_at = excluded.imported_at WHERE hash <> excluded.hash"
)
