"""Store: apply plan and reply in one transaction."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from langgraph.runtime import Runtime

from graph.context import TurnContext
from graph.state import TurnState
from memory.incoming import row_of, text_of
from memory.path import Path
from memory.stored import Card, Committed, NewMessage, Settled, TreeKey, TurnWrite
from memory.transcript import Transcript
from memory.working import WorkingMemory
from nodes.history import first_shown, most_tokens, newest_index
from nodes.other_chats import is_group


@dataclass(frozen=True)
class Store:
    """What is acknowledged is kept: the transaction is durable when this node returns."""

    transcript: Transcript
    working: WorkingMemory

    async def __call__(self, state: TurnState, runtime: Runtime[TurnContext]) -> dict[str, Any]:
        key = TreeKey((runtime.context or TurnContext()).owner, state.tree_id)
        write = turn_write(state, key)
        committed = await self.transcript.commit(write)
        newest = committed.path.slice(len(committed.path) - self.working.size)
        await self.working.put(
            key.owner, state.session_id, committed.version, await self.transcript.messages(key, newest)
        )
        return {"stored": stored(state, committed)}


def turn_write(state: TurnState, key: TreeKey) -> TurnWrite:
    """The transaction of a turn: its path with the new rows, its replies, its card when that changed."""
    replies = [r["text"] for r in state.replies if r["remembered"]]
    before = ""
    path, rows = state.path, [i for i, row in enumerate(state.window) if row["id"] is None]
    if state.continues is not None and replies:
        before = text_of_row(state, state.continues)
        path = Path(path).prefix(len(Path(path)) - 1).ranges
        rows = [i for i in rows if i != state.continues]
    numbers = {row: n for n, row in enumerate(rows)}
    return TurnWrite(
        key=key,
        session_id=state.session_id,
        turn_id=state.turn_id,
        path=[[-numbers[-a - 1] - 1] * 2 if a < 0 else [a, b] for a, b in path],
        new=[new_message(state, row) for row in rows],
        replies=[reply_message(state, before + text) for text in replies],
        chat_id=state.chat_id,
        character=state.card.get("name") or state.character,
        user_name=state.user_name,
        is_group=is_group(state),
        person=state.person,
        avatar=state.avatar,
        forked_from=state.forked_from,
        card=card_of(state),
        history_from=state.history_from,
        window_from=first_shown(state) if state.window else None,
        window_tokens=most_tokens(state),
        settled=[Settled(*said) for said in state.settled],
        glue=state.glue,
        renamed=[(i, name) for i, name in state.renamed],
    )


def new_message(state: TurnState, row: int) -> NewMessage:
    """A row of the window that is not stored yet; the newest message's emotion is known already."""
    shown = state.window[row]
    message = NewMessage(
        shown["role"],
        shown["speaker"] or speaker_of(state, shown["role"]),
        text_of_row(state, row),
        shown["fingerprint"],
        shown["unsettled"],
    )
    if shown["role"] != "user" or row != newest_row(state):
        return message
    return replace(
        message,
        emotion=state.emotion,
        confidence=state.confidence,
        importance=state.importance,
        emotion_known=True,
    )


def text_of_row(state: TurnState, row: int) -> str:
    """What a row of the window says: its message's text, or the part of it that was read as this row."""
    shown = state.window[row]
    return str(shown["text"]) if "text" in shown else text_of(state.messages[shown["index"]].get("content"))


def speaker_of(state: TurnState, role: str) -> str:
    """Who speaks where the message does not say; nobody is guessed among several characters."""
    if role == "user":
        return state.user_name
    others = set(state.names) - {state.user_name}
    return "" if len(others) > 1 else state.character or state.card.get("name", "")


def newest_row(state: TurnState) -> int | None:
    """The row of the message that this turn answers; none where that has no text."""
    newest = newest_index(state)
    rows = [i for i, row in enumerate(state.window) if row["index"] == newest and row["role"] == "user"]
    return rows[-1] if rows else None


def reply_message(state: TurnState, text: str) -> NewMessage:
    """A reply as it is stored; its emotion is read later, from the outbox."""
    speaker = state.character or state.card.get("name", "")
    said = row_of("assistant", "", text, [name for name in (speaker, *state.names) if name])
    return NewMessage("assistant", speaker, text, said.fingerprint)


def card_of(state: TurnState) -> Card | None:
    """The card, when it is new or edited."""
    if not state.card.get("changed"):
        return None
    return Card(state.card["name"], state.card["text"], state.card["user_persona"], state.card["hash"])


def stored(state: TurnState, committed: Committed) -> dict[str, Any]:
    """What the transaction left, as state."""
    return {
        "session_id": state.session_id,
        "tree_id": state.tree_id,
        "version": committed.version,
        "length": len(committed.path),
        "message_ids": committed.new_ids,
        "reply_ids": committed.reply_ids,
        "path": committed.path.ranges,
    }
