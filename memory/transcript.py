"""The transcript: the truth of every chat. This module holds its words and its Protocol.

A *tree* is everything that grew from one beginning of a chat; its messages never change. A *session* is one
path through a tree. Ids of messages are positive integers, unique within their tree, increasing in the order
of storing. One SQLite file a tree (`memory.transcript_sqlite`); every key begins with the owner.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from memory.path import Path, Ranges

if TYPE_CHECKING:
    from memory.bulk import BulkDone, BulkMessage, BulkWrite, TreeOutline
    from memory.lines import TreeLines

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
    """A fork without id left this line behind (it can be taken up again)."""
    is_group: bool
    """Several characters take part, whether they have spoken or not."""
    created_at: float
    updated_at: float
    path: Path
    history_from: int | None
    """Id of the message at which the prompt's history begins, held until it overflows."""
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
    forked_from: str = ""
    """On the first write of a fork: the session left behind (it is marked so unless `chat_id` is set)."""
    card: Card | None = None
    """Set when the card is new or changed."""
    history_from: int | None = None
    """Position on `path` to be held as the start of the prompt's history."""
    settled: Sequence[Settled] = ()
    """Unsettled messages that are settled: their text is replaced in place, and embedded again."""
    glue: Sequence[int] = ()
    """Fingerprints (as of role `system`) of paragraphs that post-processing glues to messages."""


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


class TreeView(Protocol):
    """What `align` may ask of a tree without reading text."""

    def ids_of(self, fingerprint: int) -> Sequence[int]:
        """Ids of the tree's messages with this fingerprint, ascending."""
        ...

    def fingerprint(self, message_id: int) -> int: ...

    def role(self, message_id: int) -> str: ...

    def parent(self, message_id: int) -> int | None: ...

    def unsettled(self, message_id: int) -> bool: ...

    def within(self, fingerprint: int) -> Sequence[int]:
        """Ids of unsettled messages of which some paragraphs alone have this fingerprint."""
        ...

    def paragraphs(self, message_id: int) -> Sequence[str]:
        """The paragraphs of an unsettled message."""
        ...

    def glued_to(self, fingerprint: int) -> Sequence[int]:
        """Ids of unsettled messages that have this paragraph (as of role `system`) among others."""
        ...

    def is_glue(self, fingerprint: int) -> bool:
        """Whether a paragraph (fingerprint as of role `system`) is known as glued on."""
        ...


class Transcript(Protocol):
    """The store of trees. Every write is durable when it returns (synchronous=FULL)."""

    async def session(self, owner: str, session_id: str) -> Session | None: ...

    async def sessions(self, owner: str, *, limit: int = 100, offset: int = 0) -> SessionPage: ...

    async def lines(self, key: TreeKey) -> list[Session]:
        """The sessions of one tree, most recently updated first; an unknown tree has none."""
        ...

    async def tree(self, key: TreeKey) -> TreeView:
        """The tree's shape, cached while the tree is open; an unknown tree is empty."""
        ...

    async def tree_lines(self, key: TreeKey) -> TreeLines:
        """What ranking knows of the tree's messages, kept while the tree is open; unknown trees have none.

        Read in a thread when it is first asked for, a few seconds for a hundred thousand messages.
        """
        ...

    async def messages(self, key: TreeKey, ids: Sequence[int]) -> list[Message]:
        """The messages, in the order asked; an unknown id raises NotFound."""
        ...

    async def commit(self, write: TurnWrite) -> Committed:
        """Apply a turn in one transaction.

        Messages are idempotent by (parent, role, fingerprint): an equal sibling is used again, on a path or
        not, and so is a message that was hidden or edited away and comes back (`memory.reuse`). Every message
        stored anew gets an `embed_message` job, and a `read_emotion` job when its emotion is not known; a new
        card gets its row, its chunks and an `embed_card` job. Repeating a session's last turn (`turn_id`)
        leaves the same state and returns the same ids. Creates tree and session when they do not exist.
        """
        ...

    async def absorb(self, write: BulkWrite) -> BulkDone:
        """Add whole chats to a tree in one transaction, with their dates and jobs; raises NotFound for an
        unknown parent. Doing so again changes nothing."""
        ...

    async def dump(self, key: TreeKey, *, after: int, limit: int) -> list[BulkMessage]:
        """A page of everything kept of a tree's messages, in order of id, ids above `after`."""
        ...

    async def outline(self, key: TreeKey) -> TreeOutline:
        """Everything kept of a tree besides its messages and what is derived from them."""
        ...

    async def delete(self, owner: str, session_id: str) -> list[int]:
        """Remove a session and physically every message that no other session of the tree needs (the file,
        when it was the last). Returns the removed message ids; raises NotFound."""
        ...

    async def card(self, key: TreeKey, name: str = "") -> Card | None:
        """The latest card of this name in the tree (of any name when empty)."""
        ...

    async def card_chunks(self, key: TreeKey, ids: Sequence[int]) -> list[CardChunk]: ...

    async def summaries(self, key: TreeKey, path: Path) -> list[Summary]:
        """The summaries whose every message is on `path`, in path order, none overlapping."""
        ...

    async def add_summary(self, key: TreeKey, over: Ranges, text: str, source: str, job_id: int) -> None:
        """Store a summary and finish its job, in one transaction."""
        ...

    async def set_emotion(
        self, key: TreeKey, message_id: int, emotion: str, confidence: float, importance: float
    ) -> None: ...

    async def enqueue_summary(self, key: TreeKey, session_id: str, over: Ranges) -> int:
        """Add a `summarise` job for a run of the path, once (a waiting equal one is returned); its id."""
        ...

    async def jobs(self, key: TreeKey, *, limit: int, now: float) -> list[Job]:
        """The due jobs of a tree, embeddings first, oldest first."""
        ...

    async def finish_jobs(self, key: TreeKey, job_ids: Sequence[int]) -> None: ...

    async def postpone_job(self, key: TreeKey, job_id: int, due_at: float, reason: str) -> None: ...

    async def trees_with_jobs(self) -> list[TreeKey]:
        """Every tree that may have work in its outbox, at once after a restart too."""
        ...

    async def reindex_jobs(self) -> int:
        """Enqueue embeddings of everything stored, for `reindex`; the number of jobs."""
        ...

    async def close(self) -> None: ...
