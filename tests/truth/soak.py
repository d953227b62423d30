"""Ten thousand sequences: `python -m tests.truth.soak [SEQUENCES]`."""

from __future__ import annotations

import argparse
import time

from tests.truth.machine import drive, machine
from tests.truth.test_truth import SET_UPS


def main() -> None:
    """Drive every set-up for its share of the sequences and print the counts; raises at the first failure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sequences", type=int, nargs="?", default=10_000)
    parser.add_argument("--only", default="", help="set-ups whose name holds this text")
    options = parser.parse_args()
    chosen = {name: s for name, s in SET_UPS.items() if options.only in name}
    whole = sum(share for _, share in chosen.values())
    began, sequences, requests = time.monotonic(), 0, 0
    for name, (styles, share) in chosen.items():
        front_end = machine(styles)
        drive(front_end, -(-options.sequences * share // whole), shrink=False, random=True)
        sequences, requests = sequences + front_end.sequences, requests + front_end.requests
        print(f"{name}: {front_end.sequences} sequences, {front_end.requests} requests", flush=True)
    took = time.monotonic() - began
    print(f"{sequences} sequences, {requests} requests compared in {took:.0f} s: all as the chats show")


if __name__ == "__main__":
    main()
