"""What a user does with files: a chat's own is imported, and everything is exported and brought in elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np

from memory.stored import Message
from tests.truth.chat import Chat, Shown
from tests.truth.chat_file import written
from tests.truth.held import Kept
from tests.truth.lines import common, difference, is_of_nobody, lines_of, merged, plain, said_in
from tests.truth.memory_under_test import Memory
from tests.truth.user import User


class Files(User):
    """A world whose user imports chats too."""

    async def import_file(self, times: int = 1) -> None:
        """The chat's file as it stands, again and again; the second time nothing is new.

        Where post-processing merged messages, not of branches that no id tells from where they come from.
        """
        chat, visible, alike = self.chat, self.chat.visible, self._alike()
        if not {"user", "assistant"} <= {said.role for said in visible} or (alike and self.merging):
            return
        page = await self.memory.transcript.sessions("local", limit=1000)
        before = {s.session_id: await self.memory.kept("local", s.session_id) for s in page.sessions}
        content, is_group = written(chat, makes_id=self.tag == "yaml"), len(chat.characters) > 1
        for n in range(times):
            report = await self.memory.take_file(content, f"{chat.name}.jsonl", is_group=is_group)
            assert report.read == len(visible) and not report.problems
            assert n == 0 or report.added + report.swipes + report.hidden == 0, f"memory has more: {report}"
            kept = await self.memory.kept("local", report.sessions[0].id)
            known = bool(chat.chat_id and chat.session_id) and self.id_of_chat in self.ids
            elsewhere = known and kept.session.session_id != chat.session_id
            told = not alike and not self._may_be_another_groups() and not self._may_be_what_was_left(before)
            assert not elsewhere or not told, "memory has it elsewhere"
        chat.taken_in = True
        was = before.get(kept.session.session_id)
        theirs = any(other.session_id == kept.session.session_id for other in alike)
        if not (theirs and was and kept.path == was.path):
            self._compare_file(kept, was)

    def _may_be_another_groups(self) -> bool:
        """Whether a group's file has nothing of what memory was shown, or of what it has but under a name that nobody
        told: other groups may have a chat of that name."""
        rows = lines_of([Shown(said, said.text) for said in self.chat.visible])
        held = [(message.role, said_in(message)) for message in self.chat.held if not is_of_nobody(message)]
        none_held = not common(rows, held) and not common(merged(rows), merged(held))
        return len(self.chat.characters) > 1 and (none_held or not common(rows, lines_of(self.chat.shown)))

    def _may_be_what_was_left(self, before: Mapping[str, Kept]) -> bool:
        """Whether a chat with an id that branches inherit left a line by a deletion, and shows an end that neither had
        last: so may that line's file, were it what this one branched off."""
        here = before.get(self.chat.session_id)
        lines = [other for other in before.values() if here and other.session.key == here.session.key]
        ends = {(m.role, said_in(m)) for line in lines for m in line.path[-1:]}
        shown = lines_of([Shown(said, said.text) for said in self.chat.visible])
        return not self.tagged and len(lines) > 1 and shown[-1] not in ends

    def _alike(self) -> list[Chat]:
        """The chats that have a beginning in common with this one while no id in its file tells them apart."""
        origins = {said.origin for said in self.chat.said}
        others = (other for other in self.chats if other is not self.chat)
        related = (other for other in others if origins & {said.origin for said in other.said})
        own = self.chat.chat_id
        return [other for other in related if not own or other.chat_id in ("", own)]

    def _compare_file(self, kept: Kept, before: Kept | None) -> None:
        """The path is the file's chat, or what it was where the file is an older copy: it lacks something that
        memory has of later, in the chat's session or in one that a fork of it left behind."""
        shown = [Shown(said, said.text) for said in self.chat.visible]
        got, wanted = _said(kept.path), lines_of(shown)
        tells_id = self.chat.name == self.chat.chat_id or (self.tag == "yaml" and self.chat.asked)
        if got == wanted or (self.merging and merged(got) == merged(wanted)):
            self.requests += 1
            self._remember(kept, shown, tells_id=tells_id)
            return
        newest = max(date for said in self.chat.said if not said.gone for date in said.dates)
        is_older = any(message.created_at > newest for message in self._lacking(before))
        assert is_older and before and got == _said(before.path), difference(got, wanted)
        others = [left for other in self._alike() for left in other.left]
        if any(got == lines_of(left) for left in others) and got != lines_of(self.chat.shown):
            return
        if kept.session.session_id == self.chat.session_id or got == lines_of(self.chat.shown):
            self.requests += 1
            self._remember(kept, self.chat.shown, tells_id=tells_id)
            return
        begins_both = wanted == got[: len(wanted)] == lines_of(self.chat.shown)[: len(wanted)]
        before_quiet = [got, got[:-1]] if got[-1][0] == "assistant" else [got]
        was_left = any(merged(g) == merged(lines_of(left)) for left in self.chat.left for g in before_quiet)
        assert begins_both or was_left, "memory has it elsewhere"

    def _lacking(self, before: Kept | None) -> list[Message]:
        """What memory has more often than the chat's file does, where it is hidden or a swipe too, and what it ends
        with where that was deleted."""
        in_file = Counter(
            (said.role, plain(text)) for said in self.chat.said if not said.gone for text in said.swipes
        )
        stored = [((m.role, said_in(m)), m) for m in before.path] if before else []
        held = Counter(line for line, _ in stored)
        gone = {(said.role, plain(said.text)) for said in self.chat.said if said.gone}
        last_is_gone = [message for line, message in stored[-1:] if line in gone]
        return [message for line, message in stored if held[line] > in_file[line]] + last_is_gone

    async def is_the_same_elsewhere(self, elsewhere: Memory) -> None:
        """Everything exported, and imported into a memory that knows nothing, is the same."""
        exported = await self.memory.export()
        report = await elsewhere.take_file(exported, "export.jsonl")
        assert not report.problems
        assert await elsewhere.export() == exported
        for session in (await self.memory.transcript.sessions("local", limit=1000)).sessions:
            there = await elsewhere.kept("local", session.session_id)
            here = await self.memory.found(session, "lantern secret")
            found = await elsewhere.found(there.session, "lantern secret")
            assert np.allclose(here, found, equal_nan=True), f"memory has {found} of {here}"


def _said(path: list[Message]) -> list[tuple[str, str]]:
    return [(message.role, said) for message in path if (said := said_in(message))]
