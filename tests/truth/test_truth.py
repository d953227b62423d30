"""Live memory is what a fresh reading of the visible chat would be, whatever the user does.

Sequences of 30 actions; their number, for each way the front-end is set up, can be raised by TRUTH_SEQUENCES.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import strategies as st

from tests.truth.front_end import Style
from tests.truth.machine import MODES, PLAIN_STYLES, drive, machine, styles_of

SCALE = float(os.environ.get("TRUTH_SCALE", "1"))
"""How many times the usual number of sequences."""

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


@pytest.mark.timeout(0)
@pytest.mark.parametrize("name", SET_UPS)
def test_memory_is_what_the_visible_chat_would_be(name, capsys):
    styles, sequences = SET_UPS[name]
    front_end = machine(styles)
    drive(front_end, int(sequences * SCALE))
    with capsys.disabled():
        print(f"\n{name}: {front_end.sequences} sequences, {front_end.requests} requests compared", end="")
