"""Settings: what is wrong is named, and `.env.example` tells all."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from graph.errors import SettingsError
from graph.settings import Settings, load_settings, without_userinfo

EXAMPLE = Path(__file__).parents[2] / ".env.example"


def example_values() -> dict[str, str]:
    lines = EXAMPLE.read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_the_example_lists_every_setting_with_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    values = example_values()
    assert set(values) == {name.upper() for name in Settings.model_fields}
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    shown = load_settings()
    for name, field in Settings.model_fields.items():
        assert getattr(shown, name) == field.default, f"{name.upper()}={values[name.upper()]}"


def test_every_setting_in_the_example_says_what_it_means() -> None:
    lines = EXAMPLE.read_text().splitlines()
    said = {line.partition("=")[0]: above for above, line in pairwise(lines) if line[:1] not in ("", "#")}
    assert said == {name.upper(): f"# {field.description}" for name, field in Settings.model_fields.items()}


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("PORT", "eighty", "PORT"),
        ("PORT", "70000", "65535"),
        ("LLM", "gpt-5", "provider:model"),
        ("VECTOR_STORE", "faiss", "'exact' or 'chroma'"),
        ("OPENAI_BASE_URL", "localhost:5000", "http://"),
        ("OPENAI_BASE_URL", "http://", "a host"),
        ("CHROMA_URL", "http://127.0.0.1:eighty", "a number"),
        ("MAX_CONCURRENT_CALLS", "0", "MAX_CONCURRENT_CALLS"),
        ("MEMORY_SCOPE", "all", "'chat', 'character' or 'off'"),
        ("MARKER_CONTINUE", "{{user}}, go on", "must not begin with a macro"),
        ("MARKER_QUIET", "Sum it up|{{char}} rests", "must not begin with a macro"),
        ("RAG_TOKEN_PERCENT", "30", "must sum to 100, not 105"),
    ],
)
def test_a_wrong_setting_is_named_with_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match="(?s)" + said) as error:
        load_settings()
    assert "Value error" not in str(error.value)


@pytest.mark.parametrize("name", ["OPENAI_BASE_URL", "GEMINI_BASE_URL", "CHROMA_URL"])
@pytest.mark.parametrize(
    "url",
    [
        "user:se/cr@et@localhost:5000",
        "ftp://user:se/cr@et@host",
        "http://user:se/cr@et@host",
        "http://[user:se/cr@et@host",
    ],
)
def test_the_password_in_an_address_is_never_shown(
    monkeypatch: pytest.MonkeyPatch, name: str, url: str
) -> None:
    monkeypatch.setenv(name, url)
    with pytest.raises(SettingsError, match=name) as error:
        load_settings()
    assert not [part for part in ("user", "se/", "cr@", "et@") if part in str(error.value)]
    assert "***@" in str(error.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://user:secret@host:1/v1", "http://***@host:1/v1"),
        ("http://host:1/v1", "http://host:1/v1"),
        ("https://user@host", "https://***@host"),
    ],
)
def test_an_address_is_shown_without_name_and_password(url: str, shown: str) -> None:
    assert without_userinfo(url) == shown


def test_a_key_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", "very-secret")
    monkeypatch.setenv("PORT", "x")
    with pytest.raises(SettingsError) as error:
        load_settings()
    assert "very-secret" not in str(error.value) + repr(error.value)
    monkeypatch.delenv("PORT")
    assert "very-secret" not in repr(load_settings())


def test_the_environment_file_of_the_working_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PORT=9000\n")
    assert load_settings().port == 9000
