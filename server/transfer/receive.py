"""Imports one file, whatever it is: told by what it holds, not by its name."""

from __future__ import annotations

import asyncio
import json
import time
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, islice
from typing import Any, BinaryIO

from graph.errors import BadRequest
from graph.resources import Resources
from memory.library import Character, Library, Scope
from server.cards import MAX_FILE_BYTES, card_json, card_of
from server.chat.protocol import without_surrogates
from server.dependencies import OWNER
from server.transfer.archive import is_of_user_folder, is_private, members
from server.transfer.chat_file import About, is_header, is_message, read_chat
from server.transfer.chat_import import import_chat
from server.transfer.lines import clean, json_lines
from server.transfer.lore import is_world, read_card_book, read_world, world_of_card
from server.transfer.progress import Progress
from server.transfer.report import Report
from server.transfer.restore import is_export, restore
from server.transfer.user_folder import is_group, is_settings, lore_of_group, lore_of_settings, read_group

_PNG, _ZIP = b"\x89PNG", b"PK\x03\x04"
SCOPES: tuple[Scope, ...] = ("global", "extra", "persona")
"""To what settings bind lorebooks."""
HEAD_LINES = 20
"""Lines among which a chat must show itself, for the first ones may be broken."""
NOT_KNOWN = (
    "This is neither a SillyTavern chat (.jsonl), a character card (.json, .png), a lorebook, a group or "
    "settings (.json), a folder of these as .zip, nor an export of ours."
)

Lines = Iterator[tuple[int, dict[str, Any] | str]]  # Any: JSON


async def import_file(
    resources: Resources, file: BinaryIO, about: About, progress: Progress, *, nested: bool = False
) -> Report:
    """Import what an open file (at its beginning, seekable unless `nested`) holds; `progress` counts it.

    Raises BadRequest, with nothing stored, for what is none of the things that are taken.
    """
    start = await asyncio.to_thread(file.read, 4)
    await asyncio.to_thread(file.seek, 0)
    if start == _ZIP and not nested:
        return await _import_archive(resources, file, progress)
    if start == _PNG:
        return await _import_json(resources, card_json(await _whole(file)), about)
    lines = json_lines(file)
    head = await asyncio.to_thread(lambda: list(islice(lines, HEAD_LINES)))
    entries = [entry for _, entry in head if isinstance(entry, dict)]
    if any(is_export(entry) for entry in entries[:1]):
        return await restore(resources, chain(head, lines), progress)
    if any(is_header(entry) or is_message(entry) for entry in entries):
        counted, about = progress.counted(chain(head, lines)), await _with_members(resources, about)
        report = await import_chat(resources, await asyncio.to_thread(read_chat, counted, about), progress)
        progress.through()
        return report
    await asyncio.to_thread(file.seek, 0)
    return await _import_json(resources, await _json_of(file), about)


async def _with_members(resources: Resources, about: About) -> About:
    """What the groups say about a chat."""
    if is_private(about.name):
        return about
    members = await asyncio.to_thread(resources.library.members_of_chat, OWNER, about.stem)
    return replace(about, members=tuple(members))


async def _whole(file: BinaryIO) -> bytes:
    raw = await asyncio.to_thread(file.read, MAX_FILE_BYTES + 1)
    if len(raw) > MAX_FILE_BYTES:
        raise BadRequest("The file is too large for a character card or lorebook.")
    return raw


async def _json_of(file: BinaryIO) -> dict[str, Any]:
    raw = await _whole(file)
    try:
        content = await asyncio.to_thread(json.loads, raw.removeprefix(b"\xef\xbb\xbf"))
    except (ValueError, RecursionError):
        raise BadRequest(NOT_KNOWN) from None
    if not isinstance(content, dict):
        raise BadRequest(NOT_KNOWN)
    return content


async def _import_json(resources: Resources, content: dict[str, Any], about: About) -> Report:
    """Settings, a group, a lorebook or a card."""
    return await asyncio.to_thread(_put_json, resources.library, without_surrogates(content), about)


def _put_json(library: Library, content: dict[str, Any], about: About) -> Report:
    report = Report(files=1)
    if is_settings(content):
        found = lore_of_settings(content)
        for scope in SCOPES:
            report.bindings += library.rebind(OWNER, scope, [b for b in found if b.scope == scope])
    elif is_group(content):
        report.groups = int(library.put_group(OWNER, read_group(content, about.stem)))
        for bound in lore_of_group(content):
            library.bind_chat(OWNER, bound)
    elif is_world(content):
        report.lore = library.put_book(OWNER, read_world(content, about.stem), time.time())
    elif "entries" in content or _like_a_card(content):
        _put_card(library, content, about, report)
    else:
        raise BadRequest(NOT_KNOWN)
    return report


def _put_card(library: Library, content: dict[str, Any], about: About, report: Report) -> None:
    name, now = clean(card_of(content).name), time.time()
    source, avatar = _source_of_card(about, name), about.stem if is_of_user_folder(about.name) else ""
    report.characters = int(library.put_character(OWNER, Character(source, name, content), now))
    carried = read_card_book(content, name)
    if carried is not None:
        report.lore = library.put_book(OWNER, replace(carried, avatar=avatar), now)
    world = world_of_card(content)
    if avatar:
        library.link(OWNER, world, avatar, name)
    elif world:
        library.bind(OWNER, world, "character", name)


def _source_of_card(about: About, name: str) -> str:
    """By what a card is told from others: its file where that is named as SillyTavern does, else its name.

    Downloads of different characters are often called the same.
    """
    is_telling = is_of_user_folder(about.name) or about.stem.startswith(name)
    return about.stem if about.stem and is_telling else name


def _like_a_card(content: dict[str, Any]) -> bool:
    return not content.keys().isdisjoint(("spec", "name", "char_name")) or isinstance(
        content.get("data"), dict
    )


async def _import_archive(resources: Resources, file: BinaryIO, progress: Progress) -> Report:
    """Everything in a ZIP archive; a member that is nothing of ours is named among the problems."""
    reports: dict[str, Report] = {}
    found = members(file)
    while (item := await asyncio.to_thread(next, found, None)) is not None:
        about, member = item
        try:
            one = await import_file(resources, member, about, progress, nested=True)
        except (BadRequest, zlib.error, zipfile.BadZipFile, EOFError) as error:
            one = Report(files=1)
            one.complain(str(error))
        reports[about.name] = one.after(reports.get(about.name))
    if not reports:
        raise BadRequest("The archive holds no chats, cards or lorebooks.")
    report = Report()
    for name, one in reports.items():
        report.add(one, name)
    return report
