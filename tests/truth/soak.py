"""Ten thousand random sequences: `python -m tests.truth.soak [SEQUENCES] [--seed SEED] [--only SET_UP]`.

Without a seed they are the same for everybody. Another seed searches where nobody looked yet.
"""

from __future__ import annotations

import argparse
import time

from tests.truth.driving import counted, drive, machine, seed_of
from tests.truth.machine import FrontEndMachine
from tests.truth.set_ups import SET_UPS

SEED = 1
"""The same sequences for everybody."""
AT_ONCE = 500
"""Sequences of one seed: so many have to be driven again to repeat a failure."""


def main() -> None:
    """Drive every set-up for its share of the sequences and print the counts; raises at the first failure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sequences", type=int, nargs="?", default=10_000)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--only", default="", help="set-ups whose name holds this text")
    options = parser.parse_args()
    print(f"--seed {options.seed}", flush=True)
    chosen = {name: s for name, s in SET_UPS.items() if options.only in name}
    whole = sum(share for _, share in chosen.values())
    began, driven = time.monotonic(), []
    for name, (styles, share) in chosen.items():
        driven.append(machine(styles))
        soak(name, driven[-1], -(-options.sequences * share // whole), options.seed)
        print(f"{name}: {counted(*driven[-1].counts())}", flush=True)
    total = counted(*(sum(counts) for counts in zip(*(f.counts() for f in driven), strict=True)))
    print(f"{total} in {time.monotonic() - began:.0f} s: all as the chats show")


def soak(name: str, front_end: type[FrontEndMachine], sequences: int, seed: int) -> None:
    """Drive one set-up, a seed for every `AT_ONCE` sequences; says how to repeat a failure and raises it."""
    while front_end.sequences < sequences:
        try:
            drive(front_end, min(AT_ONCE, sequences - front_end.sequences), seed_of(name, seed), shrink=False)
        except BaseException:
            print(f'again: python -m tests.truth.soak {AT_ONCE} --seed {seed} --only "{name}"', flush=True)
            raise
        seed += 1


if __name__ == "__main__":
    main()
