"""One open tree: its SQLite file, and its shape and sessions in RAM. Everything here blocks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path as FilePath

from memory import tree_bulk, tree_cards, tree_outbox, tree_summaries
from memory.bulk import BulkDone, BulkMessage, BulkWrite, TreeOutline
from memory.files import open_database, transaction
from memory.lines import TreeLines
from memory.path import Path, Ranges
from memory.schema import TREE_MIGRATIONS, TREE_SCHEMA, TREE_VERSION
from memory.stored import (
    Card,
    CardChunk,
    Job,
    Message,
    Session,
    Summary,
    TreeKey,
    TurnWrite,
)
from memory.tree_lines import forget, load_lines, told_of, with_more
from memory.tree_messages import load_messages, next_id, set_emotion, stored_at
from memory.tree_removal import remove_session
from memory.tree_sessions import Line, leave_behind, load_sessions
from memory.tree_shape import TreeShape, load_shape
from memory.tree_summaries import Summaries
from memory.tree_turn import grow, lay, next_session, rename, settle, write_turn
from memory.whose import has_id_of

CACHE_KIB = 256
"""Of SQLite's pages for each open tree; its default of 2,048 holds much of a chat of 1,000 messages, which the
operating system's cache does as well."""
MOST_CARDS = 64
"""Names of cards that are remembered of a tree."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What a commit changed."""

    line: Line
    sessions: list[Session]
    added: list[int]
    """Ids of the messages stored anew."""


class TreeFile:
    """Used by one thread at a time (`memory.open_trees`); what is in RAM changes only after a commit."""

    def __init__(self, path: FilePath, key: TreeKey, clock: Callable[[], float] = time.time) -> None:
        self.path = path
        self.key = key
        self.closed = False
        self._clock = clock
        self.shape: TreeShape | None = None
        """None: not loaded yet."""
        self.tree_lines: TreeLines | None = None
        """None: not asked for yet."""
        self.lines: dict[str, Line] = {}
        self._summaries: Summaries | None = None
        self.cards: dict[str, Card | None] = {}
        """The latest cards by the names that were asked for; what is there is never changed."""
        self._connection = open_database(path, TREE_SCHEMA, TREE_VERSION, TREE_MIGRATIONS)
        self._connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        self._read_meta()

    def _read_meta(self) -> None:
        with transaction(self._connection):
            self._connection.executemany(
                "INSERT OR IGNORE INTO meta VALUES (?, ?)",
                [("owner", self.key.owner), ("tree_id", self.key.tree_id), ("revision", "0")],
            )
        self.revision = int(
            self._connection.execute("SELECT value FROM meta WHERE name = 'revision'").fetchone()[0]
        )
        self.lines = {line.session.session_id: line for line in load_sessions(self._connection, self.key)}

    def loaded_shape(self) -> TreeShape:
        if self.shape is None:
            self.shape = load_shape(self._connection)
        return self.shape

    def loaded_tree_lines(self) -> TreeLines:
        if self.tree_lines is None:
            self.tree_lines = load_lines(self._connection)
        return self.tree_lines

    def messages(self, ids: Sequence[int]) -> list[Message]:
        """In the order asked; raises NotFound for an unknown id."""
        return load_messages(self._connection, ids)

    def commit(self, write: TurnWrite) -> Applied:
        """Apply a turn; again it changes nothing, unless it had another outcome (a run that was rewound)."""
        old = self.lines.get(write.session_id)
        shape = self.loaded_shape()
        before = old.session.path if old else Path([])
        turn = lay(write, shape, next_id(self._connection), before)
        again = old is not None and bool(write.turn_id) and old.last_turn_id == write.turn_id
        if old is not None and again and not turn.added and turn.laid.ranges == old.session.path.ranges:
            return Applied(old, [], [])
        known, base = (line.session if line else None for line in (old, self.lines.get(write.forked_from)))
        session = next_session(write, turn, known, base, self._clock())
        with self._change():
            line = write_turn(self._connection, write, turn, session)
            settle(self._connection, write, session.updated_at)
            rename(self._connection, write, self._clock())
            behind = [leave_behind(self._connection, one) for one in self._left_by(write, session)]
        self.cards = {} if write.card else self.cards
        grow(shape, write, turn.added.values())
        new = [told_of(a.id, a.message, session.updated_at) for a in turn.added.values()]
        others_spoke = write.renamed or write.respoken
        self.tree_lines = None if others_spoke else with_more(self.tree_lines, new, write.settled)
        changed = [*behind, line]
        self.lines |= {c.session.session_id: c for c in changed}
        return Applied(line, [c.session for c in changed], [added.id for added in turn.added.values()])

    def leave_behind(self, session_id: str) -> Applied | None:
        """Mark a line as left; None where there is none to be marked."""
        line = self.lines.get(session_id)
        if line is None or line.session.left_behind:
            return None
        with self._change():
            left = leave_behind(self._connection, line)
        self.lines[session_id] = left
        return Applied(left, [left.session], [])

    def absorb(self, write: BulkWrite) -> tuple[BulkDone, Applied | None]:
        """Apply a bulk write; None as well when nothing of it was new."""
        shape = self.loaded_shape()
        laid = tree_bulk.lay_bulk(write, shape, next_id(self._connection))
        sessions = []
        for given in write.sessions:
            old = self.lines.get(given.session_id)
            session = tree_bulk.next_line(self.key, given, laid, old.session if old else None)
            sessions += [] if session is None else [(given, session)]
        others_spoke = write.renamed or write.respoken
        beside = write.cards or write.summaries or write.glue or write.settled or others_spoke
        if not sessions and not laid.added and not beside:
            return BulkDone(laid.ids), None
        numbers = {line.session.session_id: line.number for line in self.lines.values()}
        with self._change():
            lines = tree_bulk.write_bulk(self._connection, write, laid, sessions, numbers, self._clock())
            settle(self._connection, write, self._clock())
            rename(self._connection, write, self._clock())
        self.cards = {} if write.cards else self.cards
        grow(shape, write, laid.added)
        new = [told_of(p.id, p.message, p.message.created_at) for p in laid.added]
        self.tree_lines = None if others_spoke else with_more(self.tree_lines, new, write.settled)
        self.lines |= {line.session.session_id: line for line in lines}
        self._summaries = None
        changed = [line.session for line in lines]
        applied = Applied(self.lines[write.sessions[0].session_id], changed, [p.id for p in laid.added])
        return BulkDone(laid.ids, {p.id for p in laid.added}, changed, len(write.settled)), applied

    def dump(self, after: int, limit: int) -> list[BulkMessage]:
        return tree_bulk.read_messages(self._connection, after, limit)

    def outline(self) -> TreeOutline:
        return tree_bulk.outline(self._connection, self.lines.values())

    def _left_by(self, write: TurnWrite, session: Session) -> list[Line]:
        """The lines that are left behind: what had the session's id until now, for an id goes on with one line,
        and what a fork without id comes from."""
        others = [line for name, line in self.lines.items() if name != write.session_id]
        left = [line for line in others if has_id_of(line.session, session)]
        base = self.lines.get(write.forked_from) if write.session_id not in self.lines else None
        if base is not None and not write.chat_id:
            left.append(base)
        return [line for line in left if not line.session.left_behind]

    @contextmanager
    def _change(self) -> Iterator[None]:
        """A transaction that makes the tree newer than what the catalog knows of it."""
        with transaction(self._connection):
            yield
            self._connection.execute(
                "UPDATE meta SET value = ? WHERE name = 'revision'", (str(self.revision + 1),)
            )
        self.revision += 1

    def remove(self, session_id: str) -> list[int]:
        """Remove a session that is not the last, and the messages only it needs; their ids."""
        line = self.lines[session_id]
        others = [other for other in self.lines.values() if other is not line]
        self._connection.execute("PRAGMA secure_delete=ON")
        with self._change():
            removed = remove_session(self._connection, line, others)
            forget(self._connection)
        self.empty_journal()
        self._connection.execute("PRAGMA secure_delete=OFF")
        del self.lines[session_id]
        self.shape, self.tree_lines, self._summaries, self.cards = None, None, None, {}
        return removed

    def card(self, name: str) -> Card | None:
        found = tree_cards.latest(self._connection, name)
        self.cards = {**(self.cards if len(self.cards) < MOST_CARDS else {}), name: found}
        return found

    def card_chunks(self, ids: Sequence[int]) -> list[CardChunk]:
        return tree_cards.chunks(self._connection, ids)

    def summaries(self, path: Path) -> list[Summary]:
        if self._summaries is None:
            self._summaries = Summaries(tree_summaries.load(self._connection))
        return self._summaries.standing(path)

    def known_summaries(self, path: Path) -> list[Summary] | None:
        """The same from RAM, without the tree's lock; None where it is not known."""
        summaries = self._summaries
        return None if summaries is None else summaries.known(path)

    def add_summary(self, over: Ranges, text: str, source: str, job_id: int) -> None:
        """Nothing is stored of messages that were removed while the summary was written."""
        shape = self.loaded_shape()
        there = all(i in shape for first, last in over for i in range(first, last + 1))
        with transaction(self._connection):
            if there:
                added = tree_summaries.add(self._connection, over, text, source, self._clock())
            tree_outbox.finish(self._connection, [job_id])
        if there and self._summaries is not None:
            self._summaries = self._summaries.and_one(added)

    def set_emotion(self, message_id: int, emotion: str, confidence: float, importance: float) -> None:
        with transaction(self._connection):
            felt = set_emotion(self._connection, message_id, emotion, confidence, importance)
            forget(self._connection, message_id)
        if felt and self.tree_lines is not None:
            self.tree_lines.feel(message_id, emotion, importance)

    def enqueue_summary(self, session_id: str, over: Ranges) -> int:
        with transaction(self._connection):
            return tree_outbox.enqueue_summary(self._connection, session_id, over, self._clock())

    def jobs(self, limit: int, now: float) -> list[Job]:
        return tree_outbox.due(self._connection, limit, now)

    def finish_jobs(self, job_ids: Sequence[int]) -> None:
        with transaction(self._connection):
            tree_outbox.finish(self._connection, job_ids)

    def postpone_job(self, job_id: int, due_at: float, reason: str) -> None:
        tree_outbox.postpone(self._connection, job_id, due_at, reason)

    def enqueue_all(self) -> int:
        with transaction(self._connection):
            return tree_outbox.enqueue_all(self._connection, self._clock())

    def outbox_is_empty(self) -> bool:
        return tree_outbox.is_empty(self._connection)

    def empty_journal(self) -> None:
        """Move everything into the file itself; a hundred open chats would hold a journal each."""
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def stored_at(self, ids: Sequence[int] | None = None) -> list[tuple[int, float]]:
        """Id and time of storing of these messages, or of all, in order of id."""
        return stored_at(self._connection, ids)

    def close(self) -> None:
        self.closed = True
        self._connection.close()
