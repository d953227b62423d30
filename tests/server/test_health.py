"""/health names every part, so that a person sees what runs and what does not."""

from __future__ import annotations

from tests.server.live import Live, idle, said


async def test_health_names_every_part(live: Live) -> None:
    await live.http.post(
        "/v1/chat/completions", json={"messages": said("Hello"), "metadata": {"chat_id": "c1"}}
    )
    await idle(live)
    health = (await live.http.get("/health")).json()
    assert health["status"] == "ok" and health["fallbacks"] == []
    assert health["model"] == {
        "provider": "openai",
        "name": "stub-model",
        "context_tokens": live.resources.chat.context_tokens,
    }
    assert health["transcript"] == {"name": "sqlite", "path": str(live.resources.settings.db_path.resolve())}
    assert health["vectors"] == {"name": "exact", "items": 2}
    assert health["token_codes"] == {"messages": 2}
    assert health["embedder"]["name"] and health["embedder"]["dimension"] == 384
    assert health["emotion"]["name"] == "keywords" and health["reranker"] is None
    assert health["worker"] == {"backlog": 0}
    assert health["sessions"] == {"stored": 1, "active": 1, "turns_under_way": 0}
    assert {"emotional-rag", "langgraph", "torch"} <= set(health["versions"])


async def test_health_tells_no_secret(live: Live) -> None:
    assert "secret-key" not in (await live.http.get("/health")).text
