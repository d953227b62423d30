"""Live memory is what a fresh reading of the visible chat would be, whatever the user does.

Sequences of 30 actions, the same ones each time; TRUTH_SCALE multiplies their number.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import strategies as st

from tests.truth.front_end import Style
from tests.truth.machine import MODES, PLAIN_STYLES, counted, drive, machine, seed_of, styles_of

SCALE = float(os.environ.get("TRUTH_SCALE", "1"))

SET_UPS = {
    "as delivered": (st.just(Style()), 200),
    "whitespace trimmed": (st.just(Style(whitespace="trimmed")), 20),
    "whitespace collapsed": (st.just(Style(whitespace="collapsed")), 20),
    "names in the text": (st.just(Style(names="content")), 20),
    "names as a field": (st.just(Style(names="field")), 20),
    "notes, lore, narrator": (
        st.just(Style(note_depth=4, lore=True, narrator=True, post_history=True)),
        20,
    ),
    "any of these, changing": (PLAIN_STYLES, 150),
    **{f"{mode}, alone": (st.just(Style(mode=mode)), 20) for mode in MODES},
    **{f"{mode}, with notes and names": (styles_of([mode]), 30) for mode in MODES},
}
"""How a front-end is set up, and how many sequences are driven with it."""


@pytest.mark.timeout(0)
@pytest.mark.parametrize("name", SET_UPS)
def test_memory_is_what_the_visible_chat_would_be(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    styles, sequences = SET_UPS[name]
    front_end = machine(styles)
    drive(front_end, int(sequences * SCALE), seed_of(name))
    with capsys.disabled():
        print(f"\n{name}: {counted(*front_end.counts())}", end="")
