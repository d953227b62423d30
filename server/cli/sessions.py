"""`emotional-rag sessions`: list, show and delete chats."""

from __future__ import annotations

from datetime import datetime

import httpx
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from graph.settings import load_settings
from server.cli.reach import reachable_server
from server.cli.reading import Chats, Listed, checked, path_of, reading
from server.log import configure_logging

console = Console(highlight=False)


def sessions(action: str | None, session_id: str) -> int:
    """Run one of the actions; an unknown session is an error."""
    settings = load_settings()
    configure_logging(settings.log_level, interactive=True)
    if action == "delete":
        with reachable_server(settings) as url, httpx.Client(base_url=url, timeout=60) as client:
            delete(client, session_id)
        return 0
    with reading(settings) as chats:
        if action == "show":
            show(chats, session_id)
        else:
            show_all(chats)
    return 0


def show_all(chats: Chats) -> None:
    """A table of every chat, the most recent first."""
    table = Table("session", "character", "user", "messages", "last turn")
    table.columns[0].overflow = "fold"
    for session in chats.sessions():
        when = f"{datetime.fromtimestamp(session.updated_at):%Y-%m-%d %H:%M}"
        row = (session.id, _named(session), session.user_name, str(session.messages), when)
        table.add_row(*map(escape, row))
    console.print(table if table.row_count else "No chats yet.")


def _named(session: Listed) -> str:
    """The character, with the avatar where that tells more."""
    known = session.avatar in ("", session.character)
    return session.character if known else f"{session.character} ({session.avatar})"


def show(chats: Chats, name: str) -> None:
    """Every message of a chat as it stands now."""
    for message in chats.messages(name):
        console.print(f"[bold]{escape(message.speaker)}[/] [dim]{escape(message.emotion)}[/]", soft_wrap=True)
        console.print(message.content, markup=False, soft_wrap=True, end="\n\n")


def delete(client: httpx.Client, name: str) -> None:
    """Forget a chat; this needs every tier, and so a server."""
    deleted = checked(client.delete(path_of(name)))
    console.print(f"Deleted {escape(deleted['id'])}: {deleted['messages']} messages removed.")
