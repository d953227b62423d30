"""Fixtures of the server's tests: our server, in front of a fake provider."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from graph.settings import Settings, load_settings
from tests.fakes.openai_server import FakeOpenAI
from tests.server.live import Live, serving


@pytest.fixture
async def fake() -> AsyncIterator[FakeOpenAI]:
    """The provider."""
    async with FakeOpenAI() as provider:
        yield provider


@pytest.fixture
def settings(settings: Settings, fake: FakeOpenAI) -> Settings:
    """Settings that use the fake provider and give up on it at once."""
    return load_settings(
        db_path=settings.db_path,
        chromadb_path=settings.chromadb_path,
        port=0,
        llm="openai:stub-model",
        openai_base_url=fake.url,
        openai_api_key="secret-key-of-the-user",
        provider_retries=0,
    )


@pytest.fixture
async def live(settings: Settings) -> AsyncIterator[Live]:
    """The server."""
    async with serving(settings) as live:
        yield live
