"""Runs sequences of the machine, the same ones for the same seed, and counts them."""

from __future__ import annotations

from zlib import crc32

from hypothesis import HealthCheck, Phase, Verbosity, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test

from memory.align import Aligner, align
from tests.truth.choices import NAME
from tests.truth.front_end import Style
from tests.truth.machine import FrontEndMachine

STEPS = 30


def machine(styles: st.SearchStrategy[Style], aligner: Aligner = align) -> type[FrontEndMachine]:
    """A machine of its own, with its own counts."""
    return type("Machine", (FrontEndMachine,), {"styles": styles, "aligner": staticmethod(aligner)})


def drive(of: type[FrontEndMachine], sequences: int, seed: int, *, shrink: bool = True) -> None:
    """Run so many sequences of `STEPS` actions, the same ones for the same seed.

    Raises what the first failing one raised.
    """
    run_state_machine_as_test(
        seeded(seed)(of),
        settings=settings(
            max_examples=sequences,
            stateful_step_count=STEPS,
            backend=NAME,
            deadline=None,
            database=None,
            phases=(Phase.generate, Phase.shrink) if shrink else (Phase.generate,),
            verbosity=Verbosity.normal,
            suppress_health_check=list(HealthCheck),
            print_blob=False,
            report_multiple_bugs=False,
        ),
    )


def counted(sequences: int, requests: int, replays: int) -> str:
    return f"{sequences} sequences, {requests} requests compared, {replays} of them with a fresh replay"


def seed_of(name: str, number: int = 0) -> int:
    """The seed of a set-up's sequences: each set-up has others, the same everywhere."""
    return crc32(f"{name} {number}".encode())
