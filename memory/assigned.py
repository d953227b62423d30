"""Turns whose session was found: what a window is to its chat is read once, and handed to the run that follows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from memory.alignment import Alignment
from memory.assignment import Assignment, Request
from memory.names import Prompt
from memory.stored import Session


@dataclass(frozen=True, slots=True)
class _Held:
    request: Request
    assignment: Assignment


class AssignedTurns:
    """The assignments of the turns under way, by turn id."""

    def __init__(self) -> None:
        self._held: dict[str, _Held] = {}

    @contextmanager
    def turn(self, turn_id: str, request: Request, assignment: Assignment) -> Iterator[None]:
        """Hold a turn's assignment while it runs."""
        self._held[turn_id] = _Held(request, assignment)
        try:
            yield
        finally:
            self._held.pop(turn_id, None)

    def alignment(
        self, turn_id: str, prompt: Prompt, session: Session | None, *, continues: bool, again: bool = False
    ) -> Alignment | None:
        """How a turn's prompt is aligned with a session that is known by its id.

        None where that was not found out for this very prompt and for the session as it is now.
        """
        held = self._held.get(turn_id)
        if held is None or session is None or held.assignment.session is not session:
            return None
        asked = held.request
        same = asked.prompt == prompt and (asked.continues, asked.again) == (continues, again)
        return held.assignment.alignment if same and held.assignment.holds_where_known() else None
