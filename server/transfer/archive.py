"""Folders and ZIP archives of SillyTavern: which of their files are chats, cards and lorebooks.

Nothing is unpacked: members are read in place, and a name is never used as a path.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO

from graph.errors import BadRequest
from server.transfer.chat_file import CHATS, About, main_chat_of
from server.transfer.lines import clean, json_lines

MOST_MEMBERS = 1_000_000
MAX_UNPACKED = 8 * 2**30
"""Bytes that an archive may hold once unpacked."""
GROUP_CHATS, CHARACTERS = "group chats", "characters"
_HOMES: dict[str, tuple[str, ...]] = {
    CHATS: (".jsonl",),
    GROUP_CHATS: (".jsonl",),
    CHARACTERS: (".png", ".json"),
    "worlds": (".json",),
    "groups": (".json",),
}
"""The folders of a SillyTavern user that hold what we take."""
SETTINGS = "settings.json"
"""Lies beside these folders."""
_NOT_LOOKED_INTO = {"backups", "thumbnails", "_cache", "__MACOSX"}


def wanted(names: Iterable[str]) -> list[str]:
    """Of the names of files below a folder, in POSIX form, those to be imported: cards, groups and lore first, a chat
    before its branches (which begin with its name).

    Where the folder is a SillyTavern user's (or holds some), only its chats, characters, worlds, groups and
    settings.
    """
    given = [name for name in names if not _NOT_LOOKED_INTO & set(PurePosixPath(name).parts)]
    homes = [name for name in given if _home(name)]
    users = {PurePosixPath(name).parents[_depth(name) - 1] for name in homes}
    homes += [n for n in given if PurePosixPath(n).name == SETTINGS and PurePosixPath(n).parent in users]
    loose = [name for name in given if name.lower().endswith((".jsonl", ".json", ".png", ".zip"))]
    return sorted(homes or loose, key=lambda name: (name.lower().endswith(".jsonl"), name.rsplit(".", 1)[0]))


def looked_at_again(names: Sequence[str], opened: Callable[[str], IO[bytes]]) -> list[str]:
    """The chats that are imported once more at the end, branches before theirs: one of their branches came later.

    It may have gone on live in the session of its origin, and only its file tells what is not the origin's.
    """
    seen, found = set[str](), set[str]()
    for name in names:
        main = _main_chat(name, opened) if name.lower().endswith(".jsonl") else ""
        found |= {(PurePosixPath(name).parent / f"{main}.jsonl").as_posix()} & seen
        seen.add(name)
    return [name for name in reversed(names) if name in found]


def _main_chat(name: str, opened: Callable[[str], IO[bytes]]) -> str:
    """What a chat's file names as the one that it branched off."""
    try:
        with opened(name) as file:
            return next((main_chat_of(entry) for _, entry in json_lines(file)), "")
    except (OSError, EOFError, zlib.error):
        return ""


def _home(name: str) -> str:
    """The folder of a SillyTavern user that a file lies in as it should; empty for none."""
    parts, depth = PurePosixPath(name).parts, _depth(name)
    home = parts[-depth] if len(parts) >= depth else ""
    return home if home in _HOMES and name.lower().endswith(_HOMES[home]) else ""


def _depth(name: str) -> int:
    """How many names a file's own is below its user's folder; chats lie in a folder of their character."""
    return 3 if is_private(name) else 2


def is_private(name: str) -> bool:
    """Whether a chat's place says that it is one with a single character."""
    return bool(About(name).avatar)


def is_of_user_folder(name: str) -> bool:
    """Whether a card's place says that it is one of a SillyTavern user's, who knows it by its file's name."""
    return PurePosixPath(name.replace("\\", "/")).parent.name == CHARACTERS


def about(name: str, modified_at: float) -> About:
    """What a file's place says about it."""
    return About(name, GROUP_CHATS in PurePosixPath(name).parts[:-1], modified_at)


def folder_files(folder: Path) -> list[Path]:
    """The files of a folder that are to be imported, some of them twice; links are not followed."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    found = {path.relative_to(folder).as_posix(): path for path in files}
    names = wanted(found)
    return [found[name] for name in [*names, *looked_at_again(names, lambda name: found[name].open("rb"))]]


def members(file: BinaryIO) -> Iterator[tuple[About, BinaryIO]]:
    """The members of a ZIP archive that are to be imported, some of them twice.

    Raises BadRequest for a damaged or huge one.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            infos = archive.infolist()
            if len(infos) > MOST_MEMBERS or sum(info.file_size for info in infos) > MAX_UNPACKED:
                raise BadRequest("The archive is too large once unpacked.")
            known = {clean(info.filename).replace("\\", "/"): info for info in infos if not info.is_dir()}
            names = wanted(known)
            for name in [*names, *looked_at_again(names, lambda name: archive.open(known[name]))]:
                with archive.open(known[name]) as member:
                    yield about(name, _date(known[name])), member  # type: ignore[misc]
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise BadRequest(f"The archive cannot be read: {error}.") from None


def _date(info: zipfile.ZipInfo) -> float:
    try:
        return datetime(*info.date_time).timestamp()
    except (ValueError, OverflowError):
        return 0.0
