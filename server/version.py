"""Which versions run here: ours and those of the packages that shape an answer."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

KEY_PACKAGES = (
    "chromadb",
    "fastapi",
    "langchain-core",
    "langchain-google-genai",
    "langchain-openai",
    "langgraph",
    "sentence-transformers",
    "torch",
    "transformers",
    "xllamacpp",
)


def version_of(package: str) -> str:
    """The installed version, or `not installed`."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


VERSION = version_of("emotional-rag")


def versions() -> dict[str, str]:
    """Our version and the key packages'."""
    return {"emotional-rag": VERSION} | {name: version_of(name) for name in KEY_PACKAGES}
