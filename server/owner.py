"""Whose chats they are: the only tenant there is without authentication."""

from __future__ import annotations

from graph.context import TurnContext

OWNER = TurnContext().owner
