"""The proof can fail: an aligner broken in any of these ways is caught by the same machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import strategies as st

from graph import build
from graph.resources import Resources
from graph.state import Kind
from memory import names
from memory.align import Aligner, Alignment, Incoming, align
from memory.path import Path, PathBuilder, encode
from memory.transcript import TreeView
from memory.whose import ANYBODY
from nodes import store
from server.sessions import events, lookup
from server.sessions.protocol import ChatEvent, EventTaken
from server.sillytavern import interpretation
from server.transfer import chat_file
from tests.truth import memory_under_test
from tests.truth.driving import drive, machine, seed_of
from tests.truth.front_end import Style

ENOUGH = 500
"""Sequences within which what is broken has to be found out."""


class Broken:
    """An aligner whose answer is spoilt."""

    def __call__(self, window: Sequence[Incoming], path: Path, tree: TreeView, **told: bool) -> Alignment:
        found = align(window, path, tree, **told)
        return self.spoilt(found, window, path)

    def spoilt(self, found: Alignment, window: Sequence[Incoming], path: Path) -> Alignment:
        raise NotImplementedError


class KeepsSwipedReplies(Broken):
    """A retry leaves the reply that was swiped away on the path."""

    def spoilt(self, found: Alignment, window: Sequence[Incoming], path: Path) -> Alignment:
        if found.change != "retry" or not found.left:
            return found
        return replace(found, path=[*found.path, *encode(found.left)], left=[])


class ShowsHoles(Broken):
    """What the window does not show inside stays on the path."""

    def spoilt(self, found: Alignment, window: Sequence[Incoming], path: Path) -> Alignment:
        laid = PathBuilder(Path(found.path).between(0, found.head))
        for row, stored in enumerate(found.rows):
            laid.add(-row - 1 if stored is None else stored)
            for after, hole in zip(found.hole_after, found.holes, strict=True):
                if after == row:
                    laid.add(hole)
        return replace(found, path=laid.ranges, holes=[], hole_after=[])


class ForgetsWhatWasTrimmed(Broken):
    """The path begins where the window begins."""

    def spoilt(self, found: Alignment, window: Sequence[Incoming], path: Path) -> Alignment:
        return replace(found, path=Path(found.path).between(found.head), head=0)


class IgnoresEdits(Broken):
    """A changed message is taken for the one in its place, so that the old wording is remembered."""

    def spoilt(self, found: Alignment, window: Sequence[Incoming], path: Path) -> Alignment:
        if found.change != "edit" or not found.left or None not in found.rows:
            return found
        at = found.rows.index(None)
        rows = [*found.rows[:at], found.left[0], *found.rows[at + 1 :]]
        changed = [found.left[0] if i == -at - 1 else i for i in Path(found.path)]
        return replace(found, path=encode(changed), rows=rows, left=found.left[1:])


class KeepsWhatWasEdited(Broken):
    """The old wording stays on the path before the new one."""

    def spoilt(self, found: Alignment, window: Sequence[Incoming], path: Path) -> Alignment:
        if found.change != "edit" or not found.left or not found.path:
            return found
        laid = PathBuilder(Path(found.path).between(0, found.head))
        for i in [*found.left, *Path(found.path).slice(found.head)]:
            laid.add(i)
        return replace(found, path=laid.ranges)


class MixesChats(Broken):
    """Whatever has a greeting in common is taken for the same chat, going on from its end."""

    def spoilt(self, found: Alignment, window: Sequence[Incoming], path: Path) -> Alignment:
        if not found.matched:
            return found
        tail = [[-1 - row] * 2 for row, stored in enumerate(found.rows) if stored is None]
        kept = Path(found.path)
        laid = [*path.ranges, *tail] if not any(i in kept for i in found.left) else found.path
        users = max(found.matched_users, 1)
        return replace(found, path=laid, matched_users=users, change="append", apart_from_holes="append")


async def nothing_changes(resources: Resources, name: str, event: ChatEvent) -> EventTaken:
    """An event that is taken and changes nothing."""
    known = await lookup.find(resources, name)
    return EventTaken(id=known.session_id if known else "", type=event.type)


def every_kind_is_stored(patch: pytest.MonkeyPatch) -> None:
    for module in (build, memory_under_test):
        patch.setattr(module, "STORED_KINDS", get_args(Kind))


def every_kind_is_normal(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(interpretation, "read_kind", lambda *_: ("normal", False))


def events_change_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(events, "take", nothing_changes)


def ids_belong_to_anybody(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(memory_under_test, "told_whose", lambda *_: ANYBODY)


def former_personas_are_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(names.Prompt, "window_in", lambda prompt, _: prompt.window)


def names_make_a_group(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(store, "is_group", lambda state: len(state.names) > 2)


def ids_in_files_are_ignored(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(chat_file, "LIVE_ID", "another variable")


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "broken",
    [KeepsSwipedReplies, ShowsHoles, ForgetsWhatWasTrimmed, IgnoresEdits, KeepsWhatWasEdited, MixesChats],
)
def test_a_broken_aligner_is_caught(broken: type[Broken]) -> None:
    spoilt: Aligner = broken()
    with pytest.raises(AssertionError, match="memory has"):
        drive(machine(st.just(Style()), spoilt), ENOUGH, seed_of(broken.__name__), shrink=False)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("mutation", "style"),
    [
        (every_kind_is_stored, Style()),
        (every_kind_is_normal, Style()),
        (events_change_nothing, Style()),
        (ids_belong_to_anybody, Style()),
        (former_personas_are_forgotten, Style()),
        (names_make_a_group, Style(names="field")),
        (ids_in_files_are_ignored, Style()),
    ],
)
def test_a_broken_server_is_caught(
    mutation: Callable[[pytest.MonkeyPatch], None], style: Style, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutation(monkeypatch)
    with pytest.raises(AssertionError, match="memory has"):
        drive(machine(st.just(style)), ENOUGH, seed_of(mutation.__name__), shrink=False)
