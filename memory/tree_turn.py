"""What one turn adds to a tree: laid out against its shape first, then written in one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from memory.bulk import BulkWrite
from memory.glue import said_in
from memory.path import Path, PathBuilder
from memory.reuse import equal_child, same_reply, stored_again
from memory.stored import NewMessage, Session, TurnWrite
from memory.tree_bulk import Placed
from memory.tree_cards import put
from memory.tree_lines import forget
from memory.tree_outbox import enqueue
from memory.tree_sessions import Line, save_session
from memory.tree_shape import TreeShape


@dataclass(frozen=True, slots=True)
class Added:
    """A message that the turn stores."""

    id: int
    parent: int | None
    twin: int
    message: NewMessage


@dataclass(slots=True)
class LaidTurn:
    """A turn's path with real ids, and what has to be stored for it."""

    laid: PathBuilder = field(default_factory=PathBuilder)
    new_ids: list[int] = field(default_factory=list)
    reply_ids: list[int] = field(default_factory=list)
    added: dict[tuple[int | None, int], Added] = field(default_factory=dict)
    """What is stored anew, by parent and fingerprint."""


def lay(write: TurnWrite, shape: TreeShape, next_id: int, before: Path) -> LaidTurn:
    """Give every message of a turn its id; the work grows with the turn and the runs of its path.

    A reply was said just now: a phrase that was said elsewhere is another message, unless it replaces the same on
    the session's path `before`. Raises NotFound for an id that the tree does not hold.
    """
    turn = LaidTurn()
    given = Path([run for run in write.path if run[0] > 0])
    last_given = given[-1] if len(given) else None
    added: dict[int, int] = {}
    for first, last in write.path:
        if first > 0:
            shape.require(first, last)
            turn.laid.add(first, last)
        else:
            inner = last_given is not None and last_given not in turn.laid
            new = write.new[-first - 1]
            mark, speaker = new.fingerprint, new.speaker
            stored = stored_again(shape, turn.laid, given, mark, speaker, inner=inner, new=added)
            turn.new_ids.append(_placed(turn, new, stored, shape, next_id))
            if stored is None:
                added[turn.new_ids[-1]] = mark
            turn.laid.add(turn.new_ids[-1])
    for reply in write.replies:
        stored = equal_child(shape, turn.laid, given, reply.fingerprint, reply.speaker)
        if stored is None:
            stored = same_reply(shape, turn.laid, before, reply.fingerprint, reply.speaker)
        turn.reply_ids.append(_placed(turn, reply, stored, shape, next_id))
    if turn.reply_ids:
        turn.laid.add(turn.reply_ids[0])
    return turn


def _placed(turn: LaidTurn, message: NewMessage, stored: int | None, shape: TreeShape, next_id: int) -> int:
    """The id of a message after what is laid: a stored one's, or the next free one."""
    if stored is not None:
        return stored
    parent = turn.laid.last
    place = (parent, message.fingerprint)
    if place not in turn.added:
        twin = sum(shape.parent(i) == parent for i in shape.ids_of(message.fingerprint))
        turn.added[place] = Added(next_id + len(turn.added), parent, twin, message)
    return turn.added[place].id


def next_session(
    write: TurnWrite, turn: LaidTurn, old: Session | None, base: Session | None, now: float
) -> Session:
    """The session after the turn; what the request did not say stays as it was.

    Whose words a chat holds does not change by going on, nor by forking from `base`.
    """
    path = Path(turn.laid.ranges)
    start, shown = _id_at(path, write.history_from), _id_at(path, write.window_from)
    begun = old or base
    person = (begun.person if begun else "") or write.person
    if old is None:
        return Session(
            key=write.key,
            session_id=write.session_id,
            chat_id=write.chat_id,
            character=write.character,
            user_name=write.user_name,
            version=1,
            forked_from=write.forked_from,
            left_behind=False,
            is_group=write.is_group,
            person=person,
            avatar=write.avatar,
            created_at=now,
            updated_at=now,
            path=path,
            history_from=start,
            window_from=shown,
            window_tokens=write.window_tokens or 0,
        )
    return replace(
        old,
        chat_id=old.chat_id if old.was_live and old.chat_id else write.chat_id or old.chat_id,
        character=write.character or old.character,
        user_name=write.user_name or old.user_name,
        version=old.version + 1,
        left_behind=False,
        was_live=True,
        is_group=old.is_group or write.is_group,
        person=person,
        avatar=write.avatar or old.avatar,
        updated_at=now,
        path=path,
        history_from=old.history_from if write.history_from is None else start,
        window_from=old.window_from if write.window_from is None else shown,
        window_tokens=old.window_tokens if write.window_tokens is None else write.window_tokens,
    )


def _id_at(path: Path, position: int | None) -> int | None:
    return path[position] if position is not None and 0 <= position < len(path) else None


def write_turn(connection: sqlite3.Connection, write: TurnWrite, turn: LaidTurn, session: Session) -> Line:
    """Write session, messages, outbox and card; the caller holds the transaction."""
    line = save_session(connection, session, write.turn_id, turn.new_ids, turn.reply_ids)
    now, added = session.updated_at, turn.added.values()
    connection.executemany(
        "INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [_row(message, line.number, write.turn_id, now) for message in added],
    )
    enqueue(connection, "embed_message", [a.id for a in added], now)
    enqueue(connection, "read_emotion", [a.id for a in added if not a.message.emotion_known], now)
    if write.card is not None:
        put(connection, write.card, now)
    return line


def grow(shape: TreeShape, write: TurnWrite | BulkWrite, added: Iterable[Added | Placed]) -> None:
    """Bring the shape up to date with what was written."""
    for one in added:
        said = one.message
        shape.add(one.id, one.parent, said.role, said.fingerprint, said.speaker)
        if said.unsettled:
            shape.add_unsettled(one.id, said.text)
    for settled in write.settled:
        shape.settle(settled.id, settled.fingerprint)
    shape.add_glue(write.glue)
    for message_id, speaker in (*write.renamed, *write.respoken):
        shape.rename(message_id, speaker)


def settle(connection: sqlite3.Connection, write: TurnWrite | BulkWrite, now: float) -> None:
    """Replace the texts of settled messages and keep what was glued; the caller holds the transaction."""
    for said in write.settled:
        connection.execute(
            """UPDATE messages SET text = :text, fingerprint = :fingerprint, unsettled = 0, twin =
                (SELECT count(*) FROM messages other WHERE other.fingerprint = :fingerprint
                 AND other.parent IS messages.parent AND other.id <> messages.id)
            WHERE id = :id""",
            {"id": said.id, "text": said.text, "fingerprint": said.fingerprint},
        )
    enqueue(connection, "embed_message", [said.id for said in write.settled], now)
    connection.executemany("INSERT OR IGNORE INTO glue VALUES (?)", [(fp,) for fp in write.glue])


def rename(connection: sqlite3.Connection, write: TurnWrite | BulkWrite, now: float) -> None:
    """Write the names of speakers that are known now, before their texts too; the caller holds the transaction.

    Of what a message certainly says with its speaker known more may be searched, or less: then it is embedded again.
    """
    others = [message_id for message_id, _ in (*write.renamed, *write.respoken)]
    before = _certain(connection, others)
    for message_id, speaker in write.renamed:
        connection.execute(
            """UPDATE messages SET speaker = :name, text = CASE
                WHEN substr(ltrim(text), 1, length(speaker) + 1) = speaker || ':'
                THEN :name || substr(ltrim(text), length(speaker) + 1) ELSE text END
            WHERE id = :id""",
            {"id": message_id, "name": speaker},
        )
    for message_id, speaker in write.respoken:
        connection.execute("UPDATE messages SET speaker = ? WHERE id = ?", (speaker, message_id))
    if others:
        forget(connection, min(others))
        after = _certain(connection, others)
        enqueue(connection, "embed_message", [i for i in before if before[i] != after[i]], now)


def _certain(connection: sqlite3.Connection, ids: Iterable[int]) -> dict[int, str]:
    """What messages certainly say, by id."""
    query = "SELECT text, speaker, unsettled FROM messages WHERE id = ?"
    found = {i: connection.execute(query, (i,)).fetchone() for i in ids}
    return {i: said_in(row[0], row[1], is_certain=not row[2]) for i, row in found.items() if row}


def _row(added: Added, number: int, turn_id: str, now: float) -> tuple[object, ...]:
    m = added.message
    said = (m.role, m.speaker, m.text, m.fingerprint, added.twin, m.unsettled)
    felt = (m.emotion, m.confidence, m.importance, m.emotion_known)
    return (added.id, added.parent, *said, *felt, number, turn_id, now)
