"""What may stand in memory before a request's window, of the chat's own line or of another one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby, takewhile

from tests.truth.chat import Chat, Said, Shown
from tests.truth.lines import COMMON, common, lines_of, merged, plain, role_of, said_in
from tests.truth.telling import Telling


class Heads(Telling):
    """A chat whose request has shown a window, and what its line was before that."""

    def has_as_much_of(self, left: Sequence[Shown]) -> bool:
        """Whether the window has as much in common with a line that was left as with the chat's own, where the newest
        messages may be merged with one that is not stored yet."""
        rows = [(said.role, plain(said.text)) for said in self.window]
        here, there = lines_of(self.chat.shown), lines_of(left)
        if self.merging:
            newest = list(takewhile(lambda row: row[0] == rows[-1][0], reversed(rows)))
            rows[len(rows) - len(newest) :] = merged(newest[::-1])
        return common(rows, there) >= common(rows, here)

    def head(self, shown: Sequence[Shown] | None = None) -> list[Shown]:
        """What was shown from before the window."""
        start = self.chat.said.index(self.window[0])
        shown = self.chat.shown if shown is None else shown
        return [s for s in shown if self.chat.said.index(s.said) < start]

    def head_of_as_many(self) -> list[Shown]:
        """What was shown in the place of all that the chat ever had before the window, for a first message of it that
        comes back."""
        first, places = self.window[0], 0
        if any(s.said is first for s in self.chat.shown):
            return self.head()
        known = list(takewhile(lambda s: s.said not in self.window, self.chat.shown))
        for said in self.chat.said[: self.chat.said.index(first)]:
            places += places < len(known) and role_of(known[places]) == said.role
        return known[:places]

    def merged_with(self) -> list[Shown]:
        """What stands before the window and may be stored merged with the first message of it that was shown."""
        shown = {id(s.said) for s in self.chat.shown}
        first = next((said for said in self.window if id(said) in shown), self.window[0])
        return list(takewhile(lambda s: role_of(s) == first.role, reversed(self.head())))

    def merged_with_next(self) -> list[Shown]:
        """What stands before the window, its last message merged with the next of its role in the window: what is
        between them was hidden when memory first saw both."""
        head = self.head()
        said = next((one for one in self.window if head and one.role == role_of(head[-1])), None)
        if said is None or said is self.window[0]:
            return []
        return [*head[:-1], Shown(head[-1].said, f"{head[-1].text}\n\n{said.text}")]

    def earlier_head(self, earlier: Sequence[Shown]) -> list[Shown]:
        """What an earlier reading of the chat had before the window, its first message before an edit too."""
        own = [n for n, s in enumerate(earlier) if s.said is self.window[0]]
        return list(earlier[: own[-1]]) if len(own) > 1 else self.head(earlier)

    def lines_that_may_be_meant(self) -> list[Chat]:
        """The chats that were taken for this one, and those with which its window has as much in common; of a
        branch that no request showed before, those with which it has as much as with its origin."""
        mine = self.chat.one_with or ([] if self.chat.session_id else [self.chat])
        rows = [(said.role, plain(said.text)) for said in self.window]
        told = [common(rows, lines_of(chat.shown)) for chat in mine]
        others = [other for other in self.chats if other is not self.chat and other.shown]
        alike = [other for other in others if told and common(rows, lines_of(other.shown)) >= min(told)]
        return [*self.chat.one_with, *alike]

    def lines_beside_a_file(self) -> list[Chat]:
        """The chats with which the window of one whose file was imported, or that of a branch with its id, has as much
        in common, without an id of its own, or that have its id too."""
        others = [other for other in self.chats if other is not self.chat and other.shown]
        has_own_id = self.known_id and all(other.chat_id != self.chat.chat_id for other in others)
        if has_own_id or not (self.chat.taken_in or any(other.taken_in for other in self.with_its_id())):
            return []
        rows = [(said.role, plain(said.text)) for said in self.window]
        told = common(rows, lines_of(self.chat.shown))
        alike = [other for other in others if common(rows, lines_of(other.shown)) >= told]
        return [*self.with_its_id(), *alike]

    def heads_of(self, line: Sequence[Shown]) -> Iterator[list[Shown]]:
        """What the line of a chat that was taken for this one shows from before the window, without what it may have
        stored merged with the window's first message."""
        before = {s.origin: s for s in self.chat.said[: self.chat.said.index(self.window[0])]}
        head = [Shown(before[s.said.origin], s.text) for s in line if s.said.origin in before]
        yield head
        merged_with = takewhile(lambda s: role_of(s) == self.window[0].role, reversed(head))
        for cut in range(1, 1 + len(list(merged_with)) if self.merging else 1):
            yield head[:-cut]

    def heads_as_others_show(self) -> Iterator[list[Shown]]:
        """What stands before the window, as another chat with this one's id shows the beginning that both have."""
        order, head = {said.origin: n for n, said in enumerate(self.chat.said)}, self.head()
        for other in self.with_its_id():
            theirs = [s for s in other.shown if s.said.origin in order]
            both = {s.said.origin for s in theirs}
            own = head[max((n for n, s in enumerate(head, 1) if s.said.origin in both), default=0) :]
            ends = order[next((s.said for s in own), self.window[0]).origin]
            begun = [Shown(self.chat.said[at], s.text) for s in theirs if (at := order[s.said.origin]) < ends]
            yield [*begun, *own]

    def edits_by_a_branch(self) -> Iterator[list[Shown]]:
        """What stands before the window on the line of a chat whose id this one inherited, when its first request has
        nothing in common with that but a phrase, behind an edited message."""
        mine = {said.origin: said for said in self.chat.said}
        rows = [(said.role, plain(said.text)) for said in self.window]
        for other in self.with_its_id() if not self.chat.session_id else ():
            line = [Shown(mine[s.said.origin], s.text) for s in other.shown if s.said.origin in mine]
            if all(row[1] in COMMON for row in rows if row in lines_of(line)):
                yield from self.edits_of_the_nearest(line)

    def repetitions(self) -> Iterator[Sequence[Shown]]:
        """What stands before later places at which the window may begin as well: the chat repeats itself, or the one
        does that it branched off."""
        rows = [(said.role, plain(said.text)) for said in self.window]
        own = len(self.head())
        told = common(rows, lines_of(self.chat.shown)[own:])
        mine = {said.origin: said for said in self.chat.said}
        origins = (
            [Shown(mine[s.said.origin], s.text) for s in other.shown if s.said.origin in mine]
            for other in self._origins()
        )
        for shown in (self.chat.shown, *origins):
            lines = lines_of(shown)
            for start in range(own + 1, len(lines)):
                if lines[start] == rows[0] and common(rows, lines[start:]) >= told:
                    yield shown[:start]

    def _origins(self) -> Iterator[Chat]:
        """The chat that one which nothing was shown of branched off; where nothing was shown of that either, the one
        that it branched off too."""
        chat, named = self.chat, {other.name: other for other in self.chats}
        while not chat.session_id and chat.main_chat in named:
            chat = named[chat.main_chat]
            yield chat

    def edits_of_the_nearest(self, line: Sequence[Shown]) -> Iterator[list[Shown]]:
        """What stands before the window on a line, when its first rows replace the nearest messages of their roles
        before the first one that is known: the last one that said it, where it is a phrase that is said again, also
        now. What is merged is one row."""
        yield from self._edits(line, [[said] for said in self.window])
        if self.merging:
            runs = groupby(self.window, key=lambda said: said.role)
            yield from self._edits(line, [list(run) for _, run in runs])

    def _edits(self, line: Sequence[Shown], window: Sequence[Sequence[Said]]) -> Iterator[list[Shown]]:
        shown, lines = {id(s.said): s.text for s in line}, lines_of(line)
        held = {(message.role, said_in(message)) for message in self.chat.held}
        rows = [(row[0].role, " ".join(plain(said.text) for said in row)) for row in window]
        places = {id(s.said): n for n, s in enumerate(line)}
        same = (all(shown.get(id(said)) == said.text for said in row) for row in window)
        known = [n for n, is_same in enumerate(same) if is_same and (not self.merging or rows[n] in held)][:1]
        phrase = [n for n, row in enumerate(rows) if row[1] in COMMON and row in lines][:1]
        for first in {*known, *phrase} - {0}:
            starts = {places[id(window[first][0])]} if first in known else set()
            if rows[first][1] in COMMON:
                starts |= {n for n, said in enumerate(lines) if said == rows[first]}
            for head in starts:
                for row in reversed(window[:first]):
                    nearest = (n for n in reversed(range(head)) if line[n].said.role == row[0].role)
                    head = next(nearest, head)
                yield list(line[:head])
