"""The tables of a tree's file and of the catalog."""

from __future__ import annotations

TREE_VERSION = 6
TREE_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS meta(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    # `session` is the number of the session that stored the message; `twin` tells equal siblings apart that
    # stand on one path, which only moving messages about can bring forth.
    """CREATE TABLE IF NOT EXISTS messages(
        id INTEGER PRIMARY KEY AUTOINCREMENT, parent INTEGER, role TEXT NOT NULL, speaker TEXT NOT NULL,
        text TEXT NOT NULL, fingerprint INTEGER NOT NULL, twin INTEGER NOT NULL, unsettled INTEGER NOT NULL,
        emotion TEXT NOT NULL, confidence REAL NOT NULL, importance REAL NOT NULL,
        emotion_known INTEGER NOT NULL, session INTEGER NOT NULL, turn_id TEXT NOT NULL,
        created_at REAL NOT NULL)""",
    """CREATE UNIQUE INDEX IF NOT EXISTS messages_sibling
        ON messages(coalesce(parent, 0), role, fingerprint, twin)""",
    """CREATE TABLE IF NOT EXISTS sessions(
        number INTEGER PRIMARY KEY AUTOINCREMENT, session_id TEXT NOT NULL UNIQUE, chat_id TEXT NOT NULL,
        character TEXT NOT NULL, user_name TEXT NOT NULL, version INTEGER NOT NULL, forked_from TEXT NOT NULL,
        left_behind INTEGER NOT NULL, path TEXT NOT NULL, history_from INTEGER, last_turn_id TEXT NOT NULL,
        last_turn TEXT NOT NULL, created_at REAL NOT NULL, updated_at REAL NOT NULL,
        is_group INTEGER NOT NULL DEFAULT 0, person TEXT, avatar TEXT NOT NULL DEFAULT '', window_from INTEGER,
        window_tokens INTEGER NOT NULL DEFAULT 0)""",
    # Paragraphs that post-processing glued to messages: known ones are cut off before anything is stored.
    "CREATE TABLE IF NOT EXISTS glue(fingerprint INTEGER PRIMARY KEY)",
    """CREATE TABLE IF NOT EXISTS cards(
        id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, text TEXT NOT NULL,
        user_persona TEXT NOT NULL, hash TEXT NOT NULL, seen INTEGER NOT NULL, UNIQUE(name, hash))""",
    """CREATE TABLE IF NOT EXISTS card_chunks(
        id INTEGER PRIMARY KEY AUTOINCREMENT, card INTEGER NOT NULL REFERENCES cards ON DELETE CASCADE,
        text TEXT NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS card_chunks_card ON card_chunks(card)",
    """CREATE TABLE IF NOT EXISTS summaries(
        id INTEGER PRIMARY KEY AUTOINCREMENT, over TEXT NOT NULL, path_hash TEXT NOT NULL, text TEXT NOT NULL,
        source TEXT NOT NULL, created_at REAL NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS outbox(
        id INTEGER PRIMARY KEY AUTOINCREMENT, rank INTEGER NOT NULL, kind TEXT NOT NULL, ref INTEGER NOT NULL,
        payload TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, due_at REAL NOT NULL,
        reason TEXT NOT NULL DEFAULT '')""",
    "CREATE INDEX IF NOT EXISTS outbox_order ON outbox(rank, id)",
    "CREATE INDEX IF NOT EXISTS outbox_ref ON outbox(ref)",
    # Derived from the messages up to the newest, so that opening a large tree is quick (memory.tree_lines).
    """CREATE TABLE IF NOT EXISTS kept_lines(
        format TEXT NOT NULL, newest INTEGER NOT NULL, unsettled TEXT NOT NULL, arrays BLOB NOT NULL)""",
)
TREE_MIGRATIONS = {
    1: (
        "ALTER TABLE sessions ADD COLUMN is_group INTEGER NOT NULL DEFAULT 0",
        """UPDATE sessions SET is_group = 1 < (SELECT count(DISTINCT speaker) FROM messages
            WHERE role = 'assistant' AND speaker <> '')""",
    ),
    # Vectors are kept smaller, and everything gets token codes.
    2: (
        "DROP TABLE IF EXISTS vectors",
        """INSERT INTO outbox(rank, kind, ref, payload, due_at)
            SELECT 0, 'embed_message', id, '{}', 0 FROM messages WHERE id NOT IN
            (SELECT ref FROM outbox WHERE kind = 'embed_message')""",
        """INSERT INTO outbox(rank, kind, ref, payload, due_at)
            SELECT 0, 'embed_card', id, (SELECT json_object('chunks', json_group_array(card_chunks.id))
            FROM card_chunks WHERE card = cards.id), 0 FROM cards WHERE id NOT IN
            (SELECT ref FROM outbox WHERE kind = 'embed_card')""",
    ),
    3: ("ALTER TABLE sessions ADD COLUMN person TEXT",),
    4: ("ALTER TABLE sessions ADD COLUMN avatar TEXT NOT NULL DEFAULT ''",),
    5: (
        "ALTER TABLE sessions ADD COLUMN window_from INTEGER",
        "ALTER TABLE sessions ADD COLUMN window_tokens INTEGER NOT NULL DEFAULT 0",
    ),
}

CATALOG_VERSION = 4
CATALOG_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS trees(
        number INTEGER PRIMARY KEY, owner TEXT NOT NULL, tree_id TEXT NOT NULL, revision INTEGER NOT NULL,
        UNIQUE(owner, tree_id))""",
    """CREATE TABLE IF NOT EXISTS sessions(
        owner TEXT NOT NULL, session_id TEXT NOT NULL, tree INTEGER NOT NULL, chat_id TEXT NOT NULL,
        character TEXT NOT NULL, user_name TEXT NOT NULL, version INTEGER NOT NULL, length INTEGER NOT NULL,
        forked_from TEXT NOT NULL, left_behind INTEGER NOT NULL, created_at REAL NOT NULL,
        updated_at REAL NOT NULL, is_group INTEGER NOT NULL, person TEXT,
        avatar TEXT NOT NULL, PRIMARY KEY(owner, session_id)) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS sessions_tree ON sessions(tree)",
    "CREATE INDEX IF NOT EXISTS sessions_recent ON sessions(owner, updated_at)",
    "CREATE INDEX IF NOT EXISTS sessions_chat ON sessions(owner, chat_id, left_behind, updated_at)",
    """CREATE INDEX IF NOT EXISTS sessions_person
        ON sessions(owner, chat_id, user_name, character, left_behind, updated_at)""",
    """CREATE INDEX IF NOT EXISTS sessions_character
        ON sessions(owner, character, left_behind, is_group, updated_at)""",
    """CREATE TABLE IF NOT EXISTS pairs(
        pair INTEGER NOT NULL, seen INTEGER NOT NULL, tree INTEGER NOT NULL,
        PRIMARY KEY(pair, seen, tree)) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS pairs_tree ON pairs(tree)",
    """CREATE TABLE IF NOT EXISTS dirty(
        owner TEXT NOT NULL, tree_id TEXT NOT NULL, PRIMARY KEY(owner, tree_id)) WITHOUT ROWID""",
)

LIBRARY_VERSION = 4
_BOOKS = """books(
    id INTEGER PRIMARY KEY AUTOINCREMENT, owner TEXT NOT NULL, name TEXT NOT NULL,
    character TEXT NOT NULL, avatar TEXT NOT NULL, UNIQUE(owner, name, character, avatar))"""
_LORE = """lore(
    id INTEGER PRIMARY KEY AUTOINCREMENT, book INTEGER NOT NULL REFERENCES books ON DELETE CASCADE,
    uid TEXT NOT NULL, content TEXT NOT NULL, keys TEXT NOT NULL, secondary_keys TEXT NOT NULL,
    comment TEXT NOT NULL, enabled INTEGER NOT NULL, constant INTEGER NOT NULL,
    insertion_order REAL NOT NULL, details TEXT NOT NULL, hash TEXT NOT NULL, imported_at REAL NOT NULL,
    UNIQUE(book, uid))"""
_CHAT_BOOKS = """chat_books(
    owner TEXT NOT NULL, book TEXT NOT NULL, chat_id TEXT NOT NULL, character TEXT NOT NULL,
    is_group INTEGER NOT NULL, avatar TEXT NOT NULL,
    PRIMARY KEY(owner, chat_id, character, is_group, avatar, book)) WITHOUT ROWID"""
LIBRARY_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS characters(
        id INTEGER PRIMARY KEY AUTOINCREMENT, owner TEXT NOT NULL, source TEXT NOT NULL, name TEXT NOT NULL,
        card TEXT NOT NULL, hash TEXT NOT NULL, imported_at REAL NOT NULL, UNIQUE(owner, source))""",
    # `character` is empty for a book of its own, else the name of the character whose card holds it.
    f"CREATE TABLE IF NOT EXISTS {_BOOKS}",
    f"CREATE TABLE IF NOT EXISTS {_LORE}",
    # Since version 2; lists are JSON.
    """CREATE TABLE IF NOT EXISTS groups(
        owner TEXT NOT NULL, source TEXT NOT NULL, name TEXT NOT NULL, members TEXT NOT NULL,
        disabled TEXT NOT NULL, chats TEXT NOT NULL, PRIMARY KEY(owner, source)) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS book_scopes(
        owner TEXT NOT NULL, book TEXT NOT NULL, scope TEXT NOT NULL, target TEXT NOT NULL,
        PRIMARY KEY(owner, book, scope, target)) WITHOUT ROWID""",
    # Since version 3; before it they stood in book_scopes, without whose the chat is.
    f"CREATE TABLE IF NOT EXISTS {_CHAT_BOOKS}",
)
_OLD = "ALTER TABLE {0} RENAME TO old_{0}"
LIBRARY_MIGRATIONS = {
    2: ("CREATE TABLE chat_books(owner, book, chat_id, character, is_group)",),
    # Characters of one name are told apart by their avatars, which were not known.
    3: (
        *map(_OLD.format, ("lore", "books", "chat_books")),
        *(f"CREATE TABLE {table}" for table in (_BOOKS, _LORE, _CHAT_BOOKS)),
        "INSERT INTO books SELECT id, owner, name, character, '' FROM old_books",
        "INSERT INTO lore SELECT * FROM old_lore",
        "INSERT INTO chat_books SELECT owner, book, chat_id, character, is_group, '' FROM old_chat_books",
        *(f"DROP TABLE old_{table}" for table in ("lore", "books", "chat_books")),
    ),
}
