"""Starts the programs that a browser test needs and ends them again; waits for conditions, never for time."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


@contextmanager
def running(
    command: Sequence[str], *, folder: Path, log: Path, env: Mapping[str, str] = os.environ
) -> Iterator[subprocess.Popen[bytes]]:
    """A process in `folder` that writes to `log`; asked to end with the block, killed if it does not."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, env=env, stdout=output, stderr=subprocess.STDOUT)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def await_start(
    process: subprocess.Popen[bytes], log: Path, look: Callable[[], T | None], seconds: float = 300
) -> T:
    """What `look` finds once it finds something; raises with the log's end when the process ends first."""
    deadline = time.monotonic() + seconds
    while (found := look()) is None:
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{process.args!r} did not start:\n{log.read_text(errors='replace')[-4000:]}")
        time.sleep(0.05)
    return found


def eventually(look: Callable[[], T], wanted: T, seconds: float = 60) -> T:
    """What `look` finds once that is `wanted`, or at last."""
    deadline = time.monotonic() + seconds
    while (found := look()) != wanted and time.monotonic() < deadline:
        time.sleep(0.05)
    return found
