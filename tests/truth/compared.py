"""Live memory compared with the chats: what requests have shown of each, and what memory has of that."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby, takewhile
from typing import Literal

from memory.stored import Message as StoredMessage
from tests.truth.chat import Chat, Said, Shown
from tests.truth.doubt import Doubt
from tests.truth.front_end import Message, Style, Tag, tells_user
from tests.truth.held import Kept
from tests.truth.lines import GLUE, NUDGES, Line, difference, lines_of, merged, plain, role_of, said_in
from tests.truth.memory_under_test import Memory
from tests.truth.texts import Texts

Told = Literal["nothing", "id", "its own id", "everything"]
"""What a front-end tells of its chats: a header `x-chat-id`, an id that each makes for itself, or all there is."""


class Compared:
    """Chats of one user and the memory that sees their requests.

    `requests` counts those that memory was compared after, `replays` those whose path was replayed.
    """

    def __init__(
        self,
        memory: Memory,
        seed: int,
        style: Style = Style(),  # noqa: B008
        window: int = 12,
        *,
        told: Told = "nothing",
    ) -> None:
        self.memory = memory
        self.rng = random.Random(seed)
        self.texts = Texts(self.rng)
        self.style = style
        self.window = window
        self.told = told
        """What requests tell of chats that have an id."""
        self.chats: list[Chat] = []
        self.chat = Chat([])
        self.requests = 0
        self.replays = 0
        self.agreed = True
        """No comparison failed so far."""
        self.asked: Message = {}
        """The last request's body."""
        self.last_kind = "normal"
        """The kind of the last request that showed a chat."""
        self.merging = style.mode != "none"
        self.ids: set[tuple[str, str]] = set()
        """Those that came with something that was stored, each with the characters it is of."""
        self.owners: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
        """Whose a session was at any time."""
        self.lines_left: defaultdict[str, int] = defaultdict(int)
        """How many lines memory has left behind, by tree."""
        self.kept_shown: list[Shown] = []
        """What the last request's session shows."""
        self.origins: defaultdict[Line, set[tuple[int, int]]] = defaultdict(set)
        """The swipes that ever said a line, each by its message and number; -1: one that was edited since."""
        self.unnamed: set[int] = set()
        """The user's messages that were in a request which did not tell the user's name."""

    @property
    def tag(self) -> Tag:
        """What goes with the chat's requests."""
        tags: dict[Told, Tag] = {"everything": "extension", "its own id": "yaml"}
        return tags.get(self.told, "none") if self.chat.chat_id else "none"

    @property
    def tagged(self) -> bool:
        """Whether the extension tells everything about the chat's requests, and of what happens between."""
        return self.tag == "extension"

    @property
    def tells_kind(self) -> bool:
        return self.tag != "none"

    @property
    def tells_all(self) -> bool:
        """Whether the last request tells that it shows all of the chat."""
        return bool(self.asked.get("metadata", {}).get("window"))

    @property
    def id_of_chat(self) -> tuple[str, str]:
        """The chat's id, and whose it is where requests tell that."""
        return self.chat.chat_id, "+".join(self.chat.characters) if self.tells_kind else ""

    def compare(self, kept: Kept | None, expected: list[Shown], window: Sequence[Said]) -> None:
        self.requests += 1
        assert kept is not None, f"memory has nothing of {self.asked}"
        if any(m.role == "user" and not said_in(m) for m in kept.path):
            self.settle_in_doubt(kept)
        got = [(m.role, said) for m in kept.path if (said := self.said_of(m))]
        known_id = bool(self.chat.chat_id) and self.id_of_chat in self.ids
        continued, told = self._looks_continued(), tells_user(window, self.style, self.tag)
        doubt = Doubt(self.chat, window, self.chats, self.style, self.merging, known_id, continued, told)
        allowed = [expected, *doubt.allowed(expected)]
        if self.tells_all:
            begins = self.chat.said.index(window[0])
            before = {id(said) for said in self.chat.said[:begins]}
            allowed = [shown for shown in allowed if not before & {id(s.said) for s in shown}]
        wanted = next((shown for shown in allowed if self._same(got, shown)), None)
        assert wanted is not None, difference(got, lines_of(expected))
        if wanted is not expected:
            self.chat.earlier.append(self.chat.shown)
        self._remember(kept, wanted)
        if not told:
            self.unnamed |= {said.origin for said in window if said.role == "user"}
        self._compare_speakers(kept, wanted)
        assert not kept.session.is_group or len(self.chat.characters) > 1, (
            "memory has a group of one character"
        )
        ids = [m.id for m in kept.path]
        assert len(set(ids)) == len(ids)
        for message in kept.path:
            may_have_glue = message.unsettled or not said_in(message) or self.is_in_doubt(message)
            assert may_have_glue or not GLUE.search(message.text), message
            assert not NUDGES.search(message.text), message

    def settle_in_doubt(self, kept: Kept) -> None:
        """What nobody said was taken for a message: a note that stood still may be said, as far as that shows."""
        self.chat.settled_in_doubt |= {message.id for message in kept.path if GLUE.search(message.text)}

    def said_of(self, message: StoredMessage) -> str:
        """What a message says, as far as requests tell."""
        return said_in(replace(message, unsettled=message.unsettled or self.is_in_doubt(message)))

    def is_in_doubt(self, message: StoredMessage) -> bool:
        return message.id in self.chat.settled_in_doubt

    def compare_whole(self, kept: Kept) -> None:
        """Memory was shown the whole chat, message by message: it holds that and nothing else."""
        self.requests += 1
        shown = [Shown(said, said.text) for said in self.chat.visible]
        got = [(m.role, plain(m.text)) for m in kept.path]
        assert got == lines_of(shown), difference(got, lines_of(shown))
        assert not any(m.unsettled for m in kept.path)
        assert len({m.id for m in kept.path}) == len(kept.path)
        self._remember(kept, shown)

    def _compare_speakers(self, kept: Kept, wanted: Sequence[Shown]) -> None:
        """Whoever said a message is its speaker, whatever persona the user has now.

        A name that nobody was known by stays a part of the text, one behind a note or between merged messages too.
        """
        said = [m for m in kept.path if said_in(m)]
        known: set[str] = set()
        for message, shown in zip(said, wanted, strict=True) if len(said) == len(wanted) else ():
            who = shown.said.speaker
            unknown = who not in known and message.text.startswith(f"{who}: ")
            unknown |= not message.speaker and shown.said.origin in self.unnamed
            unknown |= message.unsettled and bool(GLUE.match(message.text))
            unknown |= self.merging and message.speaker == self._spoke_before(shown.said)
            unknown |= message.text == self.style.start
            unknown |= self._came_back(message.role, message.speaker, said_in(message))
            assert message.speaker == who or unknown, f"memory has {message.speaker!r} for {who}: {message}"
            known.add(message.speaker)

    def _came_back(self, role: str, speaker: str, text: str) -> bool:
        """Whether somebody said this, a plain text, in the chat before, and it is deleted, or in a branch of it, or
        where it branched off."""
        origins = {said.origin for said in self.chat.said}
        gone = [said for said in self.chat.said if said.gone]
        gone += [s for c in self.chats if origins & {said.origin for said in c.said} for s in c.said]
        theirs = (said for said in gone if said.speaker == speaker)
        return any((said.role, plain(said.text)) == (role, text) for said in theirs)

    def _spoke_before(self, said: Said) -> str:
        """Whose message of the same role stood directly before one and is deleted."""
        before = self.chat.said[: self.chat.said.index(said)][-1:]
        return next((one.speaker for one in before if one.gone and one.role == said.role), "")

    def _looks_continued(self) -> bool:
        """Whether the last request is one that a continue without a nudge cannot be told from."""
        roles = [message["role"] for message in self.asked["messages"]]
        is_last = roles[-1] == "assistant" and (self.style.prefill or roles[-2] == "system")
        return is_last and not self.tells_kind

    def _same(self, got: Sequence[Line], shown: Sequence[Shown]) -> bool:
        """Message by message; what post-processing merged at any time is compared merged."""
        return got == lines_of(shown) or (self.merging and merged(got) == merged(lines_of(shown)))

    def _remember(self, kept: Kept, shown: list[Shown], *, tells_id: bool = True) -> None:
        tree = kept.session.key.tree_id
        self._take_for_one(kept.session.session_id, shown)
        if kept.lines_left > self.lines_left[tree]:
            self.chat.left.append(self.chat.shown)
        self.lines_left[tree] = kept.lines_left
        if self.chat.tree not in ("", tree):
            for said in self.chat.said:
                said.gone = said.gone or said.hidden
        self.chat.tree, self.chat.shown, self.chat.held = tree, shown, kept.path
        self.kept, self.kept_shown = kept, shown
        if tells_id:
            self.ids.add(self.id_of_chat)
        if tells_id and (self.tells_kind or kept.session.was_live):
            self.owners[kept.session.session_id].add(self.id_of_chat)
        named = {one for one in self.owners[kept.session.session_id] if one[0]}
        assert len(named) < 2, f"memory has one session of {named}"

    def _take_for_one(self, session_id: str, shown: Sequence[Shown]) -> None:
        """Note the branches that go on in this chat's session because they replace no more than an edit does, or
        nothing yet."""
        ours = {s.said.origin for s in shown}
        for other in self.chats:
            if other is self.chat or other.session_id != session_id or other.shown[0].said.origin not in ours:
                continue
            theirs = {s.said.origin for s in other.shown}
            replaced = _users_after(other.shown, ours, merged=self.merging)
            if replaced <= _users_after(shown, theirs, merged=self.merging) <= replaced + 1:
                self.chat.one_with.append(other)
                other.one_with.append(self.chat)
        if self.chat.session_id not in ("", session_id):
            self.chat.left.append(self.chat.shown)
        self.chat.session_id = session_id


def _users_after(shown: Sequence[Shown], common: set[int], *, merged: bool) -> int:
    """User messages after the last one that is in common; neighbours of one role may be one."""
    tail = takewhile(lambda s: s.said.origin not in common, reversed(shown))
    roles = [role for role, _ in groupby(tail, key=role_of)] if merged else [role_of(s) for s in tail]
    return roles.count("user")
