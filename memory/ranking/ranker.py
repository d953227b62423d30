"""Two stages: a quick choice among all messages of the path, and a careful order of the best of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from memory.ranking.features import FEATURES, Around, Floats, Lines
from memory.ranking.reading import Asked

CANDIDATES = 160
"""How many messages the first stage passes on; on LoCoMo's chats of 370 to 680 messages nothing is lost."""
BESIDE = 1
"""How far around a candidate messages are looked at that are none themselves; 2 finds no more on LoCoMo."""

NEIGHBOUR_SHARE = 0.3

WEIGHTS: Mapping[str, float] = {
    "meaning_in_context": 0.88,
    "meaning_before": 0.09,
    "meaning_after": 0.2,
    "all_words": 0.71,
    "content_by_neighbours": 0.24,
    "all_words_close": 0.32,
    "content_close": 0.32,
    "content_around": 0.32,
    "content_before": -0.17,
    "content_after": -0.16,
    "terms_before": 0.24,
    "terms_after": -0.42,
    "terms_close": 0.89,
    "said_by_named": 2.04,
    "said_by_named_as_i": 0.72,
    "names_asker": 2.51,
    "tells_time": 0.19,
    "time_when_asked": 1.18,
    "name_when_where": 0.6,
    "name_when_who": 1.23,
    "quote_when_who": 0.69,
    "tells_name": 0.13,
    "scene_when_asked": 0.56,
    "asks": -0.37,
    "ends_asking": -0.34,
    "after_question": -1.03,
    "answers": 0.34,
    "opens": 0.25,
    "length": -0.44,
    "contrasted": -0.55,
    "mood": 0.12,
}
"""What each number of `features` is worth.

Fitted together: for each evidence message, the log-odds of standing above all other messages, with a penalty
of 0.002 on the squares; on the questions of LoCoMo's conversations 26, 30 and 41 (Maharana et al., 2024), and
with a tenth of their say each, the first 40 dialogues of MADial-Bench and the first 25 scenarios of a set
of emotional recall. No text of theirs is in these numbers. `python -m benchmarks.fit_ranker` finds them again."""

_WEIGHTS: Floats = np.array([WEIGHTS[name] for name in FEATURES], np.float32)


def first_scores(asked: Asked, cosine: Floats, impacts: Floats, lines: Lines) -> Floats:
    """Shape (lines,): what to look at closely, over all messages of the path.

    Standard scores of the cosine and of BM25 (`impacts` summed), each with 0.3 of its two neighbours', and
    1 where the one asked about speaks. A cosine that is not known (NaN) counts as a
    deviation below the mean.
    """
    around = Around(lines, 1)
    total = np.zeros(len(cosine), np.float32)
    for scores in (_standard(cosine), _standard(impacts.sum(axis=0))):
        total += scores + NEIGHBOUR_SHARE * (around.at(scores, -1) + around.at(scores, 1))
    if len(asked.named) == 1:
        total += np.isin(lines.speaker, list(asked.named))
    return total


def candidates(scores: Floats, limit: int = CANDIDATES) -> npt.NDArray[np.intp]:
    """The rows of the best `limit` scores, in the order of the path."""
    if len(scores) <= limit:
        return np.arange(len(scores))
    return np.sort(np.argpartition(-scores, limit - 1)[:limit])


def with_neighbours(rows: npt.NDArray[np.intp], lines: Lines) -> npt.NDArray[np.intp]:
    """The rows and those beside them in their sessions: what the second stage must have at hand."""
    near = (rows[:, None] + np.arange(-BESIDE, BESIDE + 1)).clip(0, len(lines.position) - 1)
    same = lines.session[near] == lines.session[rows][:, None]
    same &= np.abs(lines.position[near] - lines.position[rows][:, None]) <= BESIDE
    return np.unique(near[same])


def scores(columns: Floats) -> Floats:
    """Shape (lines,), from `features`: higher is likelier, and comparable between queries."""
    found: Floats = columns @ _WEIGHTS
    return found


def explained(column: Floats) -> dict[str, float]:
    """What each number of one line (a row of `features`) added to its score, largest first, zeros left out."""
    parts = column * _WEIGHTS
    order = np.argsort(-np.abs(parts), kind="stable").tolist()
    values = parts.tolist()
    return {FEATURES[n]: values[n] for n in order if values[n]}


def _standard(values: Floats) -> Floats:
    """Mean 0 and deviation 1, NaN at -1; 0 for all where they do not differ."""
    known = values[~np.isnan(values)]
    spread = float(known.std()) if len(known) else 0.0
    if spread <= 1e-6:
        return np.zeros_like(values)
    standard: Floats = np.nan_to_num((values - known.mean()) / np.float32(spread), nan=-1.0)
    return standard
