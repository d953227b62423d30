"""What is written and read in bulk: whole chats with their siblings and dates, for import and export."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, field

from memory.path import Ranges
from memory.stored import Card, Session, Settled, TreeKey


@dataclass(frozen=True, slots=True)
class BulkMessage:
    """A message with everything that is kept of it; `created_at` in Unix seconds.

    `parent`: a stored message; a negative one -i-1 stands for `BulkWrite.new[i]`, which comes before it.
    """

    parent: int | None
    role: str
    speaker: str
    text: str
    fingerprint: int
    created_at: float
    id: int = 0
    """Its id; in a write the one it is to have in a tree that holds no message yet (0: the next)."""
    session: str = ""
    """The session that stored it; empty where that is gone."""
    turn_id: str = ""
    unsettled: bool = False
    emotion: str = "neutral"
    confidence: float = 0.0
    importance: float = 0.5
    emotion_known: bool = False


@dataclass(frozen=True, slots=True)
class SessionLine:
    """A session; references to messages are as in `BulkMessage.parent`, path runs of one where negative."""

    session_id: str
    path: Ranges
    created_at: float
    updated_at: float
    version: int = 0
    """Takes the place of a stored session of a lower version; 0: of any, as its next version, and tells its
    origin, but no turn of it: the stored session's last one stays."""
    chat_id: str = ""
    character: str = ""
    user_name: str = ""
    forked_from: str = ""
    left_behind: bool = False
    is_group: bool = False
    person: str | None = ""
    avatar: str | None = None
    """None: it is not told, and stays as it was."""
    history_from: int | None = None
    window_from: int | None = None
    window_tokens: int = 0
    last_turn_id: str = ""
    last_new: Sequence[int] = ()
    last_replies: Sequence[int] = ()


def line_of(session: Session) -> SessionLine:
    """A session as it is, of version 0 and without its last turn."""
    return SessionLine(
        session_id=session.session_id,
        path=session.path.ranges,
        created_at=session.created_at,
        updated_at=session.updated_at,
        chat_id=session.chat_id,
        character=session.character,
        user_name=session.user_name,
        forked_from=session.forked_from,
        left_behind=session.left_behind,
        is_group=session.is_group,
        person=session.person,
        avatar=session.avatar,
        history_from=session.history_from,
        window_from=session.window_from,
        window_tokens=session.window_tokens,
    )


@dataclass(frozen=True, slots=True)
class BulkSummary:
    """A summary and the messages it stands on, references as in `SessionLine.path`."""

    over: Ranges
    text: str
    source: str
    created_at: float


@dataclass(frozen=True, slots=True)
class BulkWrite:
    """What one transaction adds to a tree; what the tree holds already is not stored again."""

    key: TreeKey
    sessions: Sequence[SessionLine]
    new: Sequence[BulkMessage]
    cards: Sequence[Card] = ()
    """Oldest first."""
    summaries: Sequence[BulkSummary] = ()
    glue: Sequence[int] = ()
    settled: Sequence[Settled] = ()
    renamed: Sequence[tuple[int, str]] = ()
    respoken: Sequence[tuple[int, str]] = ()
    """Messages that have other speakers, as `TurnWrite` has them."""
    written: Callable[[int], None] | None = None
    """Told now and then, by the writing thread, how many more messages are written."""


@dataclass(frozen=True, slots=True)
class BulkDone:
    """What a bulk write left; `ids` are those of `BulkWrite.new`, `sessions` those that changed."""

    ids: list[int]
    added_ids: Set[int] = frozenset()
    """Those of `ids` that were stored anew."""
    sessions: list[Session] = field(default_factory=list)
    settled: int = 0
    """How many unsettled messages were settled, and are to be embedded."""

    @property
    def added(self) -> int:
        return len(self.added_ids)


@dataclass(frozen=True, slots=True)
class TreeOutline:
    """Everything of a tree besides its messages, oldest first."""

    sessions: list[SessionLine] = field(default_factory=list)
    cards: list[Card] = field(default_factory=list)
    summaries: list[BulkSummary] = field(default_factory=list)
    glue: list[int] = field(default_factory=list)
    """Fingerprints of paragraphs that post-processing glues to messages."""
