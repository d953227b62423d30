"""Small files as SillyTavern writes them."""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path
from typing import Any

HEADER = {"chat_metadata": {}, "user_name": "unused", "character_name": "unused"}
DAY = "2024-03-{:02}T10:00:00.000Z"

CARD: dict[str, Any] = {  # Any: JSON
    "spec": "chara_card_v2",
    "spec_version": "2.0",
    "data": {
        "name": "Mira",
        "description": "{{char}} keeps a lighthouse.",
        "first_mes": "*Mira waves.* Hello, {{user}}.",
        "extensions": {"world": "Coast"},
        "character_book": {
            "name": "MiraBook",
            "entries": [{"id": 0, "keys": ["lantern"], "content": "The lantern is called Old Greta."}],
        },
    },
}
WORLD: dict[str, Any] = {
    "entries": {
        "0": {"uid": 0, "key": ["cellar"], "content": "The cellar is flooded.", "order": 7, "constant": True},
        "1": {"uid": 1, "key": ["gull"], "content": "The gull is named Percy.", "disable": True},
    }
}


def line(name: str, text: str, day: int = 1, **more: Any) -> dict[str, Any]:
    """A message; the user is Alex (Any: JSON)."""
    said = {"name": name, "is_user": name == "Alex", "is_system": False, "mes": text}
    return {**said, "send_date": DAY.format(day), "extra": {}, **more}


def chat(*lines: dict[str, Any] | str, header: dict[str, Any] | None = None) -> bytes:
    """A chat file; a string is a line as it stands."""
    rows = [HEADER if header is None else header, *lines]
    return "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows).encode()


def png(card: dict[str, Any], keyword: str = "chara") -> bytes:
    """A PNG that carries a card."""
    text = keyword.encode() + b"\0" + base64.b64encode(json.dumps(card).encode())
    chunks = b"".join(
        len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")
        for kind, data in ((b"tEXt", text), (b"IEND", b""))
    )
    return b"\x89PNG\r\n\x1a\n" + chunks


def user_folder(root: Path, chats: dict[str, bytes]) -> Path:
    """A SillyTavern user's folder; `chats` by their path in it."""
    files = {
        "characters/Mira.png": png(CARD),
        "worlds/Coast.json": json.dumps(WORLD).encode(),
        "groups/1.json": b'{"id": "1", "members": ["Mira.png", "Tobias.png"], "chats": ["g1"]}',
        "settings.json": b'{"world_info_settings": {"world_info": {"globalSelect": ["Coast"]}}}',
        "thumbnails/avatar/Mira.png": b"no card",
        "backups/chat_mira_1.jsonl": chat(line("Alex", "An old copy.")),
        **chats,
    }
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root
