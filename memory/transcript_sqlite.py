"""The transcript over SQLite: one file a tree, every write durable, nothing of it on the event loop."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path as FilePath
from typing import Concatenate, ParamSpec, TypeVar

from graph.errors import NotFound
from memory.bulk import BulkDone, BulkMessage, BulkWrite, TreeOutline
from memory.catalog import Catalog, remove_database
from memory.lines import TreeLines
from memory.open_trees import OpenTrees
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
from memory.transcript import TreeView
from memory.tree_file import Applied, TreeFile
from memory.tree_record import record_of
from memory.tree_shape import NO_TREE

log = logging.getLogger(__name__)
THREADS = 4
OPEN_TREES = 64

P = ParamSpec("P")
T = TypeVar("T")


class SqliteTranscript:
    """`Transcript` over OWNER/TREE.sqlite below a data folder, found through the catalog."""

    def __init__(self, root: FilePath, catalog: Catalog, open_trees: int, clock: Callable[[], float]) -> None:
        self._catalog = catalog
        self._trees = OpenTrees(root, open_trees, self._catch_up, clock)
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="transcript")
        self._homes: dict[tuple[str, str], TreeKey] = {}
        """Where the sessions used so far live."""

    @classmethod
    async def open(
        cls,
        root: FilePath,
        catalog: Catalog,
        open_trees: int = OPEN_TREES,
        clock: Callable[[], float] = time.time,
    ) -> SqliteTranscript:
        """Open the transcript; trees that were changing when the last process ended are catalogued anew.

        `clock` dates what is stored, in Unix seconds.
        """
        transcript = cls(root, catalog, open_trees, clock)
        await transcript._in_thread(transcript._recover)
        return transcript

    async def _in_thread(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, lambda: call(*args, **kwargs))

    async def _with_tree(
        self,
        key: TreeKey,
        call: Callable[Concatenate[TreeFile, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T | None:
        """The call's result under the tree's lock; None where the tree does not exist."""

        def locked() -> T | None:
            with self._trees.use(key) as tree:
                return None if tree is None else call(tree, *args, **kwargs)

        return await self._in_thread(locked)

    def _recover(self) -> None:
        for key in self._catalog.dirty():
            with self._trees.use(key) as tree:
                if tree is None or not tree.lines:
                    self._discard(key, tree)
                elif tree.outbox_is_empty():
                    self._catalog.unmark(key)

    def _catch_up(self, tree: TreeFile) -> None:
        """A tree that is newer than the catalog is catalogued anew; one with jobs is marked.

        Bringing an older file up to date gives it jobs.
        """
        if not tree.outbox_is_empty():
            self._catalog.mark(tree.key)
        if tree.lines and self._catalog.revision(tree.key) != tree.revision:
            self._catalog.record(record_of(tree), whole=True)

    def _discard(self, key: TreeKey, tree: TreeFile | None) -> None:
        """Remove a tree that holds no session (any more)."""
        if tree is not None:
            tree.close()
            remove_database(tree.path)
        self._catalog.forget(key)

    async def session(self, owner: str, session_id: str) -> Session | None:
        home = self._homes.get((owner, session_id))
        tree = self._trees.held(home) if home else None
        if tree is not None and session_id in tree.lines:
            return tree.lines[session_id].session
        return await self._in_thread(self._session, owner, session_id)

    def _session(self, owner: str, session_id: str) -> Session | None:
        key = self._catalog.tree_of(owner, session_id)
        if key is None:
            return None
        with self._trees.use(key) as tree:
            if tree is None:
                log.warning("the file of chat %s is gone; it is forgotten", key)
                self._catalog.forget(key)
                return None
            line = tree.lines.get(session_id)
        self._homes[owner, session_id] = key
        return line.session if line else None

    async def sessions(self, owner: str, *, limit: int = 100, offset: int = 0) -> SessionPage:
        entries, total = await self._in_thread(self._catalog.page, owner, limit, offset)
        found = [await self.session(owner, session_id) for session_id, _ in entries]
        return SessionPage([session for session in found if session is not None], total)

    async def lines(self, key: TreeKey) -> list[Session]:
        tree = self._trees.held(key)
        if tree is None:
            lines = await self._with_tree(key, lambda tree: list(tree.lines.values())) or []
        else:
            lines = list(tree.lines.values())
        return sorted((line.session for line in lines), key=lambda s: s.updated_at, reverse=True)

    async def tree(self, key: TreeKey) -> TreeView:
        tree = self._trees.held(key)
        if tree is not None and tree.shape is not None:
            return tree.shape
        return await self._with_tree(key, TreeFile.loaded_shape) or NO_TREE

    async def tree_lines(self, key: TreeKey) -> TreeLines:
        tree = self._trees.held(key)
        if tree is not None and tree.tree_lines is not None:
            return tree.tree_lines
        return await self._with_tree(key, TreeFile.loaded_tree_lines) or TreeLines()

    async def messages(self, key: TreeKey, ids: Sequence[int]) -> list[Message]:
        if not ids:
            return []
        found = await self._with_tree(key, TreeFile.messages, ids)
        if found is None:
            raise NotFound(f"There is no chat {key.tree_id}.")
        return found

    async def commit(self, write: TurnWrite) -> Committed:
        return await self._in_thread(self._commit, write)

    def _commit(self, write: TurnWrite) -> Committed:
        with self._trees.use(write.key, create=True) as tree:
            assert tree is not None
            self._catalog.mark(write.key)
            try:
                applied = tree.commit(write)
            except BaseException:
                if not tree.lines:
                    self._discard(write.key, tree)
                raise
            if applied.sessions:
                self._note(tree, applied)
            self._homes[write.key.owner, write.session_id] = write.key
            return applied.line.committed

    def _note(self, tree: TreeFile, applied: Applied) -> None:
        """Tell the catalog. The turn is kept already: a catalog that fails is brought up to date later."""
        try:
            if self._catalog.revision(tree.key) in (None, tree.revision - 1):
                self._catalog.record(record_of(tree, applied.sessions, applied.added), whole=False)
            else:
                self._catalog.record(record_of(tree), whole=True)
        except sqlite3.Error:
            log.exception("chat %s is stored; the catalog could not be brought up to date", tree.key)

    async def absorb(self, write: BulkWrite) -> BulkDone:
        return await self._in_thread(self._absorb, write)

    def _absorb(self, write: BulkWrite) -> BulkDone:
        with self._trees.use(write.key, create=True) as tree:
            assert tree is not None
            self._catalog.mark(write.key)
            try:
                done, applied = tree.absorb(write)
            except BaseException:
                if not tree.lines:
                    self._discard(write.key, tree)
                raise
            if applied is not None:
                self._note(tree, applied)
            elif tree.outbox_is_empty():
                self._catalog.unmark(write.key)
            return done

    async def leave_behind(self, owner: str, session_id: str) -> None:
        session = await self.session(owner, session_id)
        if session is not None:
            await self._with_tree(session.key, self._leave_behind, session_id)

    def _leave_behind(self, tree: TreeFile, session_id: str) -> None:
        self._catalog.mark(tree.key)
        applied = tree.leave_behind(session_id)
        if applied is not None:
            self._note(tree, applied)
        if tree.outbox_is_empty():
            self._catalog.unmark(tree.key)

    async def dump(self, key: TreeKey, *, after: int, limit: int) -> list[BulkMessage]:
        return await self._with_tree(key, TreeFile.dump, after, limit) or []

    async def outline(self, key: TreeKey) -> TreeOutline:
        return await self._with_tree(key, TreeFile.outline) or TreeOutline()

    async def delete(self, owner: str, session_id: str) -> list[int]:
        return await self._in_thread(self._delete, owner, session_id)

    def _delete(self, owner: str, session_id: str) -> list[int]:
        key = self._catalog.tree_of(owner, session_id)
        if key is None:
            raise NotFound(f"There is no session {session_id!r}.")
        with self._trees.use(key) as tree:
            if tree is None or session_id not in tree.lines:
                raise NotFound(f"There is no session {session_id!r}.")
            self._catalog.mark(key)
            self._homes.pop((owner, session_id), None)
            if len(tree.lines) == 1:
                removed = [message_id for message_id, _ in tree.stored_at()]
                self._discard(key, tree)
            else:
                removed = tree.remove(session_id)
                self._catalog.record(record_of(tree), whole=True)
            self._catalog.empty_journal()
            return removed

    async def card(self, key: TreeKey, name: str = "") -> Card | None:
        tree = self._trees.held(key)
        known = tree.cards if tree is not None else {}
        return known[name] if name in known else await self._with_tree(key, TreeFile.card, name)

    async def card_chunks(self, key: TreeKey, ids: Sequence[int]) -> list[CardChunk]:
        return await self._with_tree(key, TreeFile.card_chunks, ids) or []

    async def summaries(self, key: TreeKey, path: Path) -> list[Summary]:
        tree = self._trees.held(key)
        known = None if tree is None else tree.known_summaries(path)
        return await self._with_tree(key, TreeFile.summaries, path) or [] if known is None else known

    async def add_summary(self, key: TreeKey, over: Ranges, text: str, source: str, job_id: int) -> None:
        await self._finishing(key, lambda tree: tree.add_summary(over, text, source, job_id))

    async def set_emotion(
        self, key: TreeKey, message_id: int, emotion: str, confidence: float, importance: float
    ) -> None:
        await self._with_tree(key, TreeFile.set_emotion, message_id, emotion, confidence, importance)

    async def enqueue_summary(self, key: TreeKey, session_id: str, over: Ranges) -> int:
        def enqueued(tree: TreeFile) -> int:
            self._catalog.mark(key)
            return tree.enqueue_summary(session_id, over)

        job = await self._with_tree(key, enqueued)
        if job is None:
            raise NotFound(f"There is no chat {key.tree_id}.")
        return job

    async def jobs(self, key: TreeKey, *, limit: int, now: float) -> list[Job]:
        return await self._with_tree(key, TreeFile.jobs, limit, now) or []

    async def finish_jobs(self, key: TreeKey, job_ids: Sequence[int]) -> None:
        await self._finishing(key, lambda tree: tree.finish_jobs(job_ids))

    async def _finishing(self, key: TreeKey, call: Callable[[TreeFile], None]) -> None:
        def finished(tree: TreeFile) -> None:
            call(tree)
            if tree.outbox_is_empty():
                self._catalog.unmark(key)
                tree.empty_journal()

        await self._with_tree(key, finished)

    async def postpone_job(self, key: TreeKey, job_id: int, due_at: float, reason: str) -> None:
        await self._with_tree(key, TreeFile.postpone_job, job_id, due_at, reason)

    async def trees_with_jobs(self) -> list[TreeKey]:
        return await self._in_thread(self._catalog.dirty)

    async def reindex_jobs(self) -> int:
        def enqueued(tree: TreeFile) -> int:
            self._catalog.mark(tree.key)
            return tree.enqueue_all()

        keys = await self._in_thread(self._catalog.trees)
        return sum([await self._with_tree(key, enqueued) or 0 for key in keys])

    async def close(self) -> None:
        await asyncio.to_thread(self._trees.close)
        self._pool.shutdown()
