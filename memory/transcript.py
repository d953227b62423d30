"""The transcript: the truth of every chat. Its words are those of `memory.stored`.

One SQLite file a tree (`memory.transcript_sqlite`); every key begins with the owner.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from memory.bulk import BulkDone, BulkMessage, BulkWrite, TreeOutline
from memory.lines import TreeLines
from memory.path import Path, Ranges
from memory.stored import (
    Card,
    CardChunk,
    Committed,
    Job,
    Message,
    Session,
    SessionPage,
    Summary,
    TreeKey,
    TurnWrite,
)


class TreeView(Protocol):
    """What `align` may ask of a tree without reading text."""

    def ids_of(self, fingerprint: int) -> Sequence[int]:
        """Ids of the tree's messages with this fingerprint, ascending."""
        ...

    def __contains__(self, message_id: int) -> bool: ...

    def fingerprint(self, message_id: int) -> int: ...

    def fingerprints_of(self, message_id: int) -> list[int]:
        """The fingerprint that a message has, and those it may turn out to have."""
        ...

    def role(self, message_id: int) -> str: ...

    def speaker(self, message_id: int) -> str:
        """Its speaker's name, empty where that is not known."""
        ...

    def speakers(self, role: str) -> Sequence[str]:
        """The names of those who spoke in this role, in order of their first message."""
        ...

    def parent(self, message_id: int) -> int | None: ...

    def unsettled(self, message_id: int) -> bool: ...

    def within(self, fingerprint: int) -> Sequence[int]:
        """Ids of unsettled messages of which some paragraphs alone have this fingerprint."""
        ...

    def paragraphs(self, message_id: int) -> Sequence[str]:
        """The paragraphs of an unsettled message."""
        ...

    def is_led(self, message_id: int) -> bool:
        """Whether its speaker's name leads the text of an unsettled message."""
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

    async def leave_behind(self, owner: str, session_id: str) -> None:
        """Mark a session as one that its chat left, until a turn goes on with it; nothing where it is none."""
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
