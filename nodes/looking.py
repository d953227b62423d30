"""Looks for what bears on a turn, in its own chat and in others: the query, and the quick look at each path."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from graph.context import Filter, TurnContext
from graph.state import TurnState
from memory.glue import certain_text
from memory.incoming import text_of
from memory.lines import PathLines, TreeLines
from memory.path import Path
from memory.ranking.reading import read_asked, tells_something
from memory.rows import on_path
from memory.token_codes import TokenCodes
from memory.transcript import Session, Transcript, TreeKey
from memory.vectors import VectorIndex
from models.embedding import Embedder
from models.token_codes import TokenCodec, rows
from nodes.history import Said
from nodes.other_chats import Here, OtherChats, is_group
from nodes.query import CONTEXT_LINES, Query, SaidLine, query_of, said_line, with_context
from nodes.sight import Sight, look

KEPT_TURNS = 16
ELSEWHERE = 20
"""Candidates of each other chat."""
UNSEEN_CHARACTERS = 800
"""Of lines that were never embedded, so many are read in one pass with the newest message."""


@dataclass(frozen=True, slots=True)
class Looked:
    """A turn's query, and what was seen: its own chat first."""

    query: Query
    sights: Sequence[Sight]


@dataclass(frozen=True)
class Looking:
    """The first stage; what `retrieve` saw is kept for `rerank`, which looks again where it is gone."""

    transcript: Transcript
    vectors: VectorIndex
    codes: TokenCodes
    codec: TokenCodec
    embedder: Embedder
    said: Said
    others: OtherChats
    _kept: OrderedDict[str, Looked] = field(default_factory=OrderedDict)

    async def look(self, state: TurnState, context: TurnContext, start: int) -> Looked:
        """The quick look at everything that may be recalled: what stands before position `start` of the path."""
        key = TreeKey(context.owner, state.tree_id)
        tree = await self.transcript.tree_lines(key)
        query = await self.query(state, key, tree, start)
        sights = [await self._here(state, context, key, tree, query, start)]
        character: str = state.card.get("name") or state.character
        if context.memory == "character" and character and not is_group(state):
            sights += await self._elsewhere(state, context, key, query, character)
        looked = Looked(query, sights)
        self._kept[state.turn_id] = looked
        while len(self._kept) > KEPT_TURNS:
            self._kept.popitem(last=False)
        return looked

    async def seen(self, state: TurnState, context: TurnContext) -> Looked:
        """What `look` saw in this turn."""
        return self._kept.pop(state.turn_id, None) or await self.look(state, context, state.history_from)

    async def query(self, state: TurnState, key: TreeKey, tree: TreeLines, start: int) -> Query:
        """The newest message, by one embedding, and the prompt's lines before it unless it is a question that

        can be understood without them.
        """
        names, asker = list(tree.names), asker_of(state)
        asked = read_asked(query_text(state), names, names.index(asker) if asker in names else None)
        alone = asked.question and tells_something(asked.text)
        before = [] if alone else before_newest(state, start)
        unseen = unseen_lines(state, before)
        encoding = await self.embedder.encode("\n".join([*unseen, asked.text]), urgent=True)
        projected = self.codec.project(encoding.tokens)
        query, lines = query_of(asked, encoding, projected, names=names, asker=asker, before=unseen)
        stored = await self._context(state, key, [i for i in before if i > 0])
        return with_context(query, [*stored, *lines], names)

    async def _context(self, state: TurnState, key: TreeKey, ids: Sequence[int]) -> list[SaidLine]:
        """Those of the lines before the newest that have vectors already."""
        if not ids:
            return []
        messages = await self.said.messages(state, key, ids)
        vectors = await self.vectors.vectors(key, "message", ids)
        codes = await self.codes.fetch(key, ids)
        return [
            said_line(certain_text(m), vectors[m.id], rows(codes[m.id].codes), codes[m.id].starts)
            for m in messages
            if m.id in vectors and m.id in codes
        ]

    async def _here(
        self,
        state: TurnState,
        context: TurnContext,
        key: TreeKey,
        tree: TreeLines,
        query: Query,
        start: int,
    ) -> Sight:
        path = Path(state.path).prefix(start)
        cosine = await self.vectors.similarities(key, "message", query.vector, path)
        at = tree.of(path)
        allowed = passing(context.only, at, tree) & ~np.isin(at.ids, state.moved)
        return await look(query, key, tree, path, cosine, allowed, context.candidates)

    async def _elsewhere(
        self, state: TurnState, context: TurnContext, key: TreeKey, query: Query, character: str
    ) -> list[Sight]:
        shown = frozenset(row["fingerprint"] for row in state.window)
        here = Here(key, state.session_id, Path(state.path), shown)
        found = await self.others.sessions(here, character)
        return await asyncio.gather(*(self._in(session, here, context, query) for session in found))

    async def _in(self, session: Session, here: Here, context: TurnContext, query: Query) -> Sight:
        key, path = session.key, session.path
        tree = await self.transcript.tree_lines(key)
        cosine = await self.vectors.similarities(key, "message", query.vector, path)
        at = tree.of(path)
        allowed = passing(context.only, at, tree)
        if key == here.key:
            allowed &= ~on_path(at.ids.astype(np.int64), here.path)
        sight = await look(query, session, tree, path, cosine, allowed, ELSEWHERE)
        unheard = await self.others.unheard(here, key, sight.at.ids[sight.rows])
        return replace(sight, rows=sight.rows[unheard])


def query_text(state: TurnState) -> str:
    """What is answered: the newest user message, or the window's last row where there is none."""
    if state.newest.strip() or not state.window:
        return state.newest
    return text_of(state.messages[state.window[-1]["index"]].get("content"))


def asker_of(state: TurnState) -> str:
    """Who says the newest message."""
    row = state.window[newest_row_at(state)] if state.window else {}
    return str(row.get("speaker") or (state.user_name if row.get("role") == "user" else ""))


def newest_row_at(state: TurnState) -> int:
    """The window's row of the last user message; the last row where there is none."""
    users = [n for n, row in enumerate(state.window) if row["role"] == "user"]
    return users[-1] if users else len(state.window) - 1


def before_newest(state: TurnState, start: int) -> list[int]:
    """The path's ids from position `start` on, just before the newest message; negative: not stored yet."""
    if not state.window:
        return []
    at = newest_row_at(state)
    row, path = state.window[at], Path(state.path)
    position = path.position(row["id"] if row["id"] is not None else -at - 1)
    return path.slice(max(position - CONTEXT_LINES, start), position) if position else []


def unseen_lines(state: TurnState, before: Sequence[int]) -> list[str]:
    """The texts of lines before the newest that were never embedded, as far as one pass reads them with it."""
    found: list[str] = []
    room = UNSEEN_CHARACTERS - len(query_text(state))
    for i in reversed(before):
        if i < 0:
            row = state.window[-i - 1]
            text = row["text"] if "text" in row else text_of(state.messages[row["index"]].get("content"))
            text = " ".join(text.split())
            room -= len(text)
            if room < 0:
                break
            found.insert(0, text)
    return found


def passing(only: Filter | None, at: PathLines, tree: TreeLines) -> npt.NDArray[np.bool_]:
    """Which of the messages a filter lets pass."""
    passes = np.ones(len(at.ids), np.bool_)
    if only is None:
        return passes
    if only.role:
        passes &= at.user == (only.role == "user")
    if only.speaker:
        passes &= at.speaker == index_in(tree.names, only.speaker)
    if only.emotion:
        passes &= at.emotion == index_in(tree.emotions, only.emotion)
    if only.since is not None:
        passes &= at.created_at >= only.since
    if only.until is not None:
        passes &= at.created_at < only.until
    return passes & ("message" in only.kinds)


def index_in(names: Sequence[str], name: str) -> int:
    """Where a name stands, letter case aside; -2 (nobody's) where it does not."""
    return next((n for n, known in enumerate(names) if known.casefold() == name.casefold()), -2)
