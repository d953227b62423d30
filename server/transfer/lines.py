"""Reading JSON lines of any origin: bounded, numbered, and what is broken loses nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import IO, Any

LONGEST_LINE = 16 * 2**20
"""Bytes; a message of a chat has kilobytes."""
_BOM = b"\xef\xbb\xbf"


def json_lines(file: IO[bytes]) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """Number and object of each line that is not blank, or what is wrong with it (Any: JSON)."""
    number = 0
    while line := file.readline(LONGEST_LINE + 1):
        number += 1
        if len(line) > LONGEST_LINE:
            _skip_rest(file, line)
            yield number, "the line is too long"
        elif line.strip():
            yield number, _object(line.removeprefix(_BOM) if number == 1 else line)


def _skip_rest(file: IO[bytes], line: bytes) -> None:
    while line and not line.endswith(b"\n"):
        line = file.readline(LONGEST_LINE)


def _object(line: bytes) -> dict[str, Any] | str:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return "the line is not JSON"
    return value if isinstance(value, dict) else "the line is not a JSON object"


def clean(text: str) -> str:
    """Text that can be stored: halves of surrogate pairs, which JSON can hold, are replaced."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def stripped(value: object) -> str:
    """A text of a file without the blanks around it, cleaned; empty for what is none."""
    return clean(value).strip() if isinstance(value, str) else ""
