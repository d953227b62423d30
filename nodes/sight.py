"""How a query meets the messages of one path: a quick look at all of them, a careful one at the best."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from memory.lines import PathLines, TreeLines
from memory.path import Path
from memory.ranking.features import (
    Floats,
    Ints,
    Lines,
    Match,
    features,
    opens_of,
    sessions_of,
)
from memory.ranking.ranker import candidates, first_scores, with_neighbours
from memory.ranking.reading import Asked
from memory.stored import Session
from memory.token_codes import Stored
from models.token_codes import similarities
from nodes.query import Query
from nodes.texts import Texts

T = TypeVar("T")

GROUND_LINES, LOOK_LINES = 5_000, 20_000
"""From so many lines on ground and quick look are taken in a thread: that keeps the event loop a millisecond."""
NOTES = 4
"""Lines of one speaker, this many in a row, are notes: none is another's neighbour."""
UNSEEN_COSINE = 0.15
MATCHED, UNMATCHED = 0.75, 0.22
"""What stands for the similarities of a message whose vectors are not there yet: typical ones for a word that
it has, and for one that it has not."""


@dataclass(frozen=True, slots=True)
class Ground:
    """One path of N stored messages and where the query's terms stand in it; arrays in its order."""

    texts: Texts
    session_id: str
    """Of the other chat that this is; empty for the chat that is answered."""
    tree_id: str
    emotions: Sequence[str]
    at: PathLines
    lines: Lines
    impacts: Floats
    most: Floats

    @property
    def origin(self) -> dict[str, str]:
        """Which other chat this is, as state has it; nothing for the chat that is answered."""
        return {"tree_id": self.tree_id, "session_id": self.session_id} if self.session_id else {}


@dataclass(frozen=True, slots=True)
class Sight:
    """A path and how the query meets each of its N messages; arrays in its order."""

    ground: Ground
    asked: Asked
    cosine: Floats
    """NaN where there is no vector yet."""
    first: Floats
    """What the quick look gives each."""
    allowed: npt.NDArray[np.bool_]
    """Which may be recalled."""
    rows: npt.NDArray[np.intp]
    """The best of these by the quick look, in the path's order."""
    codes: asyncio.Future[Mapping[int, Stored]]
    """Of these and their neighbours, those that have any: they are read while it is decided what to look at."""


async def ground_of(
    texts: Texts,
    tree: TreeLines,
    path: Path,
    terms: Mapping[str, float],
    session: Session | None = None,
    whole: Path | None = None,
) -> Ground:
    """What can be known before the query's vectors are; `session` where it is another chat, `whole` where the
    path is the beginning of one."""
    given = (texts, tree, path, terms, session, whole)
    return _ground(*given) if len(path) < GROUND_LINES else await asyncio.to_thread(_ground, *given)


def _ground(
    texts: Texts,
    tree: TreeLines,
    path: Path,
    terms: Mapping[str, float],
    session: Session | None,
    whole: Path | None,
) -> Ground:
    at, emotions = tree.of(path, whole), list(tree.emotions)
    impacts, most = tree.impacts(list(terms), path)
    weights = np.array(list(terms.values()), np.float32)
    if (weights != 1).any():
        impacts *= weights[:, None]
        most *= weights
    origin = (session.session_id, session.key.tree_id) if session else ("", "")
    return Ground(texts, *origin, emotions, at, lines_of(at), impacts, most)


async def look(
    query: Query, ground: Ground, cosine: Floats, allowed: npt.NDArray[np.bool_], limit: int
) -> Sight:
    """The quick look: words and sentence vectors of every message, and the `limit` best that are `allowed`."""
    asked = query.of_names(ground.at.names)
    given = (asked, ground, cosine, allowed, limit)
    first, rows = _look(*given) if len(cosine) < LOOK_LINES else await asyncio.to_thread(_look, *given)
    codes = started(ground.texts.codes(ground.at.ids[with_neighbours(rows, ground.lines)].tolist()))
    return Sight(ground, asked, cosine, first, allowed, rows, codes)


def _look(
    asked: Asked, ground: Ground, cosine: Floats, allowed: npt.NDArray[np.bool_], limit: int
) -> tuple[Floats, npt.NDArray[np.intp]]:
    first = first_scores(asked, cosine, ground.impacts, ground.lines)
    rows = candidates(np.where(allowed, first, -np.inf), limit)
    return first, rows[allowed[rows]]


def started(work: Coroutine[Any, Any, T]) -> asyncio.Future[T]:
    """Begin what may turn out not to be needed: an error is told to those who await it, and to nobody else."""
    task = asyncio.ensure_future(work)
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    return task


def lines_of(at: PathLines) -> Lines:
    """The messages of a whole path as the ranker takes them."""
    session = sessions_of(at.created_at)
    session = np.cumsum(np.diff(session, prepend=session[:1]).astype(bool) | _notes(at), dtype=np.int32)
    return Lines(
        position=np.arange(len(at.ids), dtype=np.int32),
        session=session,
        speaker=at.speaker,
        holds=at.holds,
        opens=opens_of(session),
        length=at.length,
    )


def _notes(at: PathLines) -> npt.NDArray[np.bool_]:
    """Whether each line is one of many that its speaker said in a row, unanswered."""
    runs = np.cumsum(np.diff(at.speaker, prepend=at.speaker[:1]) != 0)
    return np.asarray(np.bincount(runs)[runs] >= NOTES) if len(runs) else np.zeros(0, np.bool_)


def columns(
    query: Query,
    sight: Sight,
    rows: npt.NDArray[np.intp],
    stored: Mapping[int, Stored],
    mood: Floats,
    names_asker: Collection[int],
) -> Floats:
    """The careful look: shape (rows, len(FEATURES)); neighbours of the rows must be among them.

    `stored` are the token codes of those messages that have them, `mood` (rows,) as in `Match`, `names_asker`
    the ids of texts without a speaker that name who asks.
    """
    ids = sight.ground.at.ids[rows]
    impacts = sight.ground.impacts[:, rows]
    cosine = sight.cosine[rows]
    match = Match(
        cosine=np.where(np.isnan(cosine), np.float32(UNSEEN_COSINE), cosine),
        impacts=impacts,
        most=sight.ground.most,
        similar=similar(query, ids.tolist(), impacts, stored),
        kinds=query.kinds,
        weights=query.weights,
        names_asker=np.isin(ids, list(names_asker)),
        in_context=query.in_context,
        mood=mood,
    )
    return features(sight.asked, taken(sight.ground.lines, rows), match)


def taken(lines: Lines, rows: npt.NDArray[np.intp]) -> Lines:
    """Some of the lines."""
    return Lines(
        lines.position[rows],
        lines.session[rows],
        lines.speaker[rows],
        lines.holds[rows],
        lines.opens[rows],
        lines.length[rows],
    )


def similar(query: Query, ids: Sequence[int], impacts: Floats, stored: Mapping[int, Stored]) -> Floats:
    """Shape (tokens, messages): each query token's best cosine in each message, by its words where unread."""
    terms = {term: n for n, term in enumerate(query.terms)}
    of_token = np.array([terms.get(stem, -1) for stem in query.stems], np.intp)
    has = np.vstack([impacts > 0, np.zeros((1, len(ids)), bool)])
    found: Floats = np.where(has[of_token], np.float32(MATCHED), np.float32(UNMATCHED))
    known = [(n, stored[i].packed) for n, i in enumerate(ids) if i in stored and len(stored[i])]
    if known:
        found[:, [n for n, _ in known]] = similarities(query.tokens, [codes for _, codes in known])
    return found


def to_read(sight: Sight, chosen: Ints) -> npt.NDArray[np.intp]:
    """The rows of the chosen messages and of their neighbours."""
    return with_neighbours(np.flatnonzero(np.isin(sight.ground.at.ids, chosen)), sight.ground.lines)
