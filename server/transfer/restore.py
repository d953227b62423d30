"""Restores exports: what the data folder holds already is recognised, and nothing newer is replaced."""

from __future__ import annotations

import asyncio
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any

from pydantic import BaseModel, ValidationError

from graph.errors import BadRequest
from graph.resources import Resources
from memory.bulk import BulkDone, BulkMessage, BulkSummary, BulkWrite, SessionLine
from memory.path import Ranges
from memory.stored import Card, Session, TreeKey
from server.dependencies import OWNER
from server.transfer.export import FORMAT, VERSION
from server.transfer.export_lines import KINDS, CardLine, GlueLine, MessageLine, SessionRow, SummaryLine
from server.transfer.lines import clean
from server.transfer.progress import Progress
from server.transfer.report import ImportedSession, Report

SPARSE = 10
"""Ids are kept as they are unless they leave out nine of ten numbers."""

Lines = Iterator[tuple[int, dict[str, Any] | str]]  # Any: JSON


@dataclass(slots=True)
class _Tree:
    """A tree as the file has it, until its last line was read."""

    id: str
    messages: dict[int, MessageLine] = field(default_factory=dict)
    sessions: dict[str, SessionRow] = field(default_factory=dict)
    cards: list[Card] = field(default_factory=list)
    summaries: list[SummaryLine] = field(default_factory=list)
    glue: list[int] = field(default_factory=list)

    def take(self, line: BaseModel) -> None:
        match line:
            case MessageLine():
                self.messages[line.id] = line
            case SessionRow():
                self.sessions[line.session_id] = line
            case CardLine():
                self.cards.append(Card(line.name, line.text, line.user_persona, line.hash))
            case SummaryLine():
                self.summaries.append(line)
            case GlueLine():
                self.glue += line.fingerprints


def is_export(entry: dict[str, Any]) -> bool:
    """Whether a file that begins with this line is an export."""
    return entry.get("format") == FORMAT


async def restore(resources: Resources, lines: Lines, progress: Progress) -> Report:
    """Bring in every tree of an export; raises BadRequest for one of a newer version."""
    report = Report(files=1)
    trees = _trees(progress.counted(lines), report)
    while (tree := await asyncio.to_thread(next, trees, None)) is not None:
        await _finish(resources, tree, report, progress)
    return report


def _trees(lines: Iterable[tuple[int, dict[str, Any] | str]], report: Report) -> Iterator[_Tree]:
    """Every tree of an export, once its last line was read."""
    tree: _Tree | None = None
    for number, entry in lines:
        if isinstance(entry, str):
            report.complain(entry, number)
        elif is_export(entry):
            _check_version(entry)
        elif entry.get("kind") == "tree":
            if tree is not None:
                yield tree
            tree = _Tree(clean(str(entry.get("id") or "imported")))
        elif tree is None:
            report.complain("the line belongs to no tree", number)
        else:
            _take(tree, entry, number, report)
    if tree is not None:
        yield tree


def _check_version(entry: dict[str, Any]) -> None:
    version = entry.get("version")
    if not isinstance(version, int) or version > VERSION:
        raise BadRequest(f"The export has version {version}; this software knows {VERSION}. Update it.")


def _take(tree: _Tree, entry: dict[str, Any], number: int, report: Report) -> None:
    kind = KINDS.get(str(entry.get("kind")))
    if kind is None:
        report.complain(f"unknown kind of line: {str(entry.get('kind'))[:40]!r}", number)
        return
    try:
        tree.take(kind.model_validate(_cleaned(entry), strict=False))
    except ValidationError as error:
        problem = error.errors()[0]
        report.complain(f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}", number)


def _cleaned(entry: dict[str, Any]) -> dict[str, Any]:
    return {name: clean(value) if isinstance(value, str) else value for name, value in entry.items()}


async def _finish(resources: Resources, tree: _Tree, report: Report, progress: Progress) -> None:
    """Write a tree, under the locks of its sessions (always taken in the same order)."""
    if not tree.sessions:
        if tree.messages:
            report.complain("a tree without sessions was left out")
        return
    key = TreeKey(OWNER, tree.id)
    names = {name: await _name_of(resources, key, row) for name, row in tree.sessions.items()}
    async with AsyncExitStack() as locks:
        for name in sorted(set(names.values())):
            await locks.enter_async_context(resources.sessions.locked(OWNER, name))
        write = await asyncio.to_thread(_Laid.write, _Laid.out(tree, key, names))
        done = await resources.transcript.absorb(replace(write, written=progress.wrote))
        for name in names.values():
            await resources.working.drop(OWNER, name)
    resources.worker.wake(key)
    progress.through()
    report.read += len(tree.messages)
    known = [await resources.transcript.session(OWNER, name) for name in names.values()]
    sessions = [session for session in known if session is not None]
    report.add(await asyncio.to_thread(_counted, sessions, done), "")


def _counted(sessions: Sequence[Session], done: BulkDone) -> Report:
    """The sessions of a tree, and what was stored anew: what one of them shows, and the rest."""
    report, shown = Report(), set[int]()
    for stored in sessions:
        path = set(stored.path)
        shown |= path
        one = ImportedSession(
            id=stored.session_id,
            chat_id=stored.chat_id,
            messages=len(path),
            added=len(path & done.added_ids),
        )
        report.sessions.append(one)
    report.added = len(shown & done.added_ids)
    report.hidden = done.added - report.added
    return report


async def _name_of(resources: Resources, key: TreeKey, row: SessionRow) -> str:
    """The session's id, another one where a different chat has it: the same one each time."""
    stored = await resources.transcript.session(OWNER, row.session_id)
    if stored is None or (stored.key == key and stored.created_at == row.created_at):
        return row.session_id
    told = f"{key.tree_id} {row.created_at}".encode()
    return f"{row.session_id}-{blake2b(told, digest_size=4).hexdigest()}"


@dataclass(slots=True)
class _Laid:
    """A tree in the references of a bulk write."""

    tree: _Tree
    key: TreeKey
    names: dict[str, str]
    ids: list[int]
    at: dict[int, int]

    @classmethod
    def out(cls, tree: _Tree, key: TreeKey, names: dict[str, str]) -> _Laid:
        ids = sorted(tree.messages)
        return cls(tree, key, names, ids, {i: n for n, i in enumerate(ids)})

    def write(self) -> BulkWrite:
        keeps = bool(self.ids) and self.ids[-1] <= SPARSE * (len(self.ids) + 1000)
        new = [self._message(self.tree.messages[i], keeps) for i in self.ids]
        rows = [self._session(row) for row in self.tree.sessions.values()]
        summaries = [
            BulkSummary(over, s.text, s.source, s.created_at)
            for s in self.tree.summaries
            if len(over := self._runs(s.over)) == sum(last - first + 1 for first, last in s.over) > 0
        ]
        return BulkWrite(self.key, rows, new, self.tree.cards, summaries, self.tree.glue)

    def _ref(self, message_id: int | None) -> int | None:
        at = None if message_id is None else self.at.get(message_id)
        return None if at is None else -at - 1

    def _refs(self, ids: Iterable[int]) -> list[int]:
        return [ref for i in ids if (ref := self._ref(i)) is not None]

    def _runs(self, ranges: Ranges) -> Ranges:
        """One run for each message that the file holds; none stands twice on a path."""
        taken: dict[int, None] = {}
        for first, last in ranges:
            for at in range(bisect_left(self.ids, first), bisect_right(self.ids, last)):
                taken[-at - 1] = None
        return [[ref, ref] for ref in taken]

    def _message(self, m: MessageLine, keeps: bool) -> BulkMessage:
        fields = m.model_dump(exclude={"kind", "parent", "id", "session"})
        parent = self._ref(m.parent if m.parent is not None and m.parent < m.id else None)
        session = self.names.get(m.session, "")
        return BulkMessage(parent=parent, id=m.id if keeps else 0, session=session, **fields)

    def _session(self, row: SessionRow) -> SessionLine:
        fields = row.model_dump(exclude={"kind", "path", "session_id", "forked_from"})
        line = SessionLine(
            session_id=self.names[row.session_id],
            path=self._runs(row.path),
            forked_from=self.names.get(row.forked_from, row.forked_from),
            **fields,
        )
        return replace(
            line,
            history_from=self._ref(row.history_from),
            window_from=self._ref(row.window_from),
            last_new=self._refs(row.last_new),
            last_replies=self._refs(row.last_replies),
        )
