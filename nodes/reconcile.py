"""Reconcile: compare what came with what is stored, and plan. Nothing is written here."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from langgraph.runtime import Runtime

from graph.context import TurnContext, session_of_thread
from graph.errors import BadRequest
from graph.state import ChatMessage, TurnInput, TurnState
from memory.align import Alignment, Incoming, align, incoming, with_moved
from memory.files import safe_name
from memory.path import Path
from memory.transcript import Session, Transcript, TreeKey
from nodes.layout import text_of

ROLES = {"human": "user", "ai": "assistant", "developer": "system"}
"""LangChain's and OpenAI's newer names for the roles."""
KNOWN_ROLES = ("system", "user", "assistant", "tool", "function")


@dataclass(frozen=True)
class Reconcile:
    """Sets every field of the state anew: no node sees a value that an earlier turn left."""

    transcript: Transcript

    async def __call__(self, state: TurnState, runtime: Runtime[TurnContext]) -> dict[str, Any]:
        owner = (runtime.context or TurnContext()).owner
        messages = [openai_shaped(m) for m in state.messages]
        update = fresh_fields() | {
            "messages": messages,
            "turn_id": state.turn_id or uuid.uuid4().hex,
            "session_id": state.session_id or self._session_of_run(runtime, owner),
        }
        if state.kind in ("raw", "test"):
            return update | {"prompt": messages, "prompt_parts": ["history"] * len(messages)}
        session = await self._session(owner, update["session_id"], state.forked_from)
        key = session.key if session else TreeKey(owner, state.tree_id or safe_name(update["session_id"]))
        window = incoming(messages, state.names)
        alignment = await self._align(state, key, session, window, messages)
        return update | {"tree_id": key.tree_id} | planned(state.kind, session, window, alignment, messages)

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
        state: TurnState,
        key: TreeKey,
        session: Session | None,
        window: Sequence[Incoming],
        messages: Sequence[ChatMessage],
    ) -> Alignment:
        tree = await self.transcript.tree(key)
        path = session.path if session else Path([])
        alignment = align(
            window, path, tree, pinned=not state.forked_from, continues=state.kind == "continue"
        )
        if not alignment.holes:
            return alignment
        system = "\n".join(text_of(m) for m in messages if m["role"] == "system")
        absent = await self.transcript.messages(key, alignment.holes)
        moved = {m.id for m in absent if m.text.strip() and m.text.strip() in system}
        return with_moved(alignment, moved) if moved else alignment


def planned(
    kind: str,
    session: Session | None,
    window: Sequence[Incoming],
    alignment: Alignment,
    messages: Sequence[ChatMessage],
) -> dict[str, Any]:
    """The plan as state: rows of the window with the ids they have, the path, and what is answered."""
    rows = [
        {
            "index": row.index,
            "id": message_id,
            "role": row.role,
            "speaker": row.speaker,
            "fingerprint": row.fingerprint,
        }
        for row, message_id in zip(window, alignment.rows, strict=True)
    ]
    users = [row for row in window if row.role == "user"]
    lengthened = kind == "continue" and bool(window) and window[-1].role == "assistant"
    on_path = {row["id"] for row in rows}
    shown = Path(alignment.path)
    first = next((r for r in rows), None)
    return {
        "change": alignment.change,
        "base_version": session.version if session else 0,
        "path": alignment.path,
        "window": rows,
        "newest": users[-1].text if users else "",
        "continues": len(window) - 1 if lengthened else None,
        "held": shown.position(session.history_from) if session and session.history_from else None,
        "moved": _moved(shown, first, on_path),
    }


def _moved(path: Path, first: dict[str, Any] | None, in_window: set[int | None]) -> list[int]:
    """Stored messages between the window's rows that are on the path without standing in the request."""
    if first is None:
        return []
    start = path.position(first["id"] if first["id"] is not None else -1)
    return [i for i in path.slice(start or 0) if i > 0 and i not in in_window]


def fresh_fields() -> dict[str, Any]:
    """The default of every field that the nodes add to the input."""
    inputs = {f.name for f in fields(TurnInput)}
    return {name: value for name, value in asdict(TurnState(messages=[])).items() if name not in inputs}


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
