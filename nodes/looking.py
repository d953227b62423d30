"""Looks for what bears on a turn, in its own chat and in others: the query, and the quick look at each path."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from graph.context import TurnContext
from graph.state import TurnState
from memory.glue import certain_text
from memory.path import Path
from memory.rows import on_path
from memory.stored import Message, Session, TreeKey
from memory.token_codes import TokenCodes
from memory.transcript import Transcript
from memory.vectors import VectorIndex
from models.embedding import Embedder
from models.encoding import Encoding
from models.token_codes import TokenCodec, rows
from nodes.asking import lines_before, looks_for_memory, wording_of
from nodes.filter import passing
from nodes.history import HistoryStart
from nodes.other_chats import Here, OtherChats, begins_with, is_group
from nodes.query import Query, SaidLine, Wording, query_of, said_line
from nodes.sight import Ground, Sight, ground_of, look, started
from nodes.texts import TreeTexts
from nodes.unsaid import Shelves

KEPT_TURNS = 4
ELSEWHERE = 20
"""Candidates of each other chat."""
UNSAID = 40
"""Candidates among what nobody says."""


@dataclass(frozen=True, slots=True)
class Begun:
    """What is known of a turn's question while the newest message is embedded."""

    key: TreeKey
    wording: Wording
    start: int
    """Where on the path the prompt's history begins: what stands before it may be recalled."""
    ground: asyncio.Future[Ground]
    encoding: asyncio.Future[Encoding]
    heard: asyncio.Future[list[SaidLine]]
    """The lines of its context that have vectors."""


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
    starts: HistoryStart
    others: OtherChats
    shelves: Shelves
    _begun: OrderedDict[str, asyncio.Future[Begun]] = field(default_factory=OrderedDict)
    _kept: OrderedDict[str, Looked] = field(default_factory=OrderedDict)

    def ahead(self, state: TurnState, context: TurnContext) -> None:
        """Begin as soon as it is known what a turn asks, while others still read its request."""
        if not looks_for_memory(state, context):
            return
        self._begun[state.turn_id] = started(self.begin(state, context))
        while len(self._begun) > KEPT_TURNS:
            self._begun.popitem(last=False)

    async def begun(self, state: TurnState, context: TurnContext) -> Begun:
        """What was begun ahead, or is begun now."""
        task = self._begun.pop(state.turn_id, None)
        return await (self.begin(state, context) if task is None else task)

    async def begin(self, state: TurnState, context: TurnContext, start: int | None = None) -> Begun:
        """Read what is asked, let it be embedded, and see where its words stand; `start` as in `Begun` where it is
        known."""
        key = TreeKey(context.owner, state.tree_id)
        tree = await self.transcript.tree_lines(key)
        wording = wording_of(state, tree.names(Path(state.path)))
        encoding = asyncio.ensure_future(self.embedder.encode(wording.text, urgent=True))
        ids = [i for i in lines_before(state, wording.asked) if i > 0]
        messages = await self.starts.said.messages(state, key, ids) if ids else []
        heard = asyncio.ensure_future(self._heard(key, messages))
        wording = replace(wording, heard=[certain_text(message) for message in messages])
        start = await self.starts(state, context.owner) if start is None else start
        whole = Path(state.path)
        ground = ground_of(self.texts(key), tree, whole.prefix(start), wording.terms, whole=whole)
        return Begun(key, wording, start, asyncio.ensure_future(ground), encoding, heard)

    async def _heard(self, key: TreeKey, messages: Sequence[Message]) -> list[SaidLine]:
        """Those of the messages that have vectors already, as lines of the context."""
        ids = [message.id for message in messages]
        vectors = await self.vectors.vectors(key, "message", ids)
        codes = await self.codes.fetch(key, ids)
        return [
            said_line(certain_text(m), vectors[m.id], rows(codes[m.id].codes), codes[m.id].starts)
            for m in messages
            if m.id in vectors and m.id in codes
        ]

    async def look(self, state: TurnState, context: TurnContext, begun: Begun) -> Looked:
        """The quick look at everything that may be recalled."""
        path, key, terms = Path(state.path).prefix(begun.start), begun.key, begun.wording.terms
        shelf = await self.shelves.shelf(state, key, path, context.only)
        unsaid = await ground_of(shelf, shelf.lines, shelf.path, terms) if shelf.texts else None
        ground, encoding = await begun.ground, await begun.encoding
        common = {term for term, most in zip(terms, ground.most.tolist(), strict=True) if not most}
        projected, heard = self.codec.project(encoding.tokens), await begun.heard
        query = query_of(begun.wording, encoding, projected, heard, common)
        cosine = await self.vectors.similarities(key, "message", query.vector, path)
        allowed = passing(context.only, ground) & ~np.isin(ground.at.ids, state.moved)
        sights = [await look(query, ground, cosine, allowed, context.candidates)]
        if unsaid is not None:
            every = np.ones(len(shelf.texts), np.bool_)
            sights.append(await look(query, unsaid, shelf.cosine(query.vector), every, UNSAID))
        sights += await self._elsewhere(state, context, key, query) if context.memory == "character" else []
        return self._keep(state.turn_id, Looked(query, sights))

    def _keep(self, turn_id: str, looked: Looked) -> Looked:
        self._kept[turn_id] = looked
        while len(self._kept) > KEPT_TURNS:
            self._kept.popitem(last=False)
        return looked

    def texts(self, key: TreeKey) -> TreeTexts:
        return TreeTexts(key, self.transcript, self.vectors, self.codes)

    async def seen(self, state: TurnState, context: TurnContext) -> Looked:
        """What `look` saw in this turn."""
        if (looked := self._kept.pop(state.turn_id, None)) is not None:
            return looked
        return await self.look(state, context, await self.begin(state, context, state.history_from))

    async def _elsewhere(
        self, state: TurnState, context: TurnContext, key: TreeKey, query: Query
    ) -> list[Sight]:
        """What the character's other chats hold."""
        character: str = state.card.get("name") or state.character
        if not character or is_group(state):
            return []
        shown = frozenset(row["fingerprint"] for row in state.window)
        begins = None if state.chat_id else begins_with(state, await self.transcript.tree(key))
        here = Here(key, state.session_id, state.person, state.avatar, Path(state.path), shown, begins)
        found = await self.others.sessions(here, character)
        return await asyncio.gather(*(self._in(session, here, context, query) for session in found))

    async def _in(self, session: Session, here: Here, context: TurnContext, query: Query) -> Sight:
        key, path = session.key, session.path
        tree = await self.transcript.tree_lines(key)
        ground = await ground_of(self.texts(key), tree, path, query.terms, session)
        cosine = await self.vectors.similarities(key, "message", query.vector, path)
        allowed = passing(context.only, ground)
        if key == here.key:
            allowed &= ~on_path(ground.at.ids.astype(np.int64), here.path)
        sight = await look(query, ground, cosine, allowed, ELSEWHERE)
        unheard = await self.others.unheard(here, key, ground.at.ids[sight.rows])
        return replace(sight, rows=sight.rows[unheard])
