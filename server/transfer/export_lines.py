"""The lines of an export as they are read, with the bounds of their values."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints

Id = Annotated[int, Field(ge=1, lt=2**53)]
Count = Annotated[int, Field(ge=0, lt=2**53)]
Mark = Annotated[int, Field(ge=-(2**63), lt=2**63)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
Seconds = Annotated[float, Field(allow_inf_nan=False, ge=0, lt=2**40)]
Share = Annotated[float, Field(allow_inf_nan=False, ge=0, le=1)]
Runs = list[Annotated[list[Id], Field(min_length=2, max_length=2)]]


class MessageLine(BaseModel):
    kind: Literal["message"]
    id: Id
    parent: Id | None
    role: Literal["user", "assistant"]
    speaker: str
    text: str
    fingerprint: Mark
    created_at: Seconds
    session: str
    turn_id: str
    unsettled: bool
    emotion: str
    confidence: Share
    importance: Share
    emotion_known: bool


class SessionRow(BaseModel):
    kind: Literal["session"]
    session_id: Name
    path: Runs
    created_at: Seconds
    updated_at: Seconds
    version: Id
    chat_id: str
    character: str
    user_name: str
    forked_from: str
    left_behind: bool
    is_group: bool = False
    person: str | None = None
    avatar: str | None = None
    history_from: Id | None
    window_from: Id | None = None
    window_tokens: Count = 0
    last_turn_id: str
    last_new: list[Id]
    last_replies: list[Id]


class CardLine(BaseModel):
    kind: Literal["card"]
    name: str
    text: str
    user_persona: str
    hash: str


class SummaryLine(BaseModel):
    kind: Literal["summary"]
    over: Runs
    text: str
    source: str
    created_at: Seconds


class GlueLine(BaseModel):
    kind: Literal["glue"]
    fingerprints: list[Mark]


KINDS: dict[str, type[BaseModel]] = {
    "message": MessageLine,
    "session": SessionRow,
    "card": CardLine,
    "summary": SummaryLine,
    "glue": GlueLine,
}
