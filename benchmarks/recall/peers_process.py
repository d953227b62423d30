"""A peer under measurement: its worker's process, asked line by line with a limit on each answer."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Timer
from typing import Any, NamedTuple

from benchmarks.peers.worker import Said
from models.weights import built_in_folder

ROOT = Path(__file__).parents[2]
OPENING = 120.0
"""Seconds that a peer has for its start: imports and the loading of the model."""
QUIET = {
    "OMP_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
    "ANONYMIZED_TELEMETRY": "False",
    "DO_NOT_TRACK": "1",
    "MEMVID_TELEMETRY": "0",
}
"""One thread for each, nothing from a hub, and nobody is told that it ran."""


class PeerFailed(Exception):
    """A peer raised, ended, or did not answer in time; the message says which."""


class Spent(NamedTuple):
    """Seconds on the clock, and of the peer's process on a processor."""

    wall: float
    cpu: float


class PeerProcess:
    """A worker that was opened: `version` is its distribution's."""

    def __init__(self, process: subprocess.Popen[str], errors: Path) -> None:
        self._process = process
        self._errors = errors
        self.version = str(self._answer(OPENING)["version"])

    def store(self, chat: str, lines: Sequence[Said], limit: float) -> Spent:
        """How long until the lines were stored; raises PeerFailed, also after `limit` seconds."""
        return _spent(self._ask({"store": chat, "lines": lines}, limit))

    def ask(self, chat: str, question: str, k: int, limit: float = 60) -> tuple[list[str], Spent]:
        """Ids of lines, best first, and how long it took; raises PeerFailed."""
        answer = self._ask({"ask": chat, "question": question, "k": k}, limit)
        return list(answer["ids"]), _spent(answer)

    def _ask(self, request: dict[str, Any], limit: float) -> dict[str, Any]:  # Any: JSON
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise PeerFailed(self._last_words()) from error
        return self._answer(limit)

    def _answer(self, limit: float) -> dict[str, Any]:
        assert self._process.stdout is not None
        overdue = Timer(limit, self._process.kill)
        overdue.start()
        line = self._process.stdout.readline()
        expired = not overdue.is_alive()
        overdue.cancel()
        if not line:
            raise PeerFailed(f"no answer within {limit:.0f} s" if expired else self._last_words())
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise PeerFailed(answer["error"])
        return answer

    def _last_words(self) -> str:
        said = self._errors.read_text(errors="replace").strip().splitlines()
        return f"ended with {self._process.wait()}: {said[-1] if said else 'nothing on stderr'}"


def _spent(answer: dict[str, Any]) -> Spent:
    return Spent(float(answer["seconds"]), float(answer["cpu"]))


@contextmanager
def opened(module: str, python: Path) -> Iterator[PeerProcess]:
    """A peer in an empty folder that is gone afterwards; raises PeerFailed."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        data, errors = Path(folder) / "data", Path(folder) / "stderr"
        data.mkdir()
        command = [str(python), "-m", f"benchmarks.peers.{module}", str(data), str(built_in_folder())]
        with errors.open("w") as stderr:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                cwd=data,
                env=os.environ | QUIET | {"PYTHONPATH": str(ROOT), "HOME": folder},
            )
        try:
            yield PeerProcess(process, errors)
        finally:
            process.kill()
            process.communicate()
