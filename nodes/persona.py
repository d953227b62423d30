"""persona: finds the character's card in the prompt, tells it from the user's persona, notices edits."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from langgraph.runtime import Runtime

from graph.context import TurnContext
from graph.state import ChatMessage, TurnState
from memory.incoming import text_of
from memory.stored import TreeKey
from memory.transcript import Transcript
from nodes.card_text import About, Cast, about, boundary, declared_name, defines_someone, mentions

SECTIONS_AFTER_DESCRIPTION = 2
"""Personality and scenario follow the description; what comes later is the card's if it names them."""
SECTIONS_OF_A_CARD = 3
"""Description, personality, scenario: of more nameless messages the first is the user's persona."""
LINES = 2_000
"""Lines of a merged block that are told apart; the rest of it counts as one more."""


@dataclass(frozen=True)
class Persona:
    """The node. `store` keeps what changed."""

    transcript: Transcript

    async def __call__(self, state: TurnState, runtime: Runtime[TurnContext]) -> dict[str, Any]:
        """Set `card`; where the prompt holds none its text is empty and nothing changed."""
        found = find_card(state.messages, state.character, state.user_name)
        key = TreeKey(runtime.context.owner if runtime.context else "local", state.tree_id)
        known = await self.transcript.card(key, found.name) if found.text else None
        same = known is not None and (known.hash, known.user_persona) == (found.hash, found.user_persona)
        return {
            "card": {
                "name": found.name,
                "text": found.text,
                "user_persona": found.user_persona,
                "hash": found.hash,
                "rows": found.rows,
                "changed": bool(found.text) and not same,
            }
        }


@dataclass(frozen=True, slots=True)
class FoundCard:
    """A character's definition as the prompt shows it; empty when it shows none."""

    name: str = ""
    text: str = ""
    user_persona: str = ""
    rows: list[int] = field(default_factory=list)
    """Indices of the messages that hold `text`."""

    @property
    def hash(self) -> str:
        """blake2b-128 of the text, hex."""
        return hashlib.blake2b(self.text.encode(), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class _Piece:
    row: int
    start: int
    text: str
    about: About = "unsaid"

    @property
    def end(self) -> int:
        return self.start + len(self.text)


def find_card(messages: Sequence[ChatMessage], character: str, user_name: str) -> FoundCard:
    """Find the card in separate system messages, one merged block, or the first message.

    Names may be empty; then the card's own words say who it is about. The user's persona is the text about
    the user, otherwise the nameless text right before the description.
    """
    pieces = list(_opening(messages))
    cast = _cast(pieces, character, user_name)
    pieces = _judged(pieces, cast)
    at = _description(pieces)
    if at is None:
        persona, card = _nameless(pieces)
    else:
        at = _heading(pieces, at)
        persona = _user_persona(pieces, at)
        persona, card = _rest(pieces, at, persona, cast)
    rows = sorted({piece.row for piece in card})
    return FoundCard(cast.character, _joined(card, messages), _joined(persona, messages), rows)


# the opening


def _opening(messages: Sequence[ChatMessage]) -> Iterator[_Piece]:
    """The pieces before the examples and the chat: a message each, or the lines of a merged block."""
    head: list[tuple[int, str]] = []
    for row, message in enumerate(messages):
        if message.get("role") not in ("system", "developer") or message.get("name"):
            break
        text = text_of(message.get("content"))
        end = boundary(text)
        head.append((row, text[:end]))
        if end < len(text):
            break
    if not head and messages and defines_someone(text := text_of(messages[0].get("content"))):
        head = [(0, text[: boundary(text)])]
    for row, opening in head:
        if len(head) == 1 or (about(opening, Cast()) == "rule" and "\n" in opening):
            yield from _lines(row, opening)
        elif opening.strip():
            yield _Piece(row, 0, opening)


def _lines(row: int, text: str) -> Iterator[_Piece]:
    start = 0
    for line in text.split("\n", LINES):
        if line.strip():
            yield _Piece(row, start, line.rstrip("\r\n"))
        start += len(line) + 1


# who is meant


def _cast(pieces: Sequence[_Piece], character: str, user_name: str) -> Cast:
    """The known names, and where the character's is unknown, whom the text declares.

    Of two persons declared by the first two descriptions the first is the user: front-ends send it first.
    """
    if character:
        return Cast(character, user_name)
    declared = [
        name
        for piece in pieces
        if about(piece.text, Cast("", user_name)) not in ("rule", "aside", "user")
        and (name := declared_name(piece.text))
    ]
    if not user_name and len(declared) > 1 and declared[0] != declared[1]:
        return Cast(declared[1], declared[0])
    return Cast(declared[0] if declared else "", user_name)


# the parts


def _judged(pieces: Sequence[_Piece], cast: Cast) -> list[_Piece]:
    """Each piece with what it is; the lines of a dialogue quoted under an aside belong to it."""
    judged: list[_Piece] = []
    speakers = tuple(f"{name}:" for name in (cast.character, cast.user) if name)
    for piece in pieces:
        above = judged[-1] if judged else None
        quoted = above is not None and (above.row, above.about) == (piece.row, "aside")
        said = quoted and piece.text.startswith(speakers)
        judged.append(replace(piece, about="aside" if said else about(piece.text, cast)))
    return judged


def _description(pieces: Sequence[_Piece]) -> int | None:
    """Index of the piece that begins the character's description."""
    kinds = [piece.about for piece in pieces]
    for wanted in ("character", "staging"):
        if wanted in kinds:
            return kinds.index(wanted)
    users = [i for i, kind in enumerate(kinds) if kind == "user"]
    following = users[0] + 1 if users else len(kinds)
    return following if following < len(kinds) and kinds[following] == "unsaid" else None


def _user_persona(pieces: Sequence[_Piece], at: int) -> list[_Piece]:
    """What stands before the description about the user: by name, or the nameless text right before it."""
    users = [i for i in range(at) if pieces[i].about == "user"]
    if not users:
        before = pieces[at - 1] if at else None
        separate = before is not None and before.row != pieces[at].row
        return [before] if before is not None and separate and before.about == "unsaid" else []
    last = users[-1]
    while last + 1 < at and pieces[last + 1].about == "unsaid" and pieces[last + 1].row == pieces[last].row:
        last += 1
    return [piece for piece in pieces[users[0] : last + 1] if piece.about in ("user", "unsaid")]


def _heading(pieces: Sequence[_Piece], at: int) -> int:
    """Take the markup lines right above the description into it ("### Character", "[", "<mira>")."""
    while at and (above := pieces[at - 1]).row == pieces[at].row and above.about == "unsaid":
        line = above.text.strip()
        if above.end + 1 < pieces[at].start or not (line[0] in "#<[{(=" or line.endswith(":")):
            break
        at -= 1
    return at


def _rest(
    pieces: Sequence[_Piece], at: int, persona: list[_Piece], cast: Cast
) -> tuple[list[_Piece], list[_Piece]]:
    """Sort what follows the description: the card's other parts, and a user's persona that came late."""
    card, sections = [], 0
    for piece in pieces[at:]:
        sections += piece.row != pieces[at].row
        inside = piece.row == pieces[at].row
        late_persona = piece.about == "user" and not persona and not mentions(piece.text, cast.character)
        if piece.about in ("aside", "rule") and piece is not pieces[at]:
            continue
        if late_persona and not (inside and piece.text.lstrip().startswith(f"{cast.user}:")):
            persona = [piece]
        elif inside or piece.about == "character":
            card.append(piece)
        elif piece.about in ("unsaid", "user") and sections <= SECTIONS_AFTER_DESCRIPTION:
            card.append(piece)
    return persona, card


def _nameless(pieces: Sequence[_Piece]) -> tuple[list[_Piece], list[_Piece]]:
    """A card that names nobody."""
    users = [piece for piece in pieces if piece.about == "user"]
    unsaid = [piece for piece in pieces if piece.about == "unsaid"]
    if not users and len({piece.row for piece in unsaid}) > SECTIONS_OF_A_CARD:
        return unsaid[:1], unsaid[1:]
    return users, unsaid


def _joined(pieces: Sequence[_Piece], messages: Sequence[ChatMessage]) -> str:
    """The pieces' text, with what stood between neighbours of one message."""
    texts = {row: text_of(messages[row].get("content")) for row in {piece.row for piece in pieces}}
    out = ""
    for before, piece in zip([None, *pieces], pieces, strict=False):
        if before is not None:
            gap = texts[piece.row][before.end : piece.start] if before.row == piece.row else ""
            out += gap if gap.strip() == "" and gap else "\n"
        out += piece.text
    return out.strip()
