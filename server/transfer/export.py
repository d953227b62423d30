"""Exports: sessions as JSON lines, from which `restore` makes an equal state.

The first line names format and version. Then, a tree after the other: a `tree` line, its `card`s (the one
seen last comes last), its `glue` (paragraphs that post-processing adds), its `message`s in order of id
(siblings and hidden ones too; a parent comes before its children), its `summary`s, and its `session`s with
their paths. Message ids are numbers within their tree.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import replace
from typing import Any, BinaryIO

from memory.bulk import BulkMessage, BulkSummary, SessionLine, TreeOutline
from memory.path import Path
from memory.stored import Session, TreeKey
from memory.transcript import Transcript, TreeView

FORMAT = "emotional-rag"
VERSION = 1
PAGE = 1000

Record = dict[str, Any]
"""A line (Any: JSON)."""


async def write_export(transcript: Transcript, sessions: Sequence[Session], file: BinaryIO) -> int:
    """Write these sessions, those of one tree together; how many messages were written."""
    trees: dict[TreeKey, set[str]] = {}
    for session in sessions:
        trees.setdefault(session.key, set()).add(session.session_id)
    await _put(file, [{"format": FORMAT, "version": VERSION}])
    written = 0
    for key, wanted in trees.items():
        async for records in _tree(transcript, key, wanted):
            written += sum(record["kind"] == "message" for record in records)
            await _put(file, records)
    return written


async def _put(file: BinaryIO, records: Sequence[Record]) -> None:
    await asyncio.to_thread(_write, file, records)


def _write(file: BinaryIO, records: Sequence[Record]) -> None:
    lines = "".join(f"{json.dumps(r, ensure_ascii=False, separators=(',', ':'))}\n" for r in records)
    file.write(lines.encode(errors="replace"))


async def _tree(transcript: Transcript, key: TreeKey, wanted: set[str]) -> AsyncIterator[list[Record]]:
    outline = await transcript.outline(key)
    chosen = [line for line in outline.sessions if line.session_id in wanted]
    part = None
    if len(chosen) < len(outline.sessions):
        part = await _needed(transcript, key, chosen)
    head = [{"kind": "tree", "id": key.tree_id}, *({"kind": "card", **_plain(c)} for c in outline.cards)]
    yield [*head, {"kind": "glue", "fingerprints": outline.glue}] if outline.glue else head
    known, tree = {line.session_id for line in chosen}, await transcript.tree(key)
    async for page in _pages(transcript, key):
        chosen_of_page = [m for m in page if part is None or m.id in part]
        yield [_message(m, tree.parent(m.id), known) for m in chosen_of_page]
    yield [*_summaries(outline, part), *(_session(line, part) for line in chosen)]


async def _pages(transcript: Transcript, key: TreeKey) -> AsyncIterator[list[BulkMessage]]:
    after = 0
    while page := await transcript.dump(key, after=after, limit=PAGE):
        yield page
        after = page[-1].id


async def _needed(transcript: Transcript, key: TreeKey, lines: Sequence[SessionLine]) -> set[int]:
    """The messages on the lines' paths, those that they stored, and everything these follow."""
    names = {line.session_id for line in lines}
    needed = {i for line in lines for i in Path(line.path)}
    async for page in _pages(transcript, key):
        needed.update(m.id for m in page if m.session in names)
    tree = await transcript.tree(key)
    for message_id in list(needed):
        needed.update(_ancestors(tree, message_id, needed))
    return needed


def _ancestors(tree: TreeView, message_id: int, known: set[int]) -> list[int]:
    found: list[int] = []
    parent = tree.parent(message_id)
    while parent is not None and parent not in known:
        found.append(parent)
        parent = tree.parent(parent)
    return found


def _plain(value: Any) -> Record:  # Any: one of our dataclasses
    return {name: getattr(value, name) for name in value.__dataclass_fields__}


def _message(message: BulkMessage, parent: int | None, known: set[str]) -> Record:
    stored_by = message.session if message.session in known else ""
    kept = replace(message, parent=parent, session=stored_by)
    return {"kind": "message", "id": message.id, **_plain(kept)}


def _summaries(outline: TreeOutline, part: set[int] | None) -> Iterable[Record]:
    return [{"kind": "summary", **_plain(s)} for s in outline.summaries if part is None or _inside(s, part)]


def _inside(summary: BulkSummary, part: set[int]) -> bool:
    return all(i in part for i in Path(summary.over))


def _session(line: SessionLine, part: set[int] | None) -> Record:
    kept = {
        name: [i for i in getattr(line, name) if part is None or i in part]
        for name in ("last_new", "last_replies")
    }
    return {"kind": "session", **_plain(line), **kept}
