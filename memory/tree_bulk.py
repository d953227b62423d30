"""Bulk writing and reading of one tree: laid out against its shape first, then in one transaction."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from memory import tree_cards, tree_summaries
from memory.bulk import BulkMessage, BulkSummary, BulkWrite, SessionLine, TreeOutline, line_of
from memory.path import Path, PathBuilder, Ranges
from memory.stored import Card, Session, TreeKey
from memory.tree_outbox import enqueue
from memory.tree_sessions import Line, save_session
from memory.tree_shape import TreeShape

BATCH = 1000
"""Messages written between two words about it."""
_PLACES = ", ".join("?" * 15)
_COLUMNS = (
    "messages.id, parent, role, speaker, text, fingerprint, messages.created_at, "
    "coalesce(session_id, ''), turn_id, unsettled, emotion, confidence, importance, emotion_known"
)


@dataclass(frozen=True, slots=True)
class Placed:
    """A message that is stored anew."""

    id: int
    parent: int | None
    twin: int
    message: BulkMessage


@dataclass(slots=True)
class LaidBulk:
    """The ids of a write's messages, and those of them that have to be stored."""

    ids: list[int] = field(default_factory=list)
    added: list[Placed] = field(default_factory=list)

    def real(self, reference: int) -> int:
        return self.ids[-reference - 1] if reference < 0 else reference

    def path(self, ranges: Ranges) -> Path:
        laid = PathBuilder()
        for first, last in ranges:
            if first < 0:
                laid.add(self.real(first))
            else:
                laid.add(first, last)
        return Path(laid.ranges)


def lay_bulk(write: BulkWrite, shape: TreeShape, next_id: int) -> LaidBulk:
    """Give every message its id: that of an equal child of the same parent, else a free one.

    Of several equal children the n-th is the n-th stored one; none is what the write's paths have elsewhere. Raises
    NotFound for an unknown parent.
    """
    given = [Path([run for run in line.path if run[0] > 0]) for line in write.sessions]
    laid = LaidBulk()
    keeps_ids = next_id == 1
    seen: Counter[tuple[int | None, str, int]] = Counter()
    fresh: set[int] = set()
    for message in write.new:
        parent = None if message.parent is None else laid.real(message.parent)
        if parent is not None and parent not in fresh:
            shape.require(parent)
        place = (parent, message.role, message.fingerprint)
        twin, seen[place] = seen[place], seen[place] + 1
        stored = _children(shape, *place) if parent not in fresh else []
        free = [i for i in stored if not any(i in path for path in given)]
        if twin < len(free):
            laid.ids.append(free[twin])
            continue
        wished = message.id if keeps_ids and message.id >= next_id else next_id
        next_id = wished + 1
        fresh.add(wished)
        laid.ids.append(wished)
        laid.added.append(Placed(wished, parent, twin + len(stored) - len(free), message))
    return laid


def _children(shape: TreeShape, parent: int | None, role: str, fingerprint: int) -> list[int]:
    """Stored messages that say the same after the same, in order of storing."""
    return [i for i in shape.ids_of(fingerprint) if shape.parent(i) == parent and shape.role(i) == role]


def next_line(key: TreeKey, line: SessionLine, laid: LaidBulk, old: Session | None) -> Session | None:
    """The session as it is to be; None when the stored one stays."""
    path = laid.path(line.path)
    if old is not None and (0 < line.version <= old.version or (not line.version and _same(old, line, path))):
        return None
    return Session(
        key=key,
        session_id=line.session_id,
        chat_id=line.chat_id or (old.chat_id if old else ""),
        character=line.character or (old.character if old else ""),
        user_name=line.user_name or (old.user_name if old else ""),
        version=line.version or (old.version + 1 if old else 1),
        forked_from=old.forked_from if old and line.version else line.forked_from,
        left_behind=line.left_behind,
        is_group=line.is_group or (old is not None and old.is_group),
        person=line.person or (old.person if old else line.person),
        avatar=line.avatar if line.avatar is not None else old.avatar if old else "",
        created_at=old.created_at if old else line.created_at,
        updated_at=max(line.updated_at, old.updated_at) if old else line.updated_at,
        path=path,
        history_from=None if line.history_from is None else laid.real(line.history_from),
        window_from=None if line.window_from is None else laid.real(line.window_from),
        window_tokens=line.window_tokens,
        was_live=bool(line.last_turn_id) if line.version else old is not None and old.was_live,
    )


def _same(old: Session, line: SessionLine, path: Path) -> bool:
    named = line.chat_id in ("", old.chat_id) and line.character in ("", old.character)
    named = named and line.avatar in (None, old.avatar)
    stands = line.forked_from == old.forked_from and line.left_behind == old.left_behind
    return named and stands and path.ranges == old.path.ranges


def write_bulk(
    connection: sqlite3.Connection,
    write: BulkWrite,
    laid: LaidBulk,
    sessions: Sequence[tuple[SessionLine, Session]],
    numbers: Mapping[str, int],
    now: float,
) -> list[Line]:
    """Write sessions, messages, outbox, cards and summaries; the caller holds the transaction.

    `numbers` are those of the sessions that are stored already.
    """
    lines = []
    for line, session in sessions:
        turn = _last_turn(connection, line, laid)
        lines.append(save_session(connection, session, *turn))
        connection.execute(
            "UPDATE sessions SET forked_from = ? WHERE number = ?", (session.forked_from, lines[-1].number)
        )
    known = dict(numbers) | {line.session.session_id: line.number for line in lines}
    for start in range(0, len(laid.added), BATCH):
        batch = laid.added[start : start + BATCH]
        connection.executemany(
            f"INSERT INTO messages VALUES ({_PLACES})", [_row(placed, known) for placed in batch]
        )
        if write.written is not None:
            write.written(len(batch))
    enqueue(connection, "embed_message", [p.id for p in laid.added], now)
    enqueue(connection, "read_emotion", [p.id for p in laid.added if not p.message.emotion_known], now)
    for card in write.cards:
        if not _has_card(connection, card):
            tree_cards.put(connection, card, now)
    _add_summaries(connection, write.summaries, laid)
    connection.executemany("INSERT OR IGNORE INTO glue VALUES (?)", [(mark,) for mark in write.glue])
    return lines


def _last_turn(
    connection: sqlite3.Connection, line: SessionLine, laid: LaidBulk
) -> tuple[str, list[int], list[int]]:
    """Id, new messages and replies of a session's last turn: the stored one's where the line tells none."""
    if not line.version:
        row = connection.execute(
            "SELECT last_turn_id, last_turn FROM sessions WHERE session_id = ?", (line.session_id,)
        ).fetchone()
        turn_id, last = row or ("", '{"new": [], "replies": []}')
        told = json.loads(last)
        return turn_id, told["new"], told["replies"]
    return line.last_turn_id, [laid.real(i) for i in line.last_new], [laid.real(i) for i in line.last_replies]


def _row(placed: Placed, numbers: Mapping[str, int]) -> tuple[object, ...]:
    m = placed.message
    said = (m.role, m.speaker, m.text, m.fingerprint, placed.twin, m.unsettled)
    felt = (m.emotion, m.confidence, m.importance, m.emotion_known)
    return (placed.id, placed.parent, *said, *felt, numbers.get(m.session, 0), m.turn_id, m.created_at)


def _has_card(connection: sqlite3.Connection, card: Card) -> bool:
    row = connection.execute("SELECT 1 FROM cards WHERE name = ? AND hash = ?", (card.name, card.hash))
    return row.fetchone() is not None


def _add_summaries(connection: sqlite3.Connection, summaries: Iterable[BulkSummary], laid: LaidBulk) -> None:
    known = {(s.text, json.dumps(s.over)) for s in tree_summaries.load(connection)}
    for summary in summaries:
        over = laid.path(summary.over).ranges
        if (summary.text, json.dumps(over)) not in known:
            tree_summaries.add(connection, over, summary.text, summary.source, summary.created_at)


def read_messages(connection: sqlite3.Connection, after: int, limit: int) -> list[BulkMessage]:
    """A page of the tree's messages in order of id, those with an id above `after`."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM messages LEFT JOIN sessions ON number = session "
        "WHERE messages.id > ? ORDER BY messages.id LIMIT ?",
        (after, limit),
    )
    return [
        BulkMessage(parent, role, speaker, text, mark, at, i, stored_by, turn, bool(u), e, c, w, bool(k))
        for i, parent, role, speaker, text, mark, at, stored_by, turn, u, e, c, w, k in rows
    ]


def outline(connection: sqlite3.Connection, lines: Iterable[Line]) -> TreeOutline:
    """Everything of the tree besides its messages."""
    cards = connection.execute("SELECT name, text, user_persona, hash FROM cards ORDER BY seen")
    summaries = tree_summaries.load(connection)
    return TreeOutline(
        [session_line(line) for line in lines],
        [Card(*row) for row in cards],
        [BulkSummary(s.over, s.text, s.source, s.created_at) for s in summaries],
        [mark for (mark,) in connection.execute("SELECT fingerprint FROM glue ORDER BY fingerprint")],
    )


def session_line(line: Line) -> SessionLine:
    """A stored session as it is written in bulk."""
    return replace(
        line_of(line.session),
        version=line.session.version,
        last_turn_id=line.last_turn_id,
        last_new=line.last_new,
        last_replies=line.last_replies,
    )
