"""How front-ends are set up that the proof drives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import strategies as st

from tests.truth.front_end import MAIN_PROMPTS, Style

MAIN = st.sampled_from(list(MAIN_PROMPTS))
PLAIN_STYLES = st.builds(
    Style,
    main=MAIN,
    whitespace=st.sampled_from(["kept", "trimmed", "collapsed"]),
    names=st.sampled_from(["none", "content", "field"]),
    note_depth=st.sampled_from([None, 1, 4]),
    lore=st.booleans(),
    narrator=st.booleans(),
    post_history=st.booleans(),
    prefill=st.booleans(),
    streams=st.booleans(),
)
MODES = ("merge", "semi", "strict", "single")


def styles_of(modes: Sequence[str]) -> st.SearchStrategy[Style]:
    """Styles with post-processing; it merges and glues more where there are names, notes and instructions."""
    return st.builds(
        Style,
        main=MAIN,
        mode=st.sampled_from(modes),
        whitespace=st.sampled_from(["kept", "trimmed"]),
        names=st.sampled_from(["none", "content"]),
        note_depth=st.sampled_from([None, 2]),
        narrator=st.booleans(),
        lore=st.booleans(),
        post_history=st.booleans(),
        prefill=st.sampled_from([False, False, True]),
        start=st.sampled_from(["", "", "Well,"]),
    ).map(lambda style: style if style.mode == "single" else replace(style, start=""))


SET_UPS = {
    "as delivered": (st.just(Style()), 150),
    "whitespace trimmed": (st.just(Style(whitespace="trimmed")), 20),
    "whitespace collapsed": (st.just(Style(whitespace="collapsed")), 20),
    "names in the text": (st.builds(Style, main=MAIN, names=st.just("content")), 20),
    "names as a field": (st.builds(Style, main=MAIN, names=st.just("field")), 20),
    "notes, lore, narrator": (
        st.just(Style(note_depth=4, lore=True, narrator=True, post_history=True)),
        20,
    ),
    "any of these, changing": (PLAIN_STYLES, 130),
    **{f"{mode}, alone": (st.builds(Style, main=MAIN, mode=st.just(mode)), 20) for mode in MODES},
    **{f"{mode}, with notes and names": (styles_of([mode]), 30) for mode in MODES},
}
"""How a front-end is set up, and how many sequences are driven with it."""
