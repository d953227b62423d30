"""`emotional-rag sessions`: list, show and delete chats, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from urllib.parse import quote

import httpx
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from graph.errors import EmotionalRagError, NotFound
from graph.settings import load_settings
from server.cli.reach import reachable_server
from server.log import configure_logging

PAGE = 1000

console = Console(highlight=False)


def sessions(action: str | None, session_id: str) -> int:
    """Run one of the actions; an unknown session is an error."""
    settings = load_settings()
    configure_logging(settings.log_level, interactive=True)
    with reachable_server(settings) as url, httpx.Client(base_url=url, timeout=60) as client:
        if action == "show":
            show(client, session_id)
        elif action == "delete":
            delete(client, session_id)
        else:
            show_all(client)
    return 0


def show_all(client: httpx.Client) -> None:
    """A table of every chat, the most recent first."""
    table = Table("session", "character", "user", "messages", "last turn")
    table.columns[0].overflow = "fold"
    for session in pages(client, "/v1/sessions"):
        when = f"{datetime.fromtimestamp(session['updated_at']):%Y-%m-%d %H:%M}"
        row = (session["id"], session["character"], session["user_name"], str(session["messages"]), when)
        table.add_row(*map(escape, row))
    console.print(table if table.row_count else "No chats yet.")


def show(client: httpx.Client, session_id: str) -> None:
    """Every message of a chat as it stands now."""
    for message in pages(client, f"{path_of(session_id)}/messages"):
        speaker = message["speaker"] or message["role"]
        console.print(f"[bold]{escape(speaker)}[/] [dim]{escape(message['emotion'])}[/]", soft_wrap=True)
        console.print(message["content"], markup=False, soft_wrap=True, end="\n\n")


def delete(client: httpx.Client, session_id: str) -> None:
    """Forget a chat."""
    deleted = checked(client.delete(path_of(session_id)))
    console.print(f"Deleted {escape(deleted['id'])}: {deleted['messages']} messages removed.")


def pages(client: httpx.Client, path: str) -> Iterator[dict[str, Any]]:
    """Every row of a list of the API (Any: JSON)."""
    offset, more = 0, True
    while more:
        page = checked(client.get(path, params={"limit": PAGE, "offset": offset}))
        yield from page["data"]
        offset, more = offset + len(page["data"]), page["has_more"]


def path_of(session_id: str) -> str:
    return f"/v1/sessions/{quote(session_id, safe='')}"


def checked(response: httpx.Response) -> dict[str, Any]:
    """The JSON of a good answer; raises what the server said otherwise (Any: JSON)."""
    body: dict[str, Any] = response.json()
    if response.status_code == 404:
        raise NotFound(body["error"]["message"])
    if response.is_error:
        raise EmotionalRagError(body["error"]["message"])
    return body
