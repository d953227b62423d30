"""Peers that were tried and cannot be measured here, each with what happened."""

from __future__ import annotations

NO_MODEL = "stores only what a language model makes of the text"


def _peer(name: str, version: str, reason: str) -> dict[str, str]:
    return {"name": name, "version": version, "reason": reason}


UNABLE = [
    _peer(
        "coremem, default strategy",
        "0.17.1",
        "its cross-encoder comes from a model hub; `direct` is measured",
    ),
    _peer("engram-search, rerank", "0.1.7", "its reranker comes from a model hub; its hybrid is measured"),
    _peer("mem0, infer=True", "2.2.1", f"{NO_MODEL}; infer=False is measured, without key words (hub files)"),
    _peer(
        "memori",
        "3.3.6",
        "installs; its recall downloads onnxruntime and all-MiniLM-L6-v2-onnx when first asked",
    ),
    _peer("memorisdk", "3.2.8", "requires torch<2.11, we pin 2.13.0; another PyTorch is gigabytes"),
    _peer("A-MEM (a-mem)", "0.2.6", f"installs; refuses to start without an OpenAI key: {NO_MODEL}"),
    _peer("agentmemory", "0.4.8", "installs; Chroma's embedding model is downloaded at the first memory"),
    _peer(
        "dory-memory", "1.2.1", "installs; answers with a text for the prompt, not with a ranking of lines"
    ),
    _peer("langmem", "0.0.30", f"{NO_MODEL}; what it searches is LangGraph's store, which is measured"),
    _peer("cognee", "1.6.5", f"{NO_MODEL} (graph extraction); not installed: over a hundred packages"),
    _peer("hindsight-api", "1.1.0", f"{NO_MODEL}, in PostgreSQL; not installed"),
    _peer("graphiti-core", "0.31.2", f"does not install (certifi>=2026.10.19); {NO_MODEL}, in Neo4j"),
    _peer("memoripy", "0.1.2", f"{NO_MODEL}; pins numpy 1.26.4 and langchain 0.3; not installed"),
    _peer("memary", "0.1.3", "pip found no set of packages in 150 s; needs Neo4j and a language model"),
    _peer(
        "letta", "0.34.12", "an agent in a terminal that needs a language model; no library to store and ask"
    ),
    _peer("zep-python", "2.0.2", "installs; the client of a service that is not on this machine"),
    _peer("LoCoMo's DRAGON", "", "its weights come from a model hub"),
]
"""Name, version and reason, as `peers.available` tells them."""
