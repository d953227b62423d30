"""Sessions and their messages as the API shows them, in OpenAI's list shape."""

from __future__ import annotations

from typing import Any, Literal, get_args

from pydantic import BaseModel, Field, ValidationInfo, field_validator, model_validator

from memory.stored import Message, Session
from memory.whose import Whose
from server.chat.protocol import RequestMessage, without_surrogates
from server.sessions.lookup import said
from server.sillytavern import avatar_of, word_of


class SessionObject(BaseModel):
    """One line through a chat."""

    id: str
    object: Literal["session"] = "session"
    chat_id: str
    tree_id: str
    character: str
    avatar: str
    user_name: str
    messages: int
    version: int
    forked_from: str
    left_behind: bool
    is_group: bool
    created_at: float
    updated_at: float


class MessageObject(BaseModel):
    """One message on a session's path."""

    id: int
    object: Literal["session.message"] = "session.message"
    role: str
    speaker: str
    content: str
    """What was said, without the speaker's name that front-ends write before it in groups."""
    emotion: str
    confidence: float
    importance: float
    created_at: float


class SessionList(BaseModel):
    """A page of sessions, most recently used first."""

    object: Literal["list"] = "list"
    data: list[SessionObject]
    total: int
    has_more: bool


class MessageList(BaseModel):
    """A page of a path, oldest first."""

    object: Literal["list"] = "list"
    data: list[MessageObject]
    total: int
    has_more: bool


class SessionDeleted(BaseModel):
    """What DELETE answers."""

    id: str
    object: Literal["session.deleted"] = "session.deleted"
    deleted: bool = True
    messages: int
    """How many messages were removed; those that another session needs stay."""


EventType = Literal[
    "open", "reply", "swipe", "edit", "delete", "hide", "unhide", "change", "chat_renamed", "chat_deleted"
]
OF_THE_WHOLE_CHAT = ("chat_renamed", "chat_deleted")


class ShownMessage(RequestMessage):
    """A message as a chat shows it."""

    name: str | None = None


class ChatEvent(BaseModel):
    """What happened in a front-end's chat, and the whole chat as it is shown after it."""

    type: EventType
    messages: list[ShownMessage] | None = Field(None, validate_default=True)
    """In OpenAI's shape: role, content, and name where it is known; None where the whole chat is meant."""
    character: str = ""
    user_name: str = ""
    is_group: bool = False
    """The chat is a group's."""
    avatar: str = ""
    """The character's card by its file's name, which tells characters of one name apart."""
    has_namesakes: bool = False
    """Of `chat_renamed` and `chat_deleted`: others have the character's name, so that what was stored before avatars
    were told may be theirs."""
    chat_file: str = ""
    """The name of the chat's file: an id that is this name means one chat, and no branch inherits it."""
    new_chat_id: str = ""
    new_character: str = ""
    new_avatar: str = ""
    """Of `chat_renamed`: what is another name now, the chat's or its character's."""

    @model_validator(mode="before")
    @classmethod
    def _is_unicode(cls, event: Any) -> Any:  # Any: JSON
        return without_surrogates(event)

    @field_validator("new_chat_id", "new_character", "chat_file")
    @classmethod
    def _is_filled_in(cls, name: str) -> str:
        """Names as requests tell them: without spaces around them; unfilled macros are none."""
        return word_of(name)

    @field_validator("avatar", "new_avatar")
    @classmethod
    def _is_of_a_card(cls, name: str) -> str:
        return avatar_of(name)

    @property
    def whose(self) -> Whose:
        """Whose chat it is."""
        return Whose(self.character, self.is_group, "" if self.is_group else self.avatar)

    @property
    def now_whose(self) -> Whose:
        """Whose it is from now on; a character that has another name has another avatar too."""
        told = self.new_avatar or ("" if self.new_character else self.avatar)
        return Whose(self.new_character or self.character, self.is_group, "" if self.is_group else told)

    def may_be_about(self, session: Session) -> bool:
        """Whether nothing speaks against it that a session of this id is meant, of which the event shows nothing."""
        return not (self.has_namesakes and self.whose.is_first_of(session))

    @field_validator("messages")
    @classmethod
    def _are_messages(
        cls, messages: list[ShownMessage] | None, info: ValidationInfo
    ) -> list[ShownMessage] | None:
        """As in a chat request; what has no content shows nothing, and a chat is not emptied by mistake."""
        if messages is None and info.data.get("type") not in OF_THE_WHOLE_CHAT:
            raise ValueError("must be the messages that the chat shows")
        if any(message.content is None for message in messages or ()):
            raise ValueError("every message must have content")
        return messages


class EventTaken(BaseModel):
    """What POST events answers; without an id the chat is not stored (yet)."""

    id: str = ""
    object: Literal["session.event"] = "session.event"
    type: EventType
    changed: bool = False
    version: int = 0
    messages: int = 0
    """How many messages the session's path has now."""


class EventsTaken(BaseModel):
    """What GET events answers: that this server takes events, and whether the chat is stored."""

    object: Literal["session.events"] = "session.events"
    known: bool
    types: list[str] = Field(default_factory=lambda: list(get_args(EventType)))


def session_object(session: Session) -> SessionObject:
    return SessionObject(
        id=session.session_id,
        chat_id=session.chat_id,
        tree_id=session.key.tree_id,
        character=session.character,
        avatar=session.avatar,
        user_name=session.user_name,
        messages=len(session.path),
        version=session.version,
        forked_from=session.forked_from,
        left_behind=session.left_behind,
        is_group=session.is_group,
        created_at=session.created_at,
        updated_at=session.updated_at,
    )


def message_object(message: Message) -> MessageObject:
    return MessageObject(
        id=message.id,
        role=message.role,
        speaker=message.speaker,
        content=said(message),
        emotion=message.emotion,
        confidence=message.confidence,
        importance=message.importance,
        created_at=message.created_at,
    )
