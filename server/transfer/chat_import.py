"""Stores a chat file as if its visible chat had come in a request: found, aligned, written the same way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from graph.resources import Resources
from memory.align import Alignment
from memory.bulk import BulkMessage, BulkWrite, SessionLine
from memory.incoming import Incoming
from memory.path import Ranges
from memory.sessions import Assignment, Request
from memory.transcript import TreeView
from server.dependencies import OWNER
from server.transfer.chat_file import ChatFile, Line
from server.transfer.report import ImportedSession, Report


async def import_chat(resources: Resources, chat: ChatFile) -> Report:
    """Store what is new of a chat; an older copy of a chat that went on takes nothing back."""
    report = Report(files=1, read=len(chat.shown), problem_count=len(chat.problems), problems=chat.problems)
    if not _was_begun(chat.shown):
        report.complain("nothing was said in this chat yet")
        return report
    chat_id = "" if "{{" in chat.chat_id else chat.chat_id
    if not await _import_as(resources, chat, chat_id, report):
        await _import_as(resources, chat, f"{chat.character}/{chat_id}", report, shared=True)
    return report


def _was_begun(shown: Sequence[Line]) -> bool:
    """A greeting alone is no chat: the first request would not be known for its continuation."""
    return len(shown) > 1 or any(line.said.role == "user" for line in shown)


async def _import_as(
    resources: Resources, chat: ChatFile, chat_id: str, report: Report, *, shared: bool = False
) -> bool:
    """Import under a chat id; False when another chat has it, with which this one shares no message.

    `shared`: the id is one that was made because of that, and is not doubted.
    """
    window = [line.said for line in chat.shown]
    request = Request(OWNER, window, chat_id=chat_id, character=chat.character)
    async with resources.sessions.turn(request) as found:
        if found.session is not None and not shared and not found.alignment.matched:
            return False
        write = await _write_of(resources, chat, chat_id, found)
        done = await resources.transcript.absorb(write)
        await resources.working.drop(OWNER, found.session_id)
    if done.added:
        resources.worker.wake(found.key)
    stored = await resources.transcript.session(OWNER, found.session_id)
    if stored is not None:
        report.added += done.added
        report.sessions.append(
            ImportedSession(
                id=stored.session_id, chat_id=stored.chat_id, messages=len(stored.path), added=done.added
            )
        )
    if chat.world and chat_id:
        resources.library.bind(OWNER, chat.world, "chat", chat_id)
    return True


async def _write_of(resources: Resources, chat: ChatFile, chat_id: str, found: Assignment) -> BulkWrite:
    tree = await resources.transcript.tree(found.key)
    laid = _Laying(found.session_id, found.alignment, tree)
    await asyncio.to_thread(laid.lay, chat.lines)
    dates = [line.created_at for line in chat.lines if line.shown]
    newest = max(dates) or time.time()
    path = laid.path(found.alignment.path)
    if found.session is not None and await _went_on(resources, found, newest):
        path = found.session.path.ranges
    line = SessionLine(
        session_id=found.session_id,
        path=path,
        created_at=min(dates) or newest,
        updated_at=newest,
        chat_id=chat_id,
        character=chat.character,
        user_name=chat.user_name,
        is_group=chat.is_group,
        forked_from=found.forked_from,
        history_from=found.session.history_from if found.session else None,
    )
    return BulkWrite(found.key, [line], laid.new)


async def _went_on(resources: Resources, found: Assignment, newest: float) -> bool:
    """Whether the stored chat holds later messages than the file, which is an older copy then."""
    gone = [*found.alignment.left, *found.alignment.holes]
    stored = await resources.transcript.messages(found.key, gone)
    return any(message.created_at > newest for message in stored)


@dataclass(slots=True)
class _Laying:
    """Lays the messages out: the path's first, so that it is one run of ids, then what is beside it."""

    session_id: str
    alignment: Alignment
    tree: TreeView
    new: list[BulkMessage] = field(default_factory=list)
    refs: list[int] = field(default_factory=list)
    """For each row of the window its stored message, or -i-1 for `new[i]`."""

    def lay(self, lines: Sequence[Line]) -> None:
        self._lay_shown([line for line in lines if line.shown])
        row, before = 0, None
        for line in lines:
            if line.shown:
                before = self.refs[row]
                self._lay_swipes(line, before)
                row += 1
            else:
                before = self._add(line.said, line.created_at, before)
                self._lay_swipes(line, before)

    def _lay_shown(self, shown: Sequence[Line]) -> None:
        before = self._before_window()
        for line, stored in zip(shown, self.alignment.rows, strict=True):
            before = self._add(line.said, line.created_at, before) if stored is None else stored
            self.refs.append(before)

    def _before_window(self) -> int | None:
        """The message of the path before the file's first; none where the file shows the chat's beginning."""
        last = None
        for first, end in self.alignment.path:
            if first < 0 or first in self.alignment.rows:
                return last
            known = next((i for i in self.alignment.rows if i is not None and first < i <= end), None)
            if known is not None:
                return known - 1
            last = end
        return last

    def _lay_swipes(self, line: Line, chosen: int) -> None:
        parent = self.new[-chosen - 1].parent if chosen < 0 else self.tree.parent(chosen)
        for said, at in line.swipes:
            self._add(said, at, parent)

    def _add(self, said: Incoming, at: float, parent: int | None) -> int:
        who = (said.role, said.speaker, said.text, said.fingerprint)
        self.new.append(BulkMessage(parent, *who, at or time.time(), session=self.session_id))
        return -len(self.new)

    def path(self, aligned: Ranges) -> Ranges:
        """The aligned path with this write's references."""
        laid: Ranges = []
        for first, last in aligned:
            laid.append([self.refs[-first - 1]] * 2 if first < 0 else [first, last])
        return laid
