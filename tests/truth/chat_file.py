"""A chat as SillyTavern 1.19 writes it to its file."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from tests.truth.chat import Chat, Said


def written(chat: Chat, *, makes_id: bool) -> bytes:
    """The file's content: what was deleted is not there, what is hidden is marked.

    `makes_id`: the chat keeps the id among its variables that its first request made.
    """
    is_group = len(chat.characters) > 1
    variables = {"memory_id": chat.chat_id} if makes_id and chat.asked else {}
    metadata = {"variables": variables} | ({"main_chat": chat.main_chat} if chat.main_chat else {})
    header = {"chat_metadata": metadata, "user_name": "unused", "character_name": "unused"}
    rows = [header, *(_line(said, is_group=is_group) for said in chat.said if not said.gone)]
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
    if said.role == "user":
        line["force_avatar"] = f"User Avatars/{said.speaker}.png"
    if said.role == "assistant":
        info = [{"send_date": _date(at), "extra": {}} for at in said.dates]
        line |= {"swipes": list(said.swipes), "swipe_id": said.at, "swipe_info": info}
        line |= {"original_avatar": f"{said.speaker}.png"} if is_group else {}
    return line


def _date(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
