"""The numbers by which a message is judged: what it says, what stands around it, who says it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from memory.ranking.reading import Asked, Holds
from memory.ranking.words import STOP_WORDS

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]
Bits = npt.NDArray[np.uint8]

FUNCTION_WORD, CONTENT, CONTRASTED = 0, 1, 2
CLOSE, AROUND = 2, 8
"""Messages to either side that make up what is close to a message and the scene around it."""
DECAY = 0.75
"""What a line of the context weighs beside the one after it."""

FEATURES = (
    "meaning_in_context", "meaning_before", "meaning_after",
    "all_words", "content_by_neighbours", "all_words_close", "content_close", "content_around",
    "content_before", "content_after",
    "terms_before", "terms_after", "terms_close",
    "said_by_named", "said_by_named_as_i", "names_asker",
    "tells_time", "time_when_asked", "name_when_where", "name_when_who", "quote_when_who", "tells_name",
    "scene_when_asked", "asks", "ends_asking", "after_question", "answers",
    "opens", "length", "contrasted", "mood",
)  # fmt: skip
"""In the order of the columns of `features`."""


@dataclass(frozen=True, slots=True)
class Lines:
    """Messages in the order of the path, one entry each; neighbours are those one position apart."""

    position: Ints
    session: Ints
    """A number that differs between messages with a long silence between them, see `sessions_of`."""
    speaker: Ints
    """Index into the names the query was read with, -1 for texts that nobody says (lore, summaries)."""
    holds: Bits
    """`reading.Holds` of each."""
    opens: npt.NDArray[np.bool_]
    """Whether each is its session's first, see `opens_of`."""
    length: Ints
    """Words of each."""


@dataclass(frozen=True, slots=True)
class Match:
    """How the query meets the lines: `lines` stands for their number."""

    cosine: Floats
    """(lines,) cosine of sentence vectors."""
    impacts: Floats
    """(terms, lines), from `WordIndex.impacts`."""
    most: Floats
    """(terms,), from the same; times the weight of each term where the query has a context."""
    similar: Floats
    """(tokens, lines), from `maxsim.similarities`, all lines of the query under one another."""
    kinds: npt.NDArray[np.int8]
    """(tokens,), from `token_kinds`."""
    weights: Floats
    """(tokens,), DECAY to the power of how many lines ago the token was said."""
    names_asker: npt.NDArray[np.bool_]
    """(lines,) whether a text that nobody says names the asker or the one asked about."""
    in_context: bool
    """Whether the query is more than its newest line."""
    mood: Floats
    """(lines,) how alike the moods are, in [-1, 1], 0 where either is neutral; see `mood.congruence`."""


def token_kinds(
    tokens: Sequence[str], starts: Sequence[int], contrast: int | None = None
) -> npt.NDArray[np.int8]:
    """What each token of a query does; `starts` are its first characters in the text, `contrast` from Asked.

    Pieces of a word ("##ing") and whole words alike: stop words and punctuation are function words. Where
    nothing would be content, all is.
    """
    kinds = np.array(
        [FUNCTION_WORD if t in STOP_WORDS or not any(map(str.isalnum, t)) else CONTENT for t in tokens],
        dtype=np.int8,
    )
    if contrast is not None:
        kinds[(np.asarray(starts) >= contrast) & (kinds == CONTENT)] = CONTRASTED
    if not (kinds == CONTENT).any():
        kinds[:] = CONTENT
    return kinds


def sessions_of(created_at: npt.NDArray[np.float64], gap: float = 3 * 3600) -> Ints:
    """Numbers the stretches of a path that are apart by more than `gap` seconds; shape as given."""
    apart = np.abs(np.diff(created_at, prepend=created_at[:1])) > gap
    return np.cumsum(apart, dtype=np.int32)


def opens_of(session: Ints) -> npt.NDArray[np.bool_]:
    """Where a session begins, for the sessions of a whole path."""
    return np.asarray(np.diff(session, prepend=session[:1] - 1) != 0)


class Around:
    """Looks from each line to those a few positions before and after it in its session."""

    def __init__(self, lines: Lines, reach: int) -> None:
        count = len(lines.position)
        own = np.arange(count)
        gapless = count > 0 and lines.position[-1] - lines.position[0] == count - 1
        self._at: dict[int, npt.NDArray[np.intp]] = {}
        """By step: the row of the neighbour, the line's own where there is none."""
        for step in (s for s in range(-reach, reach + 1) if s):
            wanted = lines.position + step
            places = own + step if gapless else np.searchsorted(lines.position, wanted)
            at = places.clip(0, max(count - 1, 0))
            there = (lines.position[at] == wanted) & (lines.session[at] == lines.session)
            self._at[step] = np.where(there, at, own)
        self._own = own

    def at(self, values: Floats, step: int) -> Floats:
        """Shape (lines,): the value `step` positions on (negative: before), 0 where there is none."""
        at = self._at[step]
        return np.where(at != self._own, values[at], np.float32(0))

    def best(self, values: Floats, reaches: Sequence[int]) -> list[Floats]:
        """For each reach, ascending: the largest values within so many positions, the line's own included.

        `values` and results have the shape (lines, anything).
        """
        best, found = values, []
        for step in range(1, reaches[-1] + 1):
            for at in (self._at[-step], self._at[step]):
                best = np.maximum(best, values[at])
            if step in reaches:
                found.append(best)
        return found


def features(asked: Asked, lines: Lines, match: Match) -> Floats:
    """Shape (lines, len(FEATURES)). Every number is on a fixed scale, so scores compare between queries.

    Mood counts for questions alone: who tells of a sad day is not helped most by other sad days (on MADial-Bench
    it cost a point of nDCG@5), who asks for the darkest hour is.
    """
    around = Around(lines, AROUND)
    columns = _meaning(match, around) | _terms(match, around) | _told(asked, lines, match)
    columns |= {
        "scene_when_asked": columns["content_around"] * asked.when,
        "after_question": around.at(columns["ends_asking"], -1),
        "answers": around.at(columns["ends_asking"] * columns["content"], -1),
        "opens": lines.opens.astype(np.float32),
        "mood": match.mood * np.float32(asked.question),
    }
    stacked: Floats = np.stack([np.asarray(columns[name], np.float32) for name in FEATURES], axis=1)
    return stacked


def _meaning(match: Match, around: Around) -> dict[str, Floats]:
    affirmed = np.where(match.kinds == CONTRASTED, 0, match.weights)
    content = np.where(match.kinds == CONTENT, match.weights, 0)
    contrasted = np.where(match.kinds == CONTRASTED, match.weights, 0)
    similar = np.ascontiguousarray(match.similar.T)
    beside, close, scene = around.best(similar, (1, CLOSE, AROUND))
    meaning = match.cosine / np.float32(0.12)
    by_content = _mean(content, similar) / 0.1
    return {
        "meaning_in_context": meaning * match.in_context,
        "meaning_before": around.at(meaning, -1),
        "meaning_after": around.at(meaning, 1),
        "all_words": _mean(affirmed, similar) / 0.08,
        "content": by_content,
        "content_before": around.at(by_content, -1),
        "content_after": around.at(by_content, 1),
        "content_close": _mean(content, close) / 0.1,
        "content_by_neighbours": _mean(content, beside) / 0.1,
        "all_words_close": _mean(affirmed, close) / 0.08,
        "content_around": _mean(content, scene) / 0.1,
        "contrasted": _mean(contrasted, similar) / 0.1,
    }


def _terms(match: Match, around: Around) -> dict[str, Floats]:
    most = max(float(match.most.sum()), 1e-6)
    own = match.impacts.sum(axis=0) * np.float32(5 / most)
    [close] = around.best(np.ascontiguousarray(match.impacts.T), (CLOSE,))
    return {
        "terms_before": around.at(own, -1),
        "terms_after": around.at(own, 1),
        "terms_close": close.sum(axis=1) * np.float32(5 / most),
    }


def _told(asked: Asked, lines: Lines, match: Match) -> dict[str, npt.NDArray[np.floating]]:
    bit = {b: ((lines.holds & int(b)) > 0).astype(np.float32) for b in Holds}
    by_named = (
        np.isin(lines.speaker, list(asked.named)).astype(np.float32)
        if len(asked.named) == 1
        else np.zeros(len(lines.position), np.float32)
    )
    return {
        "said_by_named": by_named,
        "said_by_named_as_i": by_named * bit[Holds.FIRST_PERSON],
        "names_asker": match.names_asker.astype(np.float32),
        "tells_time": bit[Holds.TIME],
        "time_when_asked": bit[Holds.TIME] * asked.when,
        "tells_name": bit[Holds.NAME],
        "name_when_where": bit[Holds.NAME] * asked.where,
        "name_when_who": bit[Holds.NAME] * asked.who,
        "quote_when_who": bit[Holds.QUOTE] * asked.who,
        "asks": bit[Holds.QUESTION],
        "ends_asking": bit[Holds.ENDS_ASKING],
        "length": np.log1p(lines.length.astype(np.float32)),
    }


def _mean(weights: npt.NDArray[np.floating], values: Floats) -> Floats:
    share = np.asarray(weights / max(float(weights.sum()), 1e-6), np.float32)
    return np.asarray(values @ share, np.float32)
