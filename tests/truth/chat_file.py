"""A chat as SillyTavern 1.19 writes it to its file."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from tests.truth.chat import Chat, Said

HEADER = {"chat_metadata": {}, "user_name": "unused", "character_name": "unused"}


def written(chat: Chat) -> bytes:
    """The file's content: what was deleted is not there, what is hidden is marked."""
    is_group = len(chat.characters) > 1
    rows = [HEADER, *(_line(said, is_group=is_group) for said in chat.said if not said.gone)]
    return "\n".join(map(json.dumps, rows)).encode()


def _line(said: Said, *, is_group: bool) -> dict[str, Any]:  # Any: JSON
    line: dict[str, Any] = {
        "name": said.speaker,
        "is_user": said.role == "user",
        "is_system": said.hidden,
        "send_date": _date(said.dates[said.at]),
        "mes": said.text,
        "extra": {},
    }
    if said.role == "assistant":
        info = [{"send_date": _date(at), "extra": {}} for at in said.dates]
        line |= {"swipes": list(said.swipes), "swipe_id": said.at, "swipe_info": info}
        line |= {"original_avatar": f"{said.speaker}.png"} if is_group else {}
    return line


def _date(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
