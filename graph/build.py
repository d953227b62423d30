"""build_graph: the wiring of the state machine, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from graph.context import TurnContext
from graph.state import STORED_KINDS, TurnInput, TurnState
from memory.ranking.mood import MoodHead
from models.weights import BUILT_IN_SHA256
from nodes.budget import Budget
from nodes.emotion import ReadEmotion
from nodes.foresight import Foresight
from nodes.generate import Generate
from nodes.history import HistoryStart, Ruler, Said
from nodes.looking import Looking
from nodes.other_chats import OtherChats
from nodes.persona import Persona
from nodes.reconcile import Reconcile
from nodes.rerank import Rerank
from nodes.retrieve import Retrieve
from nodes.store import Store
from nodes.summarise import Summarise, is_due
from nodes.unsaid import Reader, Shelves

if TYPE_CHECKING:
    from graph.resources import Resources

Graph = CompiledStateGraph[TurnState, TurnContext, TurnInput, TurnState]


def build_graph(resources: Resources, *, checkpointer: BaseCheckpointSaver[str] | None = None) -> Graph:
    """reconcile -> emotion || persona -> retrieve -> rerank -> budget -> generate -> store -> summarise."""
    r, every = resources, resources.settings.summarize_after_messages
    ruler, said = Ruler(r.counter, r.chat, r.settings), Said(r.transcript, r.working)
    starts, others = HistoryStart(ruler, said), OtherChats(r.transcript, r.catalog)
    shelves = Shelves(r.transcript, r.library, Reader(r.embedder, r.codec))
    looking = Looking(r.transcript, r.vectors, r.codes, r.codec, r.embedder, starts, others, shelves)
    moods = MoodHead() if r.embedder.weights_hash == BUILT_IN_SHA256 else None
    machine = StateGraph(TurnState, TurnContext, input_schema=TurnInput)

    machine.add_node("reconcile", Reconcile(r.transcript, assigned=r.assigned, ahead=looking.ahead))
    machine.add_node("emotion", ReadEmotion(r.emotion))
    machine.add_node("persona", Persona(r.transcript))
    machine.add_node("retrieve", Retrieve(starts, looking))
    machine.add_node("rerank", Rerank(looking, moods, r.reranker))
    machine.add_node("budget", Budget(r.transcript, ruler, said))
    machine.add_node("generate", Generate(r.chat, r.counter, r.stops))
    machine.add_node("store", Store(r.transcript, r.working))
    machine.add_node("summarise", Summarise(r.transcript, every))

    machine.add_edge(START, "reconcile")
    machine.add_conditional_edges("reconcile", after_reconcile, ["emotion", "persona", "generate"])
    machine.add_edge(["emotion", "persona"], "retrieve")
    machine.add_edge("retrieve", "rerank")
    machine.add_edge("rerank", "budget")
    machine.add_edge("budget", "generate")
    machine.add_conditional_edges("generate", after_generate, ["store", END])
    machine.add_conditional_edges("store", lambda state: after_store(state, every), ["summarise", END])
    machine.add_edge("summarise", END)
    return machine.compile(checkpointer=checkpointer, name="emotional-rag")


def build_foresight(resources: Resources) -> Foresight:
    """What may begin before a run does."""
    return Foresight(resources.transcript, resources.assigned, resources.embedder)


def after_reconcile(state: TurnState) -> list[str]:
    """Raw requests and connection tests go straight to the model."""
    return ["generate"] if state.kind in ("raw", "test") else ["emotion", "persona"]


def after_generate(state: TurnState) -> str:
    """Only chat turns are stored."""
    return "store" if state.kind in STORED_KINDS else END


def after_store(state: TurnState, every: int) -> str:
    """Summaries come when due."""
    return "summarise" if is_due(state, every) else END
