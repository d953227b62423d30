"""What a window is to its chat is found out once a turn, and is what it would be if it were found out again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from langgraph.runtime import Runtime

from graph.context import TurnContext
from graph.state import TurnInput, TurnState
from memory.align import Alignment, align
from memory.assigned import AssignedTurns
from memory.assignment import Request
from memory.names import Prompt
from nodes.reconcile import Reconcile

ROLES = {"u": "user", "a": "assistant"}
PERSONAS = ("Alex", "Sam")


def prompt_of(chat: Sequence[str], user: str = "Alex") -> Prompt:
    """The request that shows a chat, as it is read anew each time."""
    return Prompt([{"role": ROLES[line[0]], "content": line[2:]} for line in chat], ["Mira", user], user)


def request_of(prompt: Prompt, chat_id: str = "") -> Request:
    return Request("local", prompt.window, chat_id=chat_id, prompt=prompt)


class Writer:
    """Somebody who says, swipes, edits, deletes, branches and goes back, at random; some lines are alike."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.chat = ["a:Welcome.", "u:Alex: Good evening."]
        self.left: list[list[str]] = []
        self.user = "Alex"

    def line(self, role: str) -> str:
        name = self.random.choice(["", f"{self.user if role == 'u' else 'Mira'}: "])
        return f"{role}:{name}{self.random.choice(['Yes.', 'No.', 'The tide.'])} {self.random.randrange(9)}"

    def change(self) -> None:
        """One of the things that a user does, and then a message of theirs at the end."""
        at = self.random.randrange(1, len(self.chat))
        match self.random.randrange(8):
            case 0:
                self.chat[at] = self.line(self.chat[at][0])
            case 1:
                del self.chat[at]
            case 2:
                self.left.append(list(self.chat))
                self.chat = self.chat[: at + 1]
            case 3 if self.left:
                self.left.append(list(self.chat))
                self.chat = self.left.pop(0)
            case 4:
                self.user = self.random.choice(PERSONAS)
            case 5:
                while len(self.chat) > 1 and self.chat[-1][0] == "a":
                    self.chat.pop()
        if self.chat[-1][0] == "a":
            self.chat.append(self.line("u"))

    def shown(self) -> list[str]:
        return self.chat[-self.random.choice([6, 40]) :]


async def found_again(front_end: Any, request: Request, handed: Any) -> Alignment:
    """The alignment of a request with a session that is known, from the beginning."""
    tree = await front_end.transcript.tree(handed.key)
    prompt = replace(request.prompt)
    return align(prompt.window_in(tree), handed.session.path, tree, pinned=True, continues=False)


@pytest.mark.parametrize("chat_id", ["", "lighthouse"])
@pytest.mark.parametrize("seed", range(12))
async def test_what_is_handed_on_is_what_would_be_found_again(front_end, chat_id, seed):
    writer, turns, handed_on = Writer(seed), AssignedTurns(), 0
    for n in range(25):
        writer.change()
        prompt = prompt_of(writer.shown(), writer.user)
        request = request_of(prompt, chat_id)
        async with front_end.sessions.turn(request) as assignment:
            with turns.turn(f"{n}", request, assignment):
                again = replace(prompt)
                known = turns.alignment(f"{n}", again, assignment.session, continues=False)
            if known is not None:
                handed_on += 1
                assert known == await found_again(front_end, request, assignment)
            reply = writer.line("a")
            write = front_end.write(assignment, assignment.alignment.window, reply)
            await front_end.transcript.commit(replace(write, chat_id=chat_id))
        writer.chat.append(reply)
    assert handed_on > 12


async def turn(front_end: Any, chat: Sequence[str]) -> tuple[Request, Any]:
    """A second turn of a chat: its request and its assignment."""
    await front_end.send(*chat[:-2], chat_id="lighthouse", reply=chat[-2])
    request = request_of(prompt_of(chat), "lighthouse")
    return request, await front_end.sessions.find(request)


CHAT = ("a:Welcome.", "u:Good evening.", "a:You are late.", "u:The boat was slow.")


async def test_another_prompt_another_kind_and_a_session_that_went_on_are_read_anew(front_end):
    request, assignment = await turn(front_end, CHAT)
    turns = AssignedTurns()
    with turns.turn("t", request, assignment):
        found = turns.alignment
        assert found("t", prompt_of(CHAT), assignment.session, continues=False) is assignment.alignment
        assert found("t", prompt_of(CHAT, "Sam"), assignment.session, continues=False) is None
        assert found("t", prompt_of(CHAT[:-1]), assignment.session, continues=False) is None
        assert found("t", prompt_of(CHAT), assignment.session, continues=True) is None
        assert found("other", prompt_of(CHAT), assignment.session, continues=False) is None
        await front_end.send(*CHAT, chat_id="lighthouse", reply="a:The sea was rough.")
        now = await front_end.transcript.session("local", assignment.session_id)
        assert found("t", prompt_of(CHAT), now, continues=False) is None
    assert found("t", prompt_of(CHAT), assignment.session, continues=False) is None


async def test_a_turn_whose_session_was_found_is_not_aligned_a_second_time(front_end):
    request, assignment = await turn(front_end, CHAT)
    calls: list[int] = []

    def counted(window, path, tree, **more):
        calls.append(len(window))
        return align(window, path, tree, **more)

    turns = AssignedTurns()
    node = Reconcile(front_end.transcript, counted, turns)
    given = {
        "session_id": assignment.session_id,
        "turn_id": "t",
        "names": ["Mira", "Alex"],
        "user_name": "Alex",
    }
    state = TurnState(**vars(TurnInput(list(request.prompt.messages), given)))
    runtime = Runtime(context=TurnContext())
    alone = await node(state, runtime)
    assert calls == [len(CHAT)]
    with turns.turn("t", request, assignment):
        assert await node(state, runtime) == alone
    assert calls == [len(CHAT)]
