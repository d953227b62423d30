"""What the server says when it is ready: one screen."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from graph.resources import Resources
from server.version import VERSION

SILLYTAVERN = """[bold]SillyTavern[/]: API Connections (the plug), then
  API                          Chat Completion
  Chat Completion Source       Custom (OpenAI-compatible)
  Custom Endpoint (Base URL)   [bold]{url}/v1[/]
  Custom API Key               anything, or nothing
and press Connect. In the terminal: [bold]emotional-rag chat --card CARD.png[/]
"""
BETTER_MODEL = """The embedded model is small: it shows that everything works. For real quality, put
[bold]GEMINI_API_KEY=...[/] into the file .env here and start again.
"""


def show_banner(resources: Resources, url: str, chats: int) -> None:
    """Print what runs, where the data is, and what to paste into SillyTavern."""
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"\n[bold]Emotional RAG {VERSION}[/] on [bold]{escape(url)}[/]\n")
    console.print(_facts(resources, chats))
    console.print()
    console.print(SILLYTAVERN.format(url=escape(url)))
    if resources.chat.provider == "embedded":
        console.print(BETTER_MODEL)
    console.print("Ctrl-C stops it.\n")


def _facts(resources: Resources, chats: int) -> Table:
    settings, chat = resources.settings, resources.chat
    reranker = resources.reranker.name if resources.reranker else "none"
    facts = {
        "model": f"{chat.name} ({chat.provider}), {chat.context_tokens} tokens of context",
        "memory": f"{resources.embedder.name}, search: {resources.vectors.name}, "
        f"emotions: {resources.emotion.name}, reranker: {reranker}",
        "data": f"{settings.db_path.resolve()} ({chats} chat{'' if chats == 1 else 's'})",
    }
    table = Table.grid(padding=(0, 2))
    for name, fact in facts.items():
        table.add_row(name, escape(fact))
    return table
