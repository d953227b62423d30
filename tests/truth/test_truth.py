"""Live memory is what a fresh reading of the visible chat would be, whatever the user does."""

from __future__ import annotations

import os

import pytest
from hypothesis import strategies as st

from tests.truth.front_end import Style
from tests.truth.machine import drive, machine

SEQUENCES = int(os.environ.get("TRUTH_SEQUENCES", "250"))

pytestmark = pytest.mark.truth


@pytest.mark.timeout(0)
def test_memory_is_what_the_visible_chat_would_be_without_post_processing(capsys):
    plain = machine(st.just(Style()))
    drive(plain, SEQUENCES)
    with capsys.disabled():
        print(f"\n{plain.sequences} sequences, {plain.requests} requests compared")
