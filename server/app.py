"""The FastAPI application over resources that are open already."""

from __future__ import annotations

from fastapi import FastAPI

from graph.resources import Resources
from server import errors, health
from server.chat import router as chat
from server.chat.serving import Turns
from server.origin import LocalOnly
from server.sessions import router as sessions
from server.sillytavern import router as sillytavern
from server.transfer import router as transfer
from server.version import VERSION


def create_app(resources: Resources) -> FastAPI:
    """Every route of the server; `app.state.turns` must be finished before the resources close."""
    app = FastAPI(title="Emotional RAG", version=VERSION, docs_url=None, redoc_url=None)
    app.state.resources = resources
    app.state.turns = Turns(resources)
    app.state.vector_count = health.ItemCount(resources.vectors)
    app.state.code_count = health.ItemCount(resources.codes)
    errors.install(app)
    for part in (chat, transfer, sessions, sillytavern, health):
        app.include_router(part.router)
    app.add_middleware(LocalOnly, host=resources.settings.host)
    return app
