"""TurnInput and TurnState: what flows along the edges, plain JSON-able values only.

A request becomes a `Turn`; every node returns the fields of `TurnState` it changed. No node reads a value
that an earlier turn left behind: what a run is given, besides its messages, lives in the ephemeral channel
`request`, and `reconcile` sets every other field again.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Annotated, Any, Literal

from langgraph.channels import EphemeralValue

Kind = Literal["normal", "continue", "impersonate", "quiet", "raw", "test"]
"""How a request is meant. Only `normal` and `continue` are chat turns and are stored."""

STORED_KINDS: tuple[Kind, ...] = ("normal", "continue")

ChatMessage = dict[str, Any]
"""One message in OpenAI's shape; `content` is a string or a list of parts."""

Ranges = list[list[int]]
"""Message ids in order, run-length coded: `[[1, 40], [43, 60]]` is 1..40 then 43..60, ends included."""


@dataclass
class Turn:
    """What is known of a request before the run; only `messages` is required."""

    messages: list[ChatMessage]
    kind: Kind = "normal"
    again: bool = False
    """Another reply is asked for in the place of the last one, where the front-end tells it."""
    session_id: str = ""
    """Empty: the run's `thread_id`."""
    tree_id: str = ""
    """The tree the session lives in; empty: looked up, or made from the session's id."""
    forked_from: str = ""
    """The session this one forks from, when its first turn is a fork."""
    turn_id: str = ""
    """Identifies the turn for stopping and for idempotent storing; empty: made by `reconcile`."""
    chat_id: str = ""
    """The front-end's own id of the chat, when it came."""
    character: str = ""
    user_name: str = ""
    names: list[str] = field(default_factory=list)
    """Every speaker name known from the request, group members included."""
    is_group: bool = False
    """The request says that it is a group's, whoever else is named in it."""
    is_whole: bool = False
    """The request says that it shows all that the chat shows: what else is on the path was hidden or deleted."""
    avatar: str = ""
    """What tells the character from others of the name, where the front-end tells it; a group has none."""
    person: str = ""
    """OpenAI's `user` field; people who tell it recall their own chats alone."""
    model: str = ""
    sampling: dict[str, Any] = field(default_factory=dict)
    """The request's other fields as they came: temperature, max_tokens, tools, stop, n, min_p, ..."""
    spoken: list[list[Any]] = field(default_factory=list)
    """Index and text of each message of which somebody said less than it holds; an empty text: it is nobody's
    words, such as a note that the front-end put into the chat."""

    def as_spoken(self) -> list[ChatMessage]:
        """The messages with what somebody said as their text."""
        said = dict(map(tuple, self.spoken))
        return [m | {"content": said[i]} if i in said else m for i, m in enumerate(self.messages)]

    def nobodys(self) -> set[int]:
        """Indices of the messages that nobody said any of."""
        return {index for index, text in self.spoken if not text}

    def as_input(self) -> dict[str, Any]:
        """The input of a run: `messages`, and the other fields as `request`."""
        given = {f.name: getattr(self, f.name) for f in fields(self)}
        return {"messages": given.pop("messages"), "request": given}


@dataclass
class TurnInput:
    """What a run starts from. Studio and the SDK send `messages` alone."""

    messages: list[ChatMessage]
    request: Annotated[dict[str, Any], EphemeralValue] = field(default_factory=dict)
    """Fields of `Turn` besides `messages`; gone after `reconcile`, so that no later turn inherits them."""


@dataclass
class TurnState(Turn):
    """A turn and what the nodes add to it."""

    request: Annotated[dict[str, Any], EphemeralValue] = field(default_factory=dict)

    # reconcile
    change: str = ""
    """What this request is to the stored chat: new, append, retry, edit or fork."""
    base_version: int = 0
    """The session's version the plan was made against."""
    path: Ranges = field(default_factory=list)
    """The path as the front-end shows it now; a negative entry -i-1 is the new message of window row i."""
    window: list[dict[str, Any]] = field(default_factory=list)
    """The path's messages in the request, in order: index (in `messages`), id (None: new), role, speaker,
    fingerprint, unsettled, and text where it is not the message's own."""
    settled: list[list[Any]] = field(default_factory=list)
    """Unsettled messages whose text this request tells: id, text, fingerprint."""
    renamed: list[list[Any]] = field(default_factory=list)
    """Messages whose speaker's real name this request tells: id, name."""
    glue: list[int] = field(default_factory=list)
    """Paragraphs that turned out to be glued on by post-processing, as fingerprints."""
    newest: str = ""
    """The text this turn answers (the last user message)."""
    continues: int | None = None
    """On `continue`: the row in `window` of the message that the reply lengthens."""
    held: int | None = None
    """Position on the path at which the last turn's prompt began its history."""
    shown_from: int | None = None
    """Position on the path of the message with which the last turn's window began."""
    most_tokens: int = 0
    """Of the largest request before, as far as the front-end may send such a one still."""
    moved: list[int] = field(default_factory=list)
    """Path messages whose text the front-end moved into a system message of this request."""
    # emotion
    emotion: str = "neutral"
    confidence: float = 0.0
    importance: float = 0.5
    # persona
    card: dict[str, Any] = field(default_factory=dict)
    """name, text, user_persona, hash, rows (indices in `messages`), changed."""
    # retrieve, rerank
    history_from: int = 0
    """Position on the path where the prompt's history begins; what stands before it may be recalled."""
    candidates: list[dict[str, Any]] = field(default_factory=list)
    """kind, ref, similarity (cosine, None: no vector yet), score (of the quick look); tree_id and session_id where it
    comes from another chat."""
    memories: list[dict[str, Any]] = field(default_factory=list)
    """The candidates that may enter the prompt, best first: kind, ref, text (of long ones a passage), role, speaker,
    created_at, emotion, importance, score, why (what each number of the ranker added to it), exchange (the question
    that it answers or the answer that it got, each with ref, text, role, speaker, created_at)."""
    # budget
    prompt: list[ChatMessage] = field(default_factory=list)
    prompt_parts: list[str] = field(default_factory=list)
    """For each prompt message: system, example, summary, history, memory or newest."""
    recalled: list[int] = field(default_factory=list)
    """Which of `memories` are in the prompt, by index."""
    tokens: dict[str, int] = field(default_factory=dict)
    """context, response, system, examples, history, memory, prompt: tokens by the model's counter."""
    # generate
    replies: list[dict[str, Any]] = field(default_factory=list)
    """One per choice: index, text, finish_reason, remembered (false for tool calls and empty replies)."""
    usage: dict[str, int] = field(default_factory=dict)
    stopped: bool = False
    # store
    stored: dict[str, Any] = field(default_factory=dict)
    """session_id, tree_id, version, length, message_ids (new ones of the window), reply_ids."""
    # summarise
    summary_job: dict[str, Any] = field(default_factory=dict)
