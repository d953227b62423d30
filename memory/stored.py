"""What a transcript stores, what it is given to store, and what it tells of it.

A *tree* is everything that grew from one beginning of a chat; its messages never change. A *session* is one
path through a tree. Ids of messages are positive integers, unique within their tree, increasing in the order
of storing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from memory.path import Path, Ranges

JobKind = Literal["embed_message", "embed_card", "read_emotion", "summarise"]


@dataclass(frozen=True, slots=True)
class TreeKey:
    """Names a tree: the tenant and the tree's id (safe as a file name)."""

    owner: str
    tree_id: str


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message to be stored; `fingerprint` comes from `memory.align.fingerprint(role, text)`."""

    role: str
    speaker: str
    text: str
    fingerprint: int
    unsettled: bool = False
    emotion: str = "neutral"
    confidence: float = 0.0
    importance: float = 0.5
    emotion_known: bool = False
    """False: the emotion is read later, from the outbox."""


@dataclass(frozen=True, slots=True)
class Message:
    """A stored message; `created_at` in Unix seconds."""

    id: int
    parent: int | None
    role: str
    speaker: str
    text: str
    fingerprint: int
    unsettled: bool
    emotion: str
    confidence: float
    importance: float
    turn_id: str
    created_at: float


@dataclass(frozen=True, slots=True)
class Session:
    """One line through a tree. `version` grows by one with every stored turn."""

    key: TreeKey
    session_id: str
    chat_id: str
    character: str
    user_name: str
    version: int
    forked_from: str
    left_behind: bool
    """A fork without id left this line behind, or its id went on with another line; it can be taken up again."""
    is_group: bool
    """Several characters take part, whether they have spoken or not."""
    created_at: float
    updated_at: float
    path: Path
    history_from: int | None
    """Id of the message at which the prompt's history begins, held until it overflows."""
    window_from: int | None
    """Id of the message with which the last request's window began."""
    window_tokens: int
    """Of the largest request, as far as the front-end may send such a one still; 0: none is known."""
    person: str | None = ""
    """OpenAI's `user` as the requests first told it; None: stored before that was kept."""
    avatar: str = ""
    """What tells its character from others of the name (`memory.whose`), as it was last told."""
    was_live: bool = True
    """A turn was stored in it; where not, `chat_id` is the name of the file that it was imported from."""


@dataclass(frozen=True, slots=True)
class Card:
    """A character's definition as last seen; `hash` is blake2b-128 hex of its text."""

    name: str
    text: str
    user_persona: str
    hash: str


@dataclass(frozen=True, slots=True)
class Summary:
    """A summary and the messages it stands on (`over`, a run of the path)."""

    id: int
    over: Ranges
    text: str
    source: str
    """`model:<name>` or `extractive`."""
    created_at: float


@dataclass(frozen=True, slots=True)
class Job:
    """One row of the outbox.

    `ref`: message id, card row id (`payload`: chunks, the ids of its chunks) or the first message id of a
    summary's run (`payload`: session_id, over).
    """

    id: int
    kind: JobKind
    ref: int
    payload: dict[str, Any]
    attempts: int
    due_at: float


@dataclass(frozen=True, slots=True)
class Settled:
    """An unsettled message, and what of it was said as a later request shows."""

    id: int
    text: str
    fingerprint: int


@dataclass(frozen=True, slots=True)
class TurnWrite:
    """What one turn writes, in one transaction."""

    key: TreeKey
    session_id: str
    turn_id: str
    path: Ranges
    """The whole path up to the newest message: stored ids; a negative entry -i-1 stands for `new[i]`."""
    new: Sequence[NewMessage]
    """The messages of `path` that are not stored yet, in path order."""
    replies: Sequence[NewMessage]
    """The first goes on the path, the others are its siblings (swipes); may be empty."""
    chat_id: str = ""
    character: str = ""
    user_name: str = ""
    is_group: bool = False
    person: str = ""
    avatar: str = ""
    forked_from: str = ""
    """On the first write of a fork: the session left behind (it is marked so unless `chat_id` is set)."""
    card: Card | None = None
    """Set when the card is new or changed."""
    history_from: int | None = None
    """Position on `path` to be held as the start of the prompt's history."""
    window_from: int | None = None
    """Position on `path` of the window's first message."""
    window_tokens: int | None = None
    """As in `Session`."""
    settled: Sequence[Settled] = ()
    """Unsettled messages that are settled: their text is replaced in place, and embedded again."""
    glue: Sequence[int] = ()
    """Fingerprints (as of role `system`) of paragraphs that post-processing glues to messages."""
    renamed: Sequence[tuple[int, str]] = ()
    """Messages whose speakers' names are known now: they were stored as OpenAI's `name` field takes them, or by a
    name that led what was glued to the message. A name before their texts becomes theirs."""
    respoken: Sequence[tuple[int, str]] = ()
    """Messages that have other speakers now; a name that their texts begin with is part of what was said."""


@dataclass(frozen=True, slots=True)
class Committed:
    """What a turn's transaction left."""

    version: int
    path: Path
    new_ids: list[int]
    """Ids of `TurnWrite.new`, in order (existing ids where they were there already)."""
    reply_ids: list[int]


@dataclass(frozen=True, slots=True)
class CardChunk:
    """A piece of a card for the index; `id` is unique within its tree."""

    id: int
    card_hash: str
    text: str


@dataclass(frozen=True, slots=True)
class SessionPage:
    """A page of sessions, most recently updated first."""

    sessions: list[Session] = field(default_factory=list)
    total: int = 0
