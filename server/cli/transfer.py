"""`emotional-rag import`, over HTTP: into the running server, or one of our own."""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlencode

import httpx
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from graph.errors import BadRequest, EmotionalRagError
from graph.settings import load_settings
from server.cli.reach import reachable_server, running_server
from server.cli.reading import TIMEOUT, checked
from server.log import configure_logging
from server.transfer.archive import about, folder_files, members
from server.transfer.report import Report

BLOCK = 2**18
LOOK = 2.0
"""Seconds between looks at what is left to be embedded."""

console = Console(highlight=False)


@dataclass(frozen=True, slots=True)
class Item:
    """A file to be sent; `name` is its place below the path that was given."""

    path: Path
    name: str
    asked_for: bool
    """It was named itself, rather than found in a folder."""


def import_paths(paths: Sequence[Path]) -> int:
    """Import files and folders; exit code 1 when something that was asked for could not be read."""
    settings = load_settings()
    configure_logging(settings.log_level, interactive=True)
    items = [item for path in paths for item in items_of(path)]
    if not items:
        raise BadRequest("There are no chats, cards or lorebooks there.")
    ours = running_server(settings) is None
    with reachable_server(settings) as url, httpx.Client(base_url=url, timeout=TIMEOUT) as client:
        report, failed = send_all(client, items)
        show(report)
        if report.stored:
            follow(client, ours)
    return int(failed)


def items_of(path: Path) -> list[Item]:
    """What is to be sent for a path; raises BadRequest where there is nothing."""
    if path.is_dir():
        inside = path.resolve()
        return [Item(file, _place(file, inside), asked_for=False) for file in folder_files(inside)]
    if not path.is_file():
        raise BadRequest(f"There is no {path}.")
    return [Item(path, _place(path.resolve(), path.resolve().parent), asked_for=True)]


def _place(file: Path, folder: Path) -> str:
    """Name below the folder's own, so that a chat knows that it lies among group chats."""
    return (Path(folder.name) / file.relative_to(folder)).as_posix()


def send_all(client: httpx.Client, items: Sequence[Item]) -> tuple[Report, bool]:
    """Send each file; what is none of ours is told, and goes on (again: nothing is stored twice)."""
    reports, failed = dict[Item, Report](), False
    weights = [weight(item.path) for item in items]
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, TextColumn("{task.fields[messages]} messages"), console=console) as progress:
        bar = progress.add_task("Importing", total=sum(weights), messages=0)
        through = read = 0
        for item, lines in zip(items, weights, strict=True):

            def tell(
                read: int, stored: int, before: int = through, most: int = lines, earlier: int = read
            ) -> None:
                """A message is through when it is read and stored."""
                now = before + min(most, (read + stored) / 2)
                progress.update(bar, completed=now, messages=earlier + read)

            try:
                one = send(client, item, tell)
            except (BadRequest, OSError) as error:
                failed = failed or item.asked_for
                one = Report()
                one.complain(str(error))
            through += lines
            read += 0 if item in reports else one.read
            reports[item] = one.after(reports.get(item))
            progress.update(bar, completed=through, messages=read)
    return _whole(reports), failed


def _whole(reports: Mapping[Item, Report]) -> Report:
    """The reports of all files as one."""
    whole = Report()
    for item, report in reports.items():
        whole.add(report, item.name)
    return whole


def weight(path: Path) -> int:
    """What a file is of the whole: the lines of its chats and exports, at least 1."""
    try:
        with path.open("rb") as file:
            if path.suffix.lower() == ".zip":
                return 1 + sum(_lines(member) for known, member in members(file) if _is_lines(known.name))
            return 1 + (_lines(file) if _is_lines(path.name) else 0)
    except (BadRequest, OSError, EOFError, zlib.error):
        return 1


def _is_lines(name: str) -> bool:
    return name.lower().endswith(".jsonl")


def _lines(file: BinaryIO) -> int:
    return sum(block.count(b"\n") for block in iter(lambda: file.read(BLOCK), b""))


def send(client: httpx.Client, item: Item, tell: Callable[[int, int], None]) -> Report:
    """Import one file; `tell` is called with how many messages of it are read and stored.

    Raises BadRequest in the server's words, EmotionalRagError when the server goes away.
    """
    changed = item.path.stat().st_mtime
    known = about(item.name, changed)
    query = {"name": known.name, "group": known.group, "modified_at": changed, "progress": "true"}
    to = f"/v1/import?{urlencode(query, errors='replace')}"
    try:
        with client.stream("POST", to, content=blocks(item.path)) as answer:
            return _followed(answer, tell)
    except httpx.TransportError as error:
        raise EmotionalRagError(
            f"The server went away during {item.name} ({error}). What it had stored is kept: start it and run "
            "the same command again, and it goes on from there."
        ) from error


def _followed(answer: httpx.Response, tell: Callable[[int, int], None]) -> Report:
    """The report at an import's end; raises what the server says instead of one."""
    if answer.is_error:
        answer.read()
    told = answer.iter_lines() if answer.is_success else [answer.text]
    for line in told:
        row = json.loads(line)
        if row.get("object") == "import.progress":
            tell(row["read"], row["stored"])
        elif "error" in row:
            wrong = row["error"]
            known = wrong.get("type") == "invalid_request_error"
            raise (BadRequest if known else EmotionalRagError)(wrong["message"])
        else:
            return Report.model_validate(row)
    raise httpx.RemoteProtocolError("the answer ended early")


def blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            yield block


def show(report: Report) -> None:
    """What was taken in, and what was not."""
    console.print(
        f"{len(report.sessions)} chats with {report.read} messages: {report.added} stored, "
        f"{report.read - min(report.read, report.added)} known already; "
        f"beside them {report.swipes} swipes and {report.hidden} hidden messages stored; "
        f"{report.characters} cards, {report.groups} groups, {report.lore} lorebook entries and "
        f"{report.bindings} of their bindings new or changed."
    )
    for problem in report.problems:
        where = f"{problem.file}, line {problem.line}" if problem.line else problem.file
        console.print(f"{where}: {problem.message}", markup=False, style="yellow")
    if report.problem_count > len(report.problems):
        console.print(f"... and {report.problem_count - len(report.problems)} more.", style="yellow")


def follow(client: httpx.Client, ours: bool) -> None:
    """Wait for the embeddings in a server of our own; a running one goes on by itself."""
    left = backlog(client)
    if not ours or not left:
        console.print(f"The server embeds them in the background ({left} jobs left)." if left else "Done.")
        return
    console.print("Everything is stored. Ctrl-C ends here; the server does the rest when it runs.")
    with Progress(console=console) as progress:
        bar = progress.add_task("Embedding", total=left)
        total = left
        while left:
            time.sleep(LOOK)
            left = backlog(client)
            progress.update(bar, completed=total - min(total, left))


def backlog(client: httpx.Client) -> int:
    return int(checked(client.get("/health"))["worker"]["backlog"])
