"""SillyTavern's dates, in all the ways it has written them."""

from __future__ import annotations

import math
import re
from datetime import datetime

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_SPOKEN = re.compile(
    r"([a-z]{3})[a-z]*\.? (\d{1,2}), (\d{4}),? (\d{1,2}):(\d{2})(?::(\d{2}))? ?([ap])m", re.I
)
_HUMANIZED = re.compile(
    r"(\d{4})-(\d{1,2})-(\d{1,2}) ?@ ?(\d{1,2})h ?(\d{1,2})m ?(\d{1,2})s(?: ?(\d{1,3})ms)?", re.I
)
_MILLISECONDS_FROM = 1e11
"""Larger numbers are milliseconds: as seconds they would lie beyond the year 5000."""
_LATEST = 4102444800.0
"""The year 2100; what lies beyond is no date of a chat."""


def parse_date(value: object) -> float | None:
    """Unix seconds of a `send_date`; None for what is no date. Times without a zone are this machine's.

    Known are: ISO 8601, "June 19, 2023 4:13pm", "2023-07-16@13h22m11s123ms", the same with blanks, and
    milliseconds (or seconds) since 1970 as number or text.
    """
    if isinstance(value, str):
        text = value.strip()
        seconds = _number(text) if text.isascii() and text.isdigit() else _written(text)
    else:
        seconds = _number(value)
    return seconds if seconds is not None and 0 < seconds < _LATEST else None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    if not math.isfinite(number):
        return None
    return number / 1000 if number >= _MILLISECONDS_FROM else number


def _written(text: str) -> float | None:
    try:
        return (_spoken(text) or _humanized(text) or datetime.fromisoformat(text)).timestamp()
    except (ValueError, OverflowError, OSError):
        return None


def _spoken(text: str) -> datetime | None:
    found = _SPOKEN.search(text)
    if found is None or found[1].lower() not in _MONTHS:
        return None
    hour = int(found[4]) % 12 + (12 if found[7].lower() == "p" else 0)
    month = _MONTHS.index(found[1].lower()) + 1
    return datetime(int(found[3]), month, int(found[2]), hour, int(found[5]), int(found[6] or 0))


def _humanized(text: str) -> datetime | None:
    found = _HUMANIZED.search(text)
    if found is None:
        return None
    year, month, day, hour, minute, second, milliseconds = (int(part or 0) for part in found.groups())
    return datetime(year, month, day, hour, minute, second, 1000 * milliseconds)
