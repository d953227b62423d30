"""`emotional-rag chat`: a conversation in the terminal, over the same API that front-ends use."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Generator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast
from urllib.parse import quote

import httpx
from openai import OpenAI, OpenAIError
from openai.types.chat import ChatCompletionMessageParam
from rich.console import Console
from rich.markup import escape

from graph.settings import load_settings
from graph.state import ChatMessage
from server.cards import CharacterCard, fill, messages_of, read_card
from server.cli.reach import reachable_server
from server.log import configure_logging

HELP = """/retry   another answer to your last message
/help    this
/quit    leave (Ctrl-D too); Ctrl-C stops an answer
"""
NO_CARD = "You are Assistant, a friendly companion with a good memory. You are talking with {user}."
PAGE = 1000

console = Console(highlight=False, soft_wrap=True)


@dataclass
class Conversation:
    """What a front-end holds: the character's card and the whole visible chat."""

    client: OpenAI
    card: CharacterCard | None
    user_name: str
    window: list[ChatMessage] = field(default_factory=list)

    def begin(self, stored: list[ChatMessage]) -> None:
        """Go on with a stored chat, or begin with the character's greeting."""
        self.window = stored
        if not stored and self.card and self.card.first_mes:
            greeting = fill(self.card.first_mes, self.card.called, self.user_name)
            self.window = [{"role": "assistant", "content": greeting}]

    def messages(self) -> list[ChatMessage]:
        """The request's messages: definition, then the chat, greeting included."""
        if self.card is None:
            return [{"role": "system", "content": NO_CARD.format(user=self.user_name)}, *self.window]
        return messages_of(replace(self.card, first_mes=""), self.user_name, self.window)

    def answer(self) -> Generator[str]:
        """Stream the next reply; what was said up to a stop or an error stays in the chat."""
        said: list[str] = []
        messages = cast(list[ChatCompletionMessageParam], self.messages())
        try:
            with self.client.chat.completions.create(model="", messages=messages, stream=True) as stream:
                for chunk in stream:
                    text = (chunk.choices[0].delta.content if chunk.choices else None) or ""
                    said.append(text)
                    yield text
        finally:
            if text := "".join(said):
                self.window.append({"role": "assistant", "content": text})

    def take_back(self) -> bool:
        """Remove the last reply; whether there is a message left to be answered anew."""
        if len(self.window) > 1 and self.window[-1]["role"] == "assistant":
            self.window.pop()
        return bool(self.window) and self.window[-1]["role"] == "user"


def chat(card_file: Path | None, user_name: str, session: str | None) -> int:
    """Talk until /quit; the chat's id is printed, so that it can be taken up again."""
    settings = load_settings()
    configure_logging(settings.log_level, interactive=True)
    card = read_card(card_file) if card_file else None
    chat_id = session or f"terminal-{uuid.uuid4().hex[:8]}"
    with reachable_server(settings) as url:
        client = OpenAI(base_url=f"{url}/c/{quote(chat_id, safe='')}/v1", api_key="local", max_retries=0)
        conversation = Conversation(client, card, user_name)
        conversation.begin(stored_messages(url, chat_id))
        console.print(f"[dim]Chat {escape(chat_id)} on {escape(url)}. /help tells more.[/]\n")
        talk(conversation, card.called if card else "Assistant", user_name)
    console.print(f"[dim]To go on: emotional-rag chat --session {escape(chat_id)}[/]")
    return 0


def stored_messages(url: str, chat_id: str) -> list[ChatMessage]:
    """The chat as the server has it; empty for a new one."""
    messages: list[ChatMessage] = []
    with httpx.Client(base_url=url, timeout=30) as client:
        while True:
            at = f"/v1/sessions/{quote(chat_id, safe='')}/messages"
            response = client.get(at, params={"limit": PAGE, "offset": len(messages)})
            if response.status_code == 404:
                return []
            page = response.raise_for_status().json()
            messages += [{"role": m["role"], "content": m["content"]} for m in page["data"]]
            if not page["has_more"]:
                return messages


def talk(conversation: Conversation, character: str, user_name: str) -> None:
    """Read, answer, repeat."""
    show_recent(conversation.window[-4:], character, user_name)
    while (line := read_line(user_name)) is not None:
        if line == "/quit":
            return
        if line == "/help":
            console.print(HELP, markup=False)
        elif line == "/retry":
            if conversation.take_back():
                say(conversation, character)
        elif line.startswith("/"):
            console.print(f"There is no command {line.split()[0]}; /help lists them.\n", markup=False)
        elif line:
            conversation.window.append({"role": "user", "content": line})
            say(conversation, character)


def read_line(user_name: str) -> str | None:
    """The next line without the blanks around it; None at the end of the input."""
    try:
        return console.input(f"[bold cyan]{escape(user_name)}:[/] ").strip()
    except (EOFError, KeyboardInterrupt):
        console.print()
        return None


def say(conversation: Conversation, character: str) -> None:
    """Show a reply as it comes; Ctrl-C stops it, an error is shown and the chat goes on."""
    console.print(f"[bold magenta]{escape(character)}:[/] ", end="")
    try:
        with contextlib.closing(conversation.answer()) as pieces:
            for piece in pieces:
                console.print(piece, end="", markup=False)
    except KeyboardInterrupt:
        console.print(" [dim](stopped)[/]", end="")
    except OpenAIError as error:
        console.print(f"[red]{escape(error_text(error))}[/]", end="")
    console.print("\n")


def error_text(error: OpenAIError) -> str:
    """The server's own words where it sent some."""
    body = getattr(error, "body", None)
    return str(body.get("message") or error) if isinstance(body, dict) else str(error)


def show_recent(messages: list[ChatMessage], character: str, user_name: str) -> None:
    for message in messages:
        name = user_name if message["role"] == "user" else character
        console.print(f"[bold]{escape(name)}:[/] ", end="")
        console.print(message["content"], markup=False, end="\n\n")
