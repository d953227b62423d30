"""Foresight: the newest message is embedded from the moment its session is known, before the run begins."""

from __future__ import annotations

from dataclasses import dataclass

from graph.context import TurnContext
from graph.state import Turn, TurnState
from memory.assigned import AssignedTurns
from memory.path import Path
from memory.transcript import Transcript
from models.embedding import Embedder
from nodes.asking import looks_for_memory, wording_of
from nodes.reconcile import planned, prompt_of


@dataclass(frozen=True)
class Foresight:
    """Asks for the embedding that `retrieve` will ask for; nothing where the run has yet to find out its text."""

    transcript: Transcript
    assigned: AssignedTurns
    embedder: Embedder

    async def __call__(self, turn: Turn, context: TurnContext) -> None:
        session = await self.transcript.session(context.owner, turn.session_id)
        continues = turn.kind == "continue"
        found = self.assigned.alignment(
            turn.turn_id, prompt_of(turn), session, continues=continues, again=turn.again
        )
        if session is None or found is None:
            return
        state = TurnState(**(vars(turn) | planned(turn, session, found)))
        if looks_for_memory(state, context):
            tree = await self.transcript.tree_lines(session.key)
            wording = wording_of(state, tree.names(Path(state.path)))
            await self.embedder.encode(wording.text, urgent=True)
