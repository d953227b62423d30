"""Reads character cards: JSON (V1, V2, V3) and PNG files that carry one."""

from __future__ import annotations

import base64
import binascii
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graph.errors import BadRequest
from graph.state import ChatMessage
from server.sillytavern import DEFAULT, EXAMPLE_NAMES, MAIN_PROMPT

MAX_FILE_BYTES = 64 * 2**20
MAX_CARD_BYTES = 16 * 2**20
"""Most that a card may be once unpacked; real ones have kilobytes."""

_PNG = b"\x89PNG\r\n\x1a\n"
_TEXT_CHUNKS = (b"tEXt", b"zTXt", b"iTXt")
_KEYWORDS = ("ccv3", "chara")
"""Chunks that hold a card, the newer format first."""
_SPECS = ("chara_card_v2", "chara_card_v3")
_PYGMALION = {
    "char_name": "name",
    "char_persona": "description",
    "world_scenario": "scenario",
    "char_greeting": "first_mes",
    "example_dialogue": "mes_example",
}
_MACRO = re.compile(r"\{\{\s*(user|char)\s*\}\}|<(user|bot|char)>", re.IGNORECASE)
_START = re.compile(r"^\s*<START>\s*$", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class BookEntry:
    """One entry of a card's lorebook."""

    keys: list[str]
    content: str
    enabled: bool = True
    constant: bool = False
    """Always part of the prompt, whatever was said."""
    insertion_order: float = 100
    position: str = "before_char"
    """before_char or after_char."""


@dataclass(frozen=True, slots=True)
class CharacterCard:
    """A character as its card defines it, macros unfilled; missing fields are empty."""

    name: str
    description: str = ""
    personality: str = ""
    scenario: str = ""
    first_mes: str = ""
    mes_example: str = ""
    system_prompt: str = ""
    post_history_instructions: str = ""
    nickname: str = ""
    """V3: what {{char}} stands for instead of the name."""
    alternate_greetings: tuple[str, ...] = ()
    book: tuple[BookEntry, ...] = ()

    @property
    def called(self) -> str:
        """What {{char}} stands for."""
        return self.nickname or self.name


_TEXT_FIELDS = (
    "description",
    "personality",
    "scenario",
    "first_mes",
    "mes_example",
    "system_prompt",
    "post_history_instructions",
    "nickname",
)


def read_card(source: Path | str | bytes) -> CharacterCard:
    """Read a card from a file or its bytes; raises BadRequest saying what is wrong with it."""
    return card_of(card_json(source))


def card_json(source: Path | str | bytes) -> dict[str, Any]:  # Any: a card as it came
    """A card's JSON, unchecked; raises BadRequest where there is none."""
    raw = source if isinstance(source, bytes) else _read_file(Path(source))
    if not raw.startswith(_PNG):
        return _json_of(raw, "The file is neither a PNG nor JSON")
    carried = {keyword.lower(): text for keyword, text in _texts(raw)}
    found = [carried[keyword] for keyword in _KEYWORDS if keyword in carried]
    if not found:
        raise BadRequest("The PNG holds no character card.")
    if len(found) == 2 and (newer := _undamaged(found[0])) is not None:
        return newer
    return _json_of(_unwrapped(found[-1]), "The PNG's character card is not JSON")


def _undamaged(text: bytes) -> dict[str, Any] | None:  # Any: a card as it came
    """The card in a chunk beside which there is an older one; None where only that one can be read."""
    try:
        return _json_of(_unwrapped(text), "")
    except BadRequest:
        return None


def fill(text: str, char: str, user: str) -> str:
    """Put names in the place of {{char}}, {{user}}, <BOT> and <USER>, in any case."""
    return _MACRO.sub(lambda found: user if (found[1] or found[2]).lower() == "user" else char, text)


def messages_of(card: CharacterCard, user_name: str, said: Sequence[ChatMessage] = ()) -> list[ChatMessage]:
    """The prompt that a front-end would send: definition, examples, greeting, then what was `said`.

    Of the lorebook only constant entries are part of it. Post-history instructions come last, once
    something was said.
    """
    opening = [_system(section) for section in _sections(card)]
    opening += [*_examples(card, user_name), _system(DEFAULT.new_chat)]
    opening.append({"role": "assistant", "content": card.first_mes})
    closing = [_system(card.post_history_instructions)] if said else []
    return [*_filled(opening, card, user_name), *said, *_filled(closing, card, user_name)]


def _sections(card: CharacterCard) -> list[str]:
    main = card.system_prompt.replace("{{original}}", MAIN_PROMPT) or MAIN_PROMPT
    lore = sorted((e for e in card.book if e.enabled and e.constant), key=lambda e: e.insertion_order)
    before = [entry.content for entry in lore if entry.position != "after_char"]
    after = [entry.content for entry in lore if entry.position == "after_char"]
    return [main, *before, card.description, card.personality, card.scenario, *after]


def _examples(card: CharacterCard, user_name: str) -> Iterator[ChatMessage]:
    """Each block of example messages with its heading; a line that begins with a speaker begins a message."""
    speakers = {"example_user": f"{user_name}:", "example_assistant": f"{card.called}:"}
    for block in _START.split(fill(card.mes_example, card.called, user_name)):
        messages: list[ChatMessage] = []
        for line in block.strip().splitlines():
            name = next((name for name in EXAMPLE_NAMES if line.startswith(speakers[name])), None)
            if name is not None:
                said = line.removeprefix(speakers[name]).strip()
                messages.append({"role": "system", "name": name, "content": said})
            elif messages:
                messages[-1]["content"] += f"\n{line}"
        if messages:
            yield from [_system(DEFAULT.example_chat), *messages]


def _system(content: str) -> ChatMessage:
    return {"role": "system", "content": content}


def _filled(messages: Sequence[ChatMessage], card: CharacterCard, user_name: str) -> list[ChatMessage]:
    filled = [m | {"content": fill(m["content"], card.called, user_name).strip()} for m in messages]
    return [message for message in filled if message["content"]]


# the file


def _read_file(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise BadRequest(f"{path.name} is too large for a character card.")
        return path.read_bytes()
    except OSError as error:
        raise BadRequest(f"Cannot read {path}: {error.strerror}.") from None


def _texts(png: bytes) -> Iterator[tuple[str, bytes]]:
    """Keyword and text of each text chunk."""
    at = len(_PNG)
    while at < len(png):
        length, kind = int.from_bytes(png[at : at + 4], "big"), png[at + 4 : at + 8]
        data = png[at + 8 : at + 8 + length]
        if len(kind) < 4 or len(data) < length:
            raise BadRequest("The PNG is truncated.")
        if kind == b"IEND":
            return
        if kind in _TEXT_CHUNKS:
            keyword, _, rest = data.partition(b"\0")
            yield keyword.decode("latin-1"), _chunk_text(kind, rest)
        at += 12 + length
    raise BadRequest("The PNG is truncated.")


def _chunk_text(kind: bytes, rest: bytes) -> bytes:
    """What follows the keyword, unpacked: zTXt has a method byte; iTXt a flag, a method, two more strings."""
    if kind == b"tEXt":
        return rest
    if kind == b"zTXt":
        return _inflated(rest[1:])
    _, _, text = rest[2:].partition(b"\0")[2].partition(b"\0")
    return _inflated(text) if rest[:1] == b"\1" else text


def _inflated(packed: bytes) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(packed, MAX_CARD_BYTES)
    except zlib.error:
        raise BadRequest("The PNG's text is damaged.") from None
    if not unpacker.eof:
        raise BadRequest("The PNG's text is cut off or too large.")
    return text


def _unwrapped(text: bytes) -> bytes:
    if text.lstrip().startswith(b"{"):
        return text
    try:
        return base64.b64decode(b"".join(text.split()), validate=True)
    except binascii.Error:
        raise BadRequest("The PNG's character card is damaged (not base64).") from None


def _json_of(raw: bytes, complaint: str) -> dict[str, Any]:  # Any: a card as it came
    if len(raw) > MAX_CARD_BYTES:
        raise BadRequest("The file is too large for a character card.")
    try:
        content = json.loads(raw.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise BadRequest(f"{complaint}.") from None
    if not isinstance(content, dict):
        raise BadRequest("The JSON is no character card.")
    return content


# the card


def card_of(content: dict[str, Any]) -> CharacterCard:
    """The card that a JSON describes; raises BadRequest saying what is wrong with it."""
    nested = content.get("data")
    if content.get("spec") in _SPECS and not isinstance(nested, dict):
        raise BadRequest("The character card has no data.")
    data = nested if isinstance(nested, dict) else _renamed(content)
    if not any(field in data for field in ("description", "personality", "first_mes")):
        raise BadRequest("The JSON is no character card.")
    name = _text(data, "name").strip()
    if not name:
        raise BadRequest("The character card has no name.", param="name")
    greetings = _texts_of(data.get("alternate_greetings"))
    texts = {field: _text(data, field) for field in _TEXT_FIELDS}
    return CharacterCard(name, **texts, alternate_greetings=tuple(greetings), book=_book(data))


def _renamed(content: dict[str, Any]) -> dict[str, Any]:
    """A card without `data`: V1's fields, also where Pygmalion's names are used for them."""
    if "char_name" not in content or "name" in content:
        return content
    return {_PYGMALION.get(field, field): value for field, value in content.items()}


def _text(data: dict[str, Any], field: str) -> str:
    value = data.get(field)
    if value is not None and not isinstance(value, str | int | float):
        raise BadRequest(f"The character card's {field} is not a text.", param=field)
    return "" if value is None else str(value)


def _texts_of(values: object) -> list[str]:
    """The texts of a list; what else stands in it, or in its place, is left out."""
    return [str(v) for v in values if isinstance(v, str | int | float)] if isinstance(values, list) else []


def _book(data: dict[str, Any]) -> tuple[BookEntry, ...]:
    """The entries of a book that has any; they may be a list, or numbered as in a file of a world's."""
    book = data.get("character_book")
    entries = book.get("entries") if isinstance(book, dict) else None
    numbered = entries.values() if isinstance(entries, dict) else entries
    listed = numbered if isinstance(numbered, Iterable) and not isinstance(numbered, str) else ()
    return tuple(_entry(entry) for entry in listed if isinstance(entry, dict))


def _entry(entry: dict[str, Any]) -> BookEntry:
    order = entry.get("insertion_order")
    return BookEntry(
        keys=_texts_of(entry.get("keys", entry.get("key"))),
        content=_text(entry, "content"),
        enabled=entry.get("enabled") is not False,
        constant=entry.get("constant") is True,
        insertion_order=order if isinstance(order, int | float) else 100,
        position="after_char" if entry.get("position") == "after_char" else "before_char",
    )
