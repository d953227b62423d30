"""`emotional-rag extension`: copy our extension into a SillyTavern."""

from __future__ import annotations

import shutil
from pathlib import Path

from graph.errors import EmotionalRagError

SOURCE = Path(__file__).resolve().parents[1] / "sillytavern_extension"
NAME = "emotional-rag"
FOR_EVERYONE = Path("public", "scripts", "extensions", "third-party")
DEFAULT_USER = Path("data", "default-user")


def extension(sillytavern: Path) -> int:
    """Copy it and say what comes next."""
    print(f"Copied to {install(sillytavern)}")
    print("Reload SillyTavern's page; the panel is under Extensions, Emotional RAG.")
    return 0


def install(sillytavern: Path) -> Path:
    """Copy the extension into a SillyTavern's folder or a user's data folder, over an older copy of it.

    Raises EmotionalRagError where the folder is neither, or cannot be written.
    """
    target = place_in(sillytavern) / NAME
    try:
        shutil.copytree(SOURCE, target, dirs_exist_ok=True)
    except (OSError, shutil.Error) as error:
        raise EmotionalRagError(f"The extension cannot be copied to {target}: {error}") from error
    return target


def place_in(sillytavern: Path) -> Path:
    """Where SillyTavern looks for extensions; the user's own folder survives its updates."""
    for user in (sillytavern, sillytavern / DEFAULT_USER):
        if (user / "settings.json").is_file() and (user / "characters").is_dir():
            return user / "extensions"
    if (sillytavern / FOR_EVERYONE.parent).is_dir():
        return sillytavern / FOR_EVERYONE
    raise EmotionalRagError(
        f"{sillytavern} is no SillyTavern: name the folder that holds its server.js, or a user's folder such "
        "as data/default-user."
    )
