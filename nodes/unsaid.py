"""Texts that nobody says, as candidates beside what was said: the card, summaries, and lore of the library."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from graph.context import Filter, MemoryKind
from graph.state import TurnState
from memory.chat_books import Cast
from memory.chunks import chunk
from memory.incoming import text_of
from memory.library import Library
from memory.lines import Told, TreeLines
from memory.path import Path
from memory.stored import Message, TreeKey
from memory.token_codes import Stored
from memory.transcript import Transcript
from memory.vectors import Vector
from models.embedding import Embedder
from models.token_codes import TokenCodec
from nodes.other_chats import is_group

log = logging.getLogger(__name__)

LATER = 1.0
"""Seconds."""
KEPT_TEXTS = 5_000
"""Texts whose vectors are kept, about 4 KB each."""
KEPT_SHELVES = 50
EXTRACTIVE = "extractive"
"""Summaries from this source are made of messages, which are found themselves."""
APART = 86_400.0
"""Seconds between texts, so that none is another's neighbour."""


@dataclass(frozen=True, slots=True)
class Unsaid:
    """A text that nobody says; `ref` is unique among its kind."""

    kind: MemoryKind
    ref: int
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class _Read:
    vectors: Vector
    stored: Stored


@dataclass(slots=True)
class _Stacked:
    """The vectors of what is read of some texts, one under another."""

    read: Sequence[_Read | None]
    at: npt.NDArray[np.intp]
    """Which of the texts are read."""
    first: npt.NDArray[np.intp]
    """Where the vectors of each of these begin."""
    vectors: Vector

    @classmethod
    def of(cls, read: Sequence[_Read | None]) -> _Stacked:
        known = [one.vectors for one in read if one is not None]
        pieces = np.array([len(vectors) for vectors in known], np.intp)
        at = np.array([n for n, one in enumerate(read) if one is not None], np.intp)
        return cls(
            read, at, np.cumsum(pieces) - pieces, np.concatenate(known or [np.zeros((0, 0), np.float32)])
        )

    def best(self, query: Vector) -> Vector:
        """Shape (texts,): the cosine of each one's best piece, NaN where it is not read."""
        found = np.full(len(self.read), np.nan, np.float32)
        if len(self.at):
            found[self.at] = np.maximum.reduceat(self.vectors @ query, self.first)
        return found


class Reader:
    """Reads texts in the background, once each; until a text is read it is found by its words.

    A text is read some time after it was first wanted, when the turn that wanted it waits for its model.
    """

    def __init__(self, embedder: Embedder, codec: TokenCodec) -> None:
        self._embedder = embedder
        self._codec = codec
        self._known: OrderedDict[str, _Read] = OrderedDict()
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def known(self, text: str) -> _Read | None:
        """What a text was read as; None while it is being read."""
        if (found := self._known.get(text)) is not None:
            self._known.move_to_end(text)
        elif text not in self._tasks:
            self._tasks[text] = task = asyncio.create_task(self._read(text))
            task.add_done_callback(lambda done: self._ended(text, done))
        return found

    def _ended(self, text: str, task: asyncio.Task[None]) -> None:
        self._tasks.pop(text, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("a text of %d characters is found by its words alone: %s", len(text), error)

    async def _read(self, text: str) -> None:
        await asyncio.sleep(LATER)
        encoding = await self._embedder.encode(text)
        stored = Stored.at(self._codec.codes(encoding.tokens), encoding.starts)
        self._known[text] = _Read(encoding.pieces, stored)
        while len(self._known) > KEPT_TEXTS:
            self._known.popitem(last=False)


@dataclass(frozen=True, slots=True, eq=False)
class Shelf:
    """`Texts` of what nobody says: the text with id n is `texts[n - 1]`."""

    key: TreeKey
    texts: Sequence[Unsaid]
    reader: Reader
    lines: TreeLines
    _stacked: list[_Stacked] = field(default_factory=lambda: [_Stacked.of([])])
    """The one made last, until more of the texts are read."""

    @classmethod
    def of(cls, key: TreeKey, texts: Sequence[Unsaid], reader: Reader) -> Shelf:
        told = [Told(n, one.kind, "", one.text, n * APART, "neutral", 0.5) for n, one in enumerate(texts, 1)]
        return cls(key, texts, reader, TreeLines(told))

    @property
    def path(self) -> Path:
        return Path([[1, len(self.texts)]] if self.texts else [])

    def name(self, text_id: int) -> tuple[MemoryKind, int]:
        one = self.texts[text_id - 1]
        return one.kind, one.ref

    def cosine(self, query: Vector) -> Vector:
        """Shape (texts,): the cosine of each one's best piece, NaN where it is not read yet."""
        read = [self.reader.known(one.text) for one in self.texts]
        if read != self._stacked[0].read:
            self._stacked[0] = _Stacked.of(read)
        return self._stacked[0].best(query)

    async def messages(self, ids: Sequence[int]) -> list[Message]:
        return [
            Message(i, None, "", "", self.texts[i - 1].text, 0, False, "neutral", 0.0, 0.5, "", 0.0)
            for i in ids
        ]

    async def vectors(self, ids: Sequence[int]) -> Mapping[int, Vector]:
        return {i: read.vectors for i in ids if (read := self.reader.known(self.texts[i - 1].text))}

    async def codes(self, ids: Sequence[int]) -> Mapping[int, Stored]:
        return {i: read.stored for i in ids if (read := self.reader.known(self.texts[i - 1].text))}


@dataclass(frozen=True)
class Shelves:
    """Gathers the texts that bear on a chat without having been said in it."""

    transcript: Transcript
    library: Library
    reader: Reader
    _kept: OrderedDict[tuple[TreeKey, tuple[Unsaid, ...]], Shelf] = field(default_factory=OrderedDict)

    async def shelf(self, state: TurnState, key: TreeKey, before: Path, only: Filter | None) -> Shelf:
        """What of card, summaries (of messages on `before`) and lore the request does not show already."""
        kinds: tuple[MemoryKind, ...] = only.kinds if only else Filter().kinds
        wanted = only is None or only == Filter(kinds=only.kinds)
        found: list[Unsaid] = []
        if wanted and "card" in kinds:
            found += await self._card(state, key)
        if wanted and "summary" in kinds and len(before):
            made = [s for s in await self.transcript.summaries(key, before) if s.source != EXTRACTIVE]
            found += [Unsaid("summary", s.id, s.text) for s in made]
        if wanted and "lore" in kinds:
            found += await self._lore(state, key)
        return self._shelf(key, tuple(found))

    def _shelf(self, key: TreeKey, texts: tuple[Unsaid, ...]) -> Shelf:
        shelf = self._kept.get((key, texts))
        if shelf is None:
            shelf = self._kept[key, texts] = Shelf.of(key, texts, self.reader)
        self._kept.move_to_end((key, texts))
        while len(self._kept) > KEPT_SHELVES:
            self._kept.popitem(last=False)
        return shelf

    async def _card(self, state: TurnState, key: TreeKey) -> list[Unsaid]:
        """The pieces of a card that the request does not show."""
        if not state.card or state.card.get("rows"):
            return []
        card = await self.transcript.card(key, state.card.get("name", ""))
        return [Unsaid("card", n, text) for n, text in enumerate(chunk(card.text))] if card else []

    async def _lore(self, state: TurnState, key: TreeKey) -> list[Unsaid]:
        """The entries of books that belong to the character, the chat or the user's persona, or were chosen for
        everything, but for those the request shows."""
        names = frozenset(name for name in (state.card.get("name"), state.character) if name)
        cast = Cast(names, is_group(state), state.avatar, state.user_name)
        asked = (key.owner, cast, state.chat_id)
        entries = self.library.known_lore(*asked)
        if entries is None:
            entries = await asyncio.to_thread(self.library.lore_of, *asked)
        shown = "\n".join(text_of(m.get("content")) for m in state.messages) if entries else ""
        return [Unsaid("lore", n, text) for n, text in entries if text.strip() and text.strip() not in shown]
