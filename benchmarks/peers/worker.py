"""A peer in a process of its own: JSON lines in, JSON lines out, its own work timed and nothing else."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol, TypedDict


class Said(TypedDict):
    """A line as it is handed to a peer: `text` begins with the speaker's name; `at` in Unix seconds."""

    id: str
    role: str
    text: str
    at: float


class Peer(Protocol):
    """A memory: chats are stored in it and asked; everything of it is below the folder it was opened with."""

    def store(self, chat: str, lines: Sequence[Said]) -> None:
        """Add lines to a chat; they can be found when this returns."""
        ...

    def ask(self, chat: str, question: str, k: int) -> list[str]:
        """The ids of at most k lines of the chat, best first."""
        ...


Open = Callable[[Path, Path], Peer]
"""Opens a peer in an empty folder, with the folder of all-MiniLM-L6-v2 for its embeddings."""


def serve(distribution: str, opened: Open) -> None:
    """Answer until the input ends: `python -m benchmarks.peers.NAME FOLDER WEIGHTS`.

    A request is {"store": chat, "lines": [...]} or {"ask": chat, "question": text, "k": n}; an answer holds
    "seconds", "cpu" (the process's, which other work on the machine does not stretch) and, of a question,
    "ids". The first line out is {"version": ...}, or {"error": ...} when the
    peer cannot be opened; whatever else the peer prints goes to stderr.
    """
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def say(answer: dict[str, Any]) -> None:  # Any: JSON
        answers.write(json.dumps(answer) + "\n")

    import torch

    torch.set_num_threads(1)
    try:
        peer = opened(Path(sys.argv[1]), Path(sys.argv[2]))
    except Exception as error:  # whatever a peer raises is told to who started it
        say({"error": f"{type(error).__name__}: {error}"})
        raise
    say({"version": version(distribution)})
    for request in sys.stdin:
        try:
            say(_answer(peer, json.loads(request)))
        except Exception as error:  # as above
            say({"error": f"{type(error).__name__}: {error}"})
            raise


def _answer(peer: Peer, request: dict[str, Any]) -> dict[str, Any]:  # Any: JSON
    told: dict[str, Any] = {}
    began, busy = time.perf_counter(), time.process_time()
    if "store" in request:
        peer.store(request["store"], request["lines"])
    else:
        told["ids"] = peer.ask(request["ask"], request["question"], request["k"])
    return told | {"seconds": time.perf_counter() - began, "cpu": time.process_time() - busy}
