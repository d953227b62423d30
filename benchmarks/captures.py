"""Captured requests of a front-end: reading them, what kind each is by its label, and its tag."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graph.state import Kind
from server.sillytavern import interpret

Body = dict[str, Any]  # Any: JSON

EXPECTED: tuple[tuple[str, Kind], ...] = (
    (r"test_message", "test"),
    (r"genraw|summarize_raw|profile_request|include_body_macros\.7|include_body_autoid\.2", "raw"),
    (r"to_loud", "normal"),
    (r"quiet_gen|sysgen|summarize_default|tag_gen$|include_body_macros\.6", "quiet"),
    (r"impersonate|include_body_macros\.5", "impersonate"),
    (r"continue|include_body_macros\.4", "continue"),
)
"""What a capture's name says of its kind, the first match; every other one is a normal turn."""


@dataclass(frozen=True, slots=True)
class Capture:
    """One request as it was sent."""

    n: int
    name: str
    """The file's name without its ending."""
    method: str
    path: str
    headers: Mapping[str, str]
    body: Body | None
    closed_after_s: float | None
    """For a stopped one: seconds after which the front-end closed the connection."""

    @property
    def expected(self) -> Kind:
        return next((kind for pattern, kind in EXPECTED if re.search(pattern, self.name)), "normal")


def read_captures(folder: Path) -> list[Capture]:
    """The requests of a folder (one JSON file each, with its number `n`), in the order they were sent."""
    captures = []
    for file in sorted(folder.glob("*.json")):
        content = json.loads(file.read_bytes())
        if "n" in content:
            captures.append(
                Capture(
                    content["n"],
                    file.stem,
                    content["method"],
                    content["path"],
                    content["headers"],
                    content.get("body"),
                    content.get("closed_after_s"),
                )
            )
    return sorted(captures, key=lambda capture: capture.n)


def digest(folder: Path) -> str:
    """sha256 over names and contents of the folder's JSON files."""
    total = hashlib.sha256()
    for file in sorted(folder.glob("*.json")):
        total.update(file.name.encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()


def without_tag(body: Body) -> Body:
    """The body as a front-end sends it that was told nothing: no `metadata`, no extension's field."""
    return {key: value for key, value in body.items() if key not in ("metadata", "emo")}


def with_tag(body: Body) -> Body | None:
    """The body with its tag where our extension puts it, or None where no tag was captured."""
    tag = body.get("emo")
    if not tag:
        return body if body.get("metadata") else None
    metadata = {"chat_id": tag["chat_id"], "kind": tag["type"], "character": tag["char"]}
    metadata |= {"user_name": tag["user"], "group": tag["group_names"]}
    return without_tag(body) | {"metadata": metadata}


Confusion = dict[str, dict[str, list[str]]]
"""expected kind -> understood kind -> names of captures"""


def confusion(captures: Sequence[Capture], *, tagged: bool) -> Confusion:
    """How kinds are understood: of all captures without the tag, or with it, of those that have one."""
    table: Confusion = {}
    for capture in captures:
        body = capture.body and (with_tag(capture.body) if tagged else without_tag(capture.body))
        if body:
            kind = interpret(body, capture.headers).kind
            table.setdefault(capture.expected, {}).setdefault(kind, []).append(capture.name)
    return table


def mistakes(table: Confusion) -> Counter[tuple[str, str]]:
    """(expected, understood) where they differ, with how often."""
    return Counter(
        {
            (expected, kind): len(names)
            for expected, row in table.items()
            for kind, names in row.items()
            if kind != expected
        }
    )
