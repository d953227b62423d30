"""Reconcile: compare what came with what is stored, and plan. Nothing is written here."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from langgraph.runtime import Runtime

from graph.context import TurnContext, session_of_thread
from graph.errors import BadRequest
from graph.state import ChatMessage, Turn, TurnState
from memory.align import Aligner, Alignment, align, with_moved
from memory.aligned import aligned_with
from memory.alignment import without_head
from memory.assigned import AssignedTurns
from memory.files import safe_name
from memory.glue import unled
from memory.incoming import BLANK_LINE, text_of, without
from memory.names import Prompt
from memory.path import Path
from memory.settled import renamed_by
from memory.stored import Message, Session, TreeKey
from memory.transcript import Transcript
from nodes.history import newest_index

ROLES = {"human": "user", "ai": "assistant"}
"""LangChain's names for the roles."""
KNOWN_ROLES = ("system", "developer", "user", "assistant", "tool", "function")
SYSTEM_ROLES = ("system", "developer")

Ahead = Callable[[TurnState, TurnContext], None]


@dataclass(frozen=True)
class Reconcile:
    """Sets every field of the state anew: no node sees a value that an earlier turn left."""

    transcript: Transcript
    align: Aligner = align
    assigned: AssignedTurns = field(default_factory=AssignedTurns)
    ahead: Ahead | None = None
    """What can begin as soon as the plan is there."""

    async def __call__(self, state: TurnState, runtime: Runtime[TurnContext]) -> dict[str, Any]:
        context = runtime.context or TurnContext()
        owner = context.owner
        messages = [openai_shaped(m) for m in state.messages]
        turn = replace(
            turn_of(messages, state.request),
            turn_id=state.request.get("turn_id") or uuid.uuid4().hex,
            session_id=state.request.get("session_id") or self._session_of_run(runtime, owner),
        )
        update = fresh_fields() | vars(turn)
        if turn.kind in ("raw", "test"):
            return update | {"prompt": messages, "prompt_parts": ["history"] * len(messages)}
        session = await self._session(owner, turn.session_id, turn.forked_from)
        key = session.key if session else TreeKey(owner, turn.tree_id or safe_name(turn.session_id))
        alignment = await self._align(turn, key, session)
        tree = await self.transcript.tree(key)
        character, user_name = prompt_of(turn).cast_in(tree)
        renamed = renamed_by(alignment, tree, user_name)
        update |= {"tree_id": key.tree_id, "renamed": [list(pair) for pair in renamed]}
        update |= {"character": character, "user_name": user_name}
        update |= planned(turn, session, alignment)
        if self.ahead is not None:
            self.ahead(TurnState(**update), context)
        return update

    @staticmethod
    def _session_of_run(runtime: Runtime[TurnContext], owner: str) -> str:
        info = runtime.execution_info
        if info is None or info.thread_id is None:
            return uuid.uuid4().hex
        return session_of_thread(info.thread_id, owner)

    async def _session(self, owner: str, session_id: str, forked_from: str) -> Session | None:
        session = await self.transcript.session(owner, session_id)
        if session is None and forked_from:
            session = await self.transcript.session(owner, forked_from)
        return session

    async def _align(
        self,
        turn: Turn,
        key: TreeKey,
        session: Session | None,
    ) -> Alignment:
        alignment = await self._aligned(turn, key, session)
        if turn.is_whole:
            alignment = without_head(alignment)
        if not alignment.holes:
            return alignment
        system = "\n".join(text_of(m.get("content")) for m in turn.messages if m["role"] in SYSTEM_ROLES)
        absent = await self.transcript.messages(key, alignment.holes)
        moved = _moved_into(system, absent)
        return with_moved(alignment, moved) if moved else alignment

    async def _aligned(self, turn: Turn, key: TreeKey, session: Session | None) -> Alignment:
        """What the window is to the path, as it was found with the session or found out now."""
        prompt = prompt_of(turn)
        continues, pinned = turn.kind == "continue", not turn.forked_from
        found = self.assigned.alignment(turn.turn_id, prompt, session, continues=continues, again=turn.again)
        if found is not None and pinned:
            return found
        tree = await self.transcript.tree(key)
        path = session.path if session else Path([])
        window = prompt.window_in(tree)
        again = turn.again
        return await aligned_with(
            path, window, self.transcript, key, self.align, pinned=pinned, continues=continues, again=again
        )


def _moved_into(system: str, absent: Sequence[Message]) -> set[int]:
    """Which messages of a path a system text shows: of those with the same words the last ones, as many as it does.

    A front-end may write them without their blank lines.
    """
    lines, times, moved = BLANK_LINE.sub("\n", system), dict[str, int](), set[int]()
    for message in reversed(absent):
        text = BLANK_LINE.sub("\n", unled(without(message.speaker, message.text.strip())))
        if text not in times:
            times[text] = len(re.findall(rf"(?<!\w){re.escape(text)}(?!\w)", lines)) if text else 0
        times[text] -= 1
        if times[text] >= 0:
            moved.add(message.id)
    return moved


def prompt_of(turn: Turn) -> Prompt:
    """A turn's messages, to be read as what its people said."""
    return Prompt(turn.as_spoken(), turn.names, turn.user_name, turn.character)


def planned(turn: Turn, session: Session | None, alignment: Alignment) -> dict[str, Any]:
    """The plan as state: rows of the window with the ids they have, the path, and what is answered."""
    window, kind = alignment.window, turn.kind
    rows: list[dict[str, Any]] = [
        {
            "index": row.index,
            "id": message_id,
            "role": row.role,
            "speaker": row.speaker,
            "fingerprint": row.fingerprint,
            "unsettled": row.unsettled,
        }
        | ({} if row.text == text_of(turn.messages[row.index].get("content")) else {"text": row.text})
        for row, message_id in zip(window, alignment.rows, strict=True)
    ]
    last_user = newest_index(turn)
    lengthened = kind == "continue" and bool(window) and window[-1].role == "assistant"
    on_path = {row["id"] for row in rows}
    shown = Path(alignment.path)
    marks = (session.history_from, session.window_from) if session else (None, None)
    held, shown_from = (None if mark is None else shown.position(mark) for mark in marks)
    first = rows[0] if rows else None
    return {
        "change": alignment.change,
        "base_version": session.version if session else 0,
        "path": alignment.path,
        "window": rows,
        "newest": next((r.text for r in reversed(window) if r.index == last_user and r.role == "user"), ""),
        "continues": len(window) - 1 if lengthened else None,
        "held": held,
        "shown_from": shown_from,
        "most_tokens": session.window_tokens if session else 0,
        "moved": _moved(shown, first, on_path),
        "settled": [[said.id, said.text, said.fingerprint] for said in alignment.settled],
        "glue": list(alignment.glue),
    }


def _moved(path: Path, first: dict[str, Any] | None, in_window: set[int | None]) -> list[int]:
    """Stored messages between the window's rows that are on the path without standing in the request."""
    if first is None:
        return []
    start = path.position(first["id"] if first["id"] is not None else -1)
    return [i for i in path.slice(start or 0) if i > 0 and i not in in_window]


def fresh_fields() -> dict[str, Any]:
    """The default of every field of the state; the ephemeral `request` ends by itself."""
    fresh = vars(TurnState(messages=[]))
    return {name: value for name, value in fresh.items() if name != "request"}


def turn_of(messages: list[ChatMessage], request: Mapping[str, Any]) -> Turn:
    """The turn that a run's input describes; raises BadRequest for a field that no turn has."""
    known = {f.name for f in fields(Turn)} - {"messages"}
    unknown = sorted(set(request) - known)
    if unknown:
        raise BadRequest(f"Unknown field {unknown[0]!r} in request; allowed: {', '.join(sorted(known))}.")
    return Turn(messages, **request)


def openai_shaped(message: Any) -> ChatMessage:
    """One message in OpenAI's shape, from OpenAI's or LangChain's dict; raises BadRequest for anything else.

    `message` is Any because it comes from outside unchecked.
    """
    if not isinstance(message, dict):
        raise BadRequest("Every message must be an object with role and content.", param="messages")
    role = str(message.get("role") or message.get("type") or "")
    role = ROLES.get(role, role)
    if role not in KNOWN_ROLES:
        raise BadRequest(
            f"Unknown message role {role!r}; allowed: {', '.join(KNOWN_ROLES)}.", param="messages"
        )
    shaped = {k: v for k, v in message.items() if k not in ("type", "role")}
    return {"role": role, **shaped}
