"""Settings: every environment variable, in one class; `.env` in the working directory is read too."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from graph.errors import SettingsError

PERCENT_FIELDS = (
    "system_token_percent",
    "rag_token_percent",
    "history_token_percent",
    "response_token_percent",
)
MARKER_FIELDS = (
    "marker_continue",
    "marker_impersonate",
    "marker_group_nudge",
    "marker_new_chat",
    "marker_new_group_chat",
    "marker_example_chat",
    "marker_placeholder",
    "marker_quiet",
)


class Settings(BaseSettings):
    """One field per environment variable (upper case); the description is what `.env.example` says."""

    model_config = SettingsConfigDict(
        env_file=".env", env_file_encoding="utf-8", extra="ignore", env_ignore_empty=True, frozen=True
    )

    # the language model
    gemini_api_key: SecretStr | None = Field(None, description="Google AI key; when set, Gemini answers")
    gemini_model: str = Field("gemini-2.5-flash", description="Gemini model")
    gemini_base_url: str | None = Field(None, description="another address for Gemini's API (a proxy)")
    llm: str | None = Field(
        None,
        description="provider:model instead, as init_chat_model takes it, such as openai:gpt-5-mini, "
        "anthropic:..., ollama:... (openai: with OPENAI_BASE_URL reaches OpenRouter, llama.cpp, KoboldCpp)",
    )
    openai_api_key: SecretStr | None = Field(None, description="key for LLM=openai:...")
    openai_base_url: str | None = Field(None, description="address for LLM=openai:..., ending in /v1")
    context_tokens: int | None = Field(None, ge=256, description="context window; default: the model's own")
    max_concurrent_calls: int = Field(5, ge=1, description="calls to the model at once, in this process")
    provider_retries: int = Field(
        3, ge=0, le=10, description="tries after the first, before the first token only"
    )
    provider_idle_timeout: float = Field(
        120.0, gt=0, description="seconds without a byte from the model before giving up"
    )

    # the server
    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8001, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    max_body_mb: int = Field(64, ge=1, description="largest request taken, in MB")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="how much is logged")

    # memory
    db_path: Path = Field(Path("./data/sessions"), description="folder of the chats; one process opens it")
    max_working_memory_size: int = Field(20, ge=2, description="newest messages of a chat kept in RAM")
    memory_scope: Literal["chat", "character", "off"] = Field(
        "chat",
        description="what is remembered: chat (this chat), character (the character's other chats too), off; "
        "a request may say otherwise (header X-Memory-Scope or metadata.memory_scope)",
    )
    memory_emotion: Literal["auto", "off", "seed"] = Field(
        "auto",
        description="how feelings count in recall: auto (where a question has a mood), off, seed (a factor on equal "
        "labels); a request may say otherwise (header X-Memory-Emotion or metadata.memory_emotion)",
    )
    max_memories: int = Field(
        64,
        ge=1,
        le=64,
        description="memories in a prompt at most, and with the best ones the rest of their exchange; where "
        "nothing is asked they take 6 percent of the prompt or 400 tokens, for the sake of the provider's cache",
    )
    summarize_after_messages: int = Field(20, ge=4, description="a summary every so many messages")
    summary_words: int = Field(200, ge=20, le=2000, description="about how long a summary is")
    checkpoint_turns: int = Field(50, ge=1, description="turns a chat whose checkpoints are kept")
    vector_store: Literal["exact", "chroma"] = Field("exact", description="search within a chat")
    chromadb_path: Path = Field(Path("./data/chroma"), description="folder of the embedded Chroma")
    chroma_url: str | None = Field(None, description="a Chroma server instead, such as http://127.0.0.1:8000")

    # learned models
    embedding_model: str = Field(
        "all-MiniLM-L6-v2",
        description="the built-in weights, or a sentence-transformers model (hub name or folder)",
    )
    embedding_backend: Literal["auto", "bfloat16", "float32", "sentence-transformers"] = Field(
        "auto",
        description="how it is run: auto (the built-in weights directly, in bfloat16 where the CPU has matrix "
        "units for it, otherwise float32; any other model by sentence-transformers), bfloat16, float32, "
        "sentence-transformers",
    )
    embedding_threads: int = Field(1, ge=1, description="threads of the embedding model")
    emotion_model: str = Field("keywords", description="how emotions are read: keywords")
    reranker_model: str | None = Field(
        None, description="a cross-encoder (hub name or folder); default: none"
    )

    # the prompt
    system_token_percent: int = Field(20, ge=0, le=100, description="share of the window for system text")
    rag_token_percent: int = Field(25, ge=0, le=100, description="share for memories")
    history_token_percent: int = Field(35, ge=0, le=100, description="share for the chat's history")
    response_token_percent: int = Field(20, ge=1, le=100, description="share for the answer")

    # the front-end's own texts
    marker_continue: str = Field(
        "[Continue your last message", description="SillyTavern's Continue nudge; paste the whole text"
    )
    continue_prefill: bool = Field(
        False,
        description="its Continue prefill is switched on: a request that ends with the character's message "
        "is a continue, not an empty message that was sent",
    )
    marker_impersonate: str = Field(
        "[Write your next reply from the point of view of", description="its Impersonation prompt"
    )
    marker_group_nudge: str = Field(
        "[Write the next reply only as", description="its Group nudge, the text before {{char}}"
    )
    marker_new_chat: str = Field("[Start a new Chat]", description="its New Chat text")
    marker_new_group_chat: str = Field(
        "[Start a new group chat. Group members:", description="its New Group Chat text, before {{group}}"
    )
    marker_example_chat: str = Field("[Example Chat]", description="its New Example Chat text")
    marker_placeholder: str = Field(
        "[Start a new chat]|Let's get started.",
        description="the user message that strict post-processing puts before a greeting (promptPlaceholder in "
        "config.yaml); | between several",
    )
    marker_quiet: str = Field(
        "",
        description="beginnings of other prompts that are no chat turn (an edited Summarize prompt), "
        "| between them",
    )

    @field_validator(*MARKER_FIELDS)
    @classmethod
    def _marker_begins_with_words(cls, value: str) -> str:
        for text in value.split("|"):
            if text.lstrip().startswith("{{"):
                raise ValueError("must not begin with a macro: a text is known by its first words")
        return value

    @field_validator("llm")
    @classmethod
    def _llm_names_provider_and_model(cls, value: str | None) -> str | None:
        if value is not None and (":" not in value or not all(value.split(":", 1))):
            raise ValueError("must be provider:model, such as openai:gpt-5-mini")
        return value

    @field_validator("openai_base_url", "gemini_base_url", "chroma_url")
    @classmethod
    def _is_http_url(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://")
        if value is not None and not _names_host(value):
            raise ValueError("must name a host, with a number where it names a port")
        return value

    @model_validator(mode="after")
    def _percents_sum_to_100(self) -> Settings:
        total = sum(getattr(self, name) for name in PERCENT_FIELDS)
        if total != 100:
            names = ", ".join(name.upper() for name in PERCENT_FIELDS)
            raise ValueError(f"{names} must sum to 100, not {total}")
        return self


def load_settings(**overrides: Any) -> Settings:  # Any: values of any field
    """Read the environment and `.env`; raises SettingsError naming each wrong variable."""
    try:
        return Settings(**overrides)
    except ValidationError as error:
        raise SettingsError(_explain(error)) from None


def _names_host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def without_userinfo(url: str) -> str:
    """A URL for people's eyes: without the name and password it may hold, also where it is malformed."""
    return re.sub(r"^(\w+://)?.*@", r"\1***@", url, flags=re.DOTALL)


def _explain(error: ValidationError) -> str:
    lines = []
    for problem in error.errors(include_url=False, include_context=False):
        name = str(problem["loc"][0]).upper() if problem["loc"] else ""
        value = problem["input"]
        shown = without_userinfo(value) if name.endswith("_URL") and isinstance(value, str) else value
        given = "" if not name or "KEY" in name else f" (it is {shown!r})"
        message = problem["msg"].removeprefix("Value error, ")
        lines.append(f"{name}: {message}{given}" if name else message)
    return "Wrong setting. " + "; ".join(lines)
