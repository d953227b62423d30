"""Live memory is what a fresh reading of the visible chat would be, whatever the user does.

Sequences of 30 actions, the same ones each time; TRUTH_SCALE multiplies their number.
"""

from __future__ import annotations

import os

import pytest

from tests.truth.driving import counted, drive, machine, seed_of
from tests.truth.set_ups import SET_UPS

SCALE = float(os.environ.get("TRUTH_SCALE", "1"))


@pytest.mark.timeout(0)
@pytest.mark.parametrize("name", SET_UPS)
def test_memory_is_what_the_visible_chat_would_be(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    styles, sequences = SET_UPS[name]
    front_end = machine(styles)
    drive(front_end, int(sequences * SCALE), seed_of(name))
    with capsys.disabled():
        print(f"\n{name}: {counted(*front_end.counts())}", end="")
