"""Stores a chat file as if its visible chat had come in a request: found, aligned, written the same way."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from graph.resources import Resources
from memory.align import Alignment
from memory.assignment import Assignment
from memory.bulk import BulkDone, BulkMessage, BulkWrite, SessionLine, line_of
from memory.glue import paragraphs
from memory.incoming import Incoming
from memory.names import as_stored
from memory.path import Path, Ranges, encode
from memory.settled import Told, settled_by, told_speakers
from memory.stored import Message, Session
from memory.transcript import TreeView
from memory.whose import Whose
from server.dependencies import OWNER
from server.transfer.chat_file import ChatFile
from server.transfer.identity import Place, placed
from server.transfer.progress import Progress
from server.transfer.report import ImportedSession, Report
from server.transfer.sent import Line


async def import_chat(resources: Resources, chat: ChatFile, progress: Progress) -> Report:
    """Store what is new of a chat; an older copy of a chat that went on takes nothing back."""
    report = Report(files=1, read=len(chat.shown), problem_count=len(chat.problems), problems=chat.problems)
    if not _was_begun(chat.shown):
        report.complain("nothing was said in this chat yet")
        return report
    async with placed(resources, chat) as place:
        laid = await _laid(resources, chat, place)
        done = await resources.transcript.absorb(laid.write(chat, place, progress.wrote))
        if place.turned is not None and place.turned.key != place.found.key:
            await resources.transcript.absorb(BulkWrite(place.turned.key, [line_of(place.turned)], []))
        await resources.working.drop(OWNER, place.found.session_id)
    if done.added or done.settled:
        resources.worker.wake(place.found.key)
    stored = await resources.transcript.session(OWNER, place.found.session_id)
    if stored is not None:
        laid.count(done, report)
        report.sessions.append(_imported(stored, report))
    if chat.world is not None and place.chat_id:
        whose = Whose(chat.character, chat.is_group, chat.avatar or (stored.avatar if stored else ""))
        await asyncio.to_thread(resources.library.rebind_chat, OWNER, place.chat_id, whose, chat.world)
    return report


def _imported(stored: Session, report: Report) -> ImportedSession:
    held = len(stored.path)
    return ImportedSession(id=stored.session_id, chat_id=stored.chat_id, messages=held, added=report.added)


def _was_begun(shown: Sequence[Line]) -> bool:
    """A greeting alone is no chat: the first request would not be known for its continuation. In a group each member
    has one."""
    return any(line.said.role == "user" for line in shown) or len(
        {line.said.speaker for line in shown}
    ) < len(shown)


async def _laid(resources: Resources, chat: ChatFile, place: Place) -> _Laying:
    found = place.found
    tree = await resources.transcript.tree(found.key)
    laid = _Laying(found.session_id, found.alignment, tree)
    await asyncio.to_thread(laid.lay, chat.lines)
    if found.session is not None and (place.is_older or await _went_on(resources, found, laid)):
        laid.path, laid.is_older = found.session.path.ranges, True
    return laid


async def _went_on(resources: Resources, found: Assignment, laid: _Laying) -> bool:
    """Whether the stored chat holds later messages than the file, which is an older copy then.

    What the file holds hidden, as a swipe or without what was glued to it is no more than its user put away, and
    what the file never had before in the place of the last messages is an edit of them: replies are dated by when
    they began.
    """
    alignment = found.alignment
    before = Path(alignment.path).slice(0, alignment.head)
    held = laid.taken.union(*(laid.tree.within(row.fingerprint) for row in alignment.window))
    gone = [i for i in (*before, *alignment.holes, *alignment.left) if i not in held]
    branches = await _branches(resources, found)
    if any(all(i in path for i in gone) for path in branches):
        return False
    stored = await resources.transcript.messages(found.key, gone)
    left = [message for message in stored if message.id in alignment.left]
    edited = {message.id for message in left} if _are_edited(left, alignment) else set()
    return any(message.created_at > laid.newest for message in stored if message.id not in edited)


async def _branches(resources: Resources, found: Assignment) -> list[Path]:
    """The lines that branched off a chat, and had its session until their files told so.

    One that was live itself had a session of its own then, unless its origin's file shows something else instead.
    """
    own, alignment = found.session_id, found.alignment
    lines = [line for line in await resources.transcript.lines(found.key) if line.forked_from == own]
    parted = [n for n, i in enumerate(alignment.rows) if found.session is None or i not in found.session.path]
    return [line.path for line in lines if parted or not line.was_live]


def _are_edited(left: Sequence[Message], alignment: Alignment) -> bool:
    """Whether the file shows a new text for each message that leaves, and none that was stored merged."""
    new = [row for row, i in zip(alignment.window, alignment.rows, strict=True) if i is None]
    merged = {part for message in left for part in paragraphs(message.text)}
    is_apart = bool(alignment.settled) or any(row.text in merged for row in new)
    return not is_apart and Counter(row.role for row in new) >= Counter(message.role for message in left)


@dataclass(slots=True)
class _Laying:
    """Lays the messages out: the path's first, so that it is one run of ids, then what is beside it."""

    session_id: str
    alignment: Alignment
    tree: TreeView
    new: list[BulkMessage] = field(default_factory=list)
    refs: list[int] = field(default_factory=list)
    """For each row of the window its stored message, or -i-1 for `new[i]`."""
    taken: set[int] = field(default_factory=set)
    """Stored messages that a line of the file is."""
    swipes: set[int] = field(default_factory=set)
    """Which of `new` are replies that were not chosen."""
    path: Ranges = field(default_factory=list)
    """The session's path with this write's references: the file shows the chat whole, also its beginning."""
    is_older: bool = False
    """The stored chat went on since: what the file shows otherwise is how it was."""
    oldest: float = 0.0
    newest: float = 0.0
    """Dates of the chat, Unix seconds."""

    def lay(self, lines: Sequence[Line]) -> None:
        shown = [line for line in lines if line.shown]
        dates = [date for line in lines for date in (line.created_at, *(at for _, at in line.swipes))]
        self.newest = max(dates) or time.time()
        self.oldest = min(dates) or self.newest
        self.taken = {i for i in self.alignment.rows if i is not None}
        self._lay_shown(shown)
        self._lay_beside(lines)
        self.path = encode(self.refs)

    def _lay_shown(self, shown: Sequence[Line]) -> None:
        before = self._before_window()
        for line, stored in zip(shown, self.alignment.rows, strict=True):
            before = self._add(line.said, line.created_at, before) if stored is None else stored
            self.refs.append(before)

    def _lay_beside(self, lines: Sequence[Line]) -> None:
        row, before = 0, None
        for line in lines:
            if line.shown:
                before = self.refs[row]
                self._lay_swipes(line, before)
                row += 1
            else:
                stored = self._stored_beside(line.said, before)
                before = self._add(line.said, line.created_at, before) if stored is None else stored
                self._lay_swipes(line, before)

    def _before_window(self) -> int | None:
        """The message of the path before the file's first; none where the file shows the chat's beginning."""
        known, last = {i for i in self.alignment.rows if i is not None}, None
        for first, end in self.alignment.path:
            if first < 0 or first in known:
                return last
            inside = next((i for i in self.alignment.rows if i is not None and first < i <= end), None)
            if inside is not None:
                return inside - 1
            last = end
        return last

    def _lay_swipes(self, line: Line, chosen: int) -> None:
        parent = self.new[-chosen - 1].parent if chosen < 0 else self.tree.parent(chosen)
        for said, at in line.swipes:
            if self._stored_beside(said, parent) is None:
                self.swipes.add(-self._add(said, at, parent) - 1)

    def _stored_beside(self, said: Incoming, parent: int | None) -> int | None:
        """The stored message that a line beside the path is; it may have been said after other messages."""
        mark = as_stored(said, self.tree).fingerprint
        known = [i for i in self.tree.ids_of(mark) if i not in self.taken]
        found = next((i for i in known if self.tree.parent(i) == parent), known[0] if known else None)
        if found is not None:
            self.taken.add(found)
        return found

    def _add(self, said: Incoming, at: float, parent: int | None) -> int:
        who = (said.role, said.speaker, said.text, said.fingerprint)
        self.new.append(BulkMessage(parent, *who, at or time.time(), session=self.session_id))
        return -len(self.new)

    def write(self, chat: ChatFile, place: Place, written: Callable[[int], None]) -> BulkWrite:
        """The transaction that stores the chat."""
        known = place.found.session
        line = SessionLine(
            session_id=self.session_id,
            path=self.path,
            created_at=self.oldest,
            updated_at=self.newest,
            chat_id=place.chat_id,
            character=chat.character,
            user_name=chat.user_name,
            is_group=chat.is_group,
            avatar=chat.avatar or None,
            forked_from=place.forked_from,
            left_behind=self.is_older and known is not None and known.left_behind,
            history_from=known.history_from if known else None,
            window_from=known.window_from if known else None,
            window_tokens=known.window_tokens if known else 0,
        )
        other = place.turned
        turned = [line_of(other)] if other is not None and other.key == place.found.key else []
        settled = [] if self.is_older else settled_by(self.alignment, self.tree)
        glue = [] if self.is_older else self.alignment.glue
        told = Told([]) if self.is_older else self._speakers(chat)
        return BulkWrite(
            place.found.key,
            [line, *turned],
            self.new,
            glue=glue,
            settled=settled,
            renamed=told.renamed,
            respoken=told.respoken,
            written=written,
        )

    def _speakers(self, chat: ChatFile) -> Told:
        """A file tells who said what as it is now, whatever persona a request showed it under."""
        shown = enumerate(chat.shown)
        rows = [replace(row, index=n) for n, row in enumerate(self.alignment.window)]
        told = {n: line.said.speaker for n, line in shown}
        return told_speakers(replace(self.alignment, window=rows), self.tree, told)

    def count(self, done: BulkDone, report: Report) -> None:
        """Tell apart what was stored anew."""
        shown = {-ref - 1 for ref in self.refs if ref < 0}
        anew = {n for n, i in enumerate(done.ids) if i in done.added_ids}
        report.added = len(anew & shown)
        report.swipes = len(anew & self.swipes)
        report.hidden = len(anew) - report.added - report.swipes
