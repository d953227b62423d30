"""What memory may hold after a request that tells too little.

What DESIGN leaves open is settled here as follows.

- Memory knows what requests showed. A message that fell out of the window stays as it was last shown,
  also when the user edits, hides or deletes it there; it changes when a window shows its place again.
- What stands on the path before the window is what stood there before the window's first message in the
  chat's own order. A message that was hidden when it left the window stays away until it is shown.
- A branch begins with what its origin had been shown of its messages, then or until its own first request.
- A text is compared without a leading "Name: " and with runs of whitespace as one space: memory keeps a
  message as it first came, and a front-end's settings for names and whitespace do not make it another
  message.
- Where post-processing merges neighbours of one role, they are compared merged: whether memory holds one
  message or two, the same was said by the same in the same order.
- The window of a front-end that merges neighbours begins with the first of them. (One that begins inside
  of what memory first saw merged shows memory another message, which replaces the merged one; and one
  that begins with messages it had not seen merged may leave the first of them before it. What memory first saw
  merged while a message between was hidden may stay so before a window that begins with that message.)
- What post-processing glued to a message may stand in memory only while the message is marked unsettled.
  Instructions that became a message of the user's by themselves (without names before messages) cannot be
  told from one; they are one until a request shows the chat without them.
- Two chats that show exactly the same are one to memory until they differ, unless ids tell them apart.
- Without an id (or with one that nobody sent before) a window that does not reach back to the chat's
  beginning has to show something of the chat: one of the user's messages that nobody else says, where it
  just goes on from what was shown; otherwise (what a branch has in common with another chat may be that
  one's) most of its user messages, and three messages that are said once (and that post-processing did
  not merge or glue to); and in any case two neighbours of the chat as such. One that shows less may begin
  anew, as a lone message does, and is compared with the path that it begins. So is one with an id that
  shows nothing known. Where it recognises such a chat later, what it knew before is there again.
- A chat that memory began anew knows nothing of what was hidden at that time: it stays hidden here, for
  where the window begins with it memory cannot tell it from an edit.
- An edit gives a text that nobody said: edited into a phrase that was hidden before, a message is taken
  for the hidden one that came back.
- A changed message at which the window begins is an edit of the nearest one of its role before the next
  message that is known. Where the user deleted that one too, the older stays as what fell out of the
  window. Where that next message is a phrase that is said again and again, it may be any that says it.
- A lone message with an id is one more from a client that sends no history; a front-end that shows one
  message of a longer chat cannot be told from it, and does not do so here.
- A front-end moves messages into a system message in requests that change nothing else: one moved beside an
  edited one of its role is taken for the edited one.
- Where a chat repeats itself, a window may begin at either of two equal places: of two neighbours that both
  say "yes" the user deleted one, or the older fell out of the window. Both requests are the same, so is
  what memory may make of them; the window has to go on from either place equally well.
- A branch whose first request replaces no more of its origin's end than an edit of the last messages does
  cannot be told from that edit: until then nothing else differs, and one session goes on. What either
  of the two shows deleted, hidden or changed is then so in the session; the other finds it so where its
  window does not show the place.
- A fork without an id may be a branch or the same chat after a deletion. Where the chat is later shown with
  a reply swiped back that the line left behind ended with, its window goes on from both lines; it may be
  taken for the one with which it has at least as much in common. Its file may be an older copy of the line left
  behind, for that one may have the file's name.
- A chat's file that lacks what memory has of later is an older copy of the chat. One that holds nothing but
  what a chat that it branched off begins with is that one's, unless ids tell.
- An imported chat takes the id under which it goes on. A branch of it that goes on first, under an id that is no
  file's name, cannot be told from it.
- An id that all branches of a chat have tells none of their files from another's. A branch whose file was
  imported without one of its own, and whose window shows nothing but what it has in common with another chat, may go on
  as a branch of that one: a file shows a chat whole, also what was deleted before the window. With the id that
  all of them have it may go on as the one that was live with it.
- A name before a message that memory first sees after the user left that persona is a part of the text: no
  request told the name.
- Whose a message is that a note stands before is not told until a request shows it without the note. One that
  memory first saw merged with another persona's before it is that one's, also once that other one is deleted.
- A phrase that another persona said before, where that was deleted, is that one's message come back; so is one
  that another persona said in the chat that this one branched off.
- Where names lead all messages, what stands before the first known name of a merged message was glued to it.
  What the user said under a persona that no stored request told is taken for that too, before a message of
  the present one's: where memory begins a chat anew, what requests told of the chat before is not known.
- A request that fails at the provider, an impersonation, a quiet prompt show memory nothing.
- A quiet prompt that no tag, no beginning and no place in the request shows for one is taken for a turn. Its
  answer is a reply that the chat does not show: off the path again with the next request.
- Merged into a single message, a continue without a nudge and the beginning that a reply is given are messages
  of the character's: the reply follows as another until the next request shows both as one, or neither.
- A request that ends with the character's message is a continue without a nudge, or an empty message was
  sent: without a tag, where continues have no nudge or a system message stands before it. Taken for a
  continue, its reply lengthens the last message until the next request shows both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from itertools import groupby, pairwise, takewhile

from tests.truth.chat import Chat, Said, Shown
from tests.truth.front_end import Style, sent
from tests.truth.lines import COMMON, common, lines_of, merged, plain, role_of


@dataclass(frozen=True)
class Doubt:
    """A chat whose request has shown this window."""

    chat: Chat
    window: Sequence[Said]
    chats: Sequence[Chat]
    style: Style
    merging: bool
    """Post-processing has merged messages at some time."""
    known_id: bool
    """Memory had requests with the chat's id before."""
    looks_continued: bool
    """The request is one that a continue without a nudge cannot be told from."""

    def allowed(self, expected: list[Shown]) -> Iterator[list[Shown]]:
        """What memory may hold where a request tells too little; nothing where it tells enough."""
        told = {self.chat.user, *(s.said.speaker for s in self.chat.shown)}
        untold = self._untold(told)
        for shown in (expected, *self._as_a_turn(expected)):
            yield shown
            if untold:
                yield [s for s in shown if s.said not in untold]
            if self.looks_continued and shown[-1].said not in self.window:
                begun = sent(shown[-2].text, self.style)
                for text in (begun, begun.rstrip()) if self.merging else (begun,):
                    yield [*shown[:-2], Shown(shown[-2].said, text + shown[-1].text)]

    def _untold(self, told: Set[str]) -> list[Said]:
        """What the user said under a name that is not told, merged before what they say under theirs."""
        if self.style.mode == "none" or self.style.names != "content":
            return []
        untold: list[Said] = []
        for role, run in groupby(self.window, key=lambda said: said.role):
            said = list(run)
            before = list(takewhile(lambda one: one.speaker not in told, said))
            untold += before if role == "user" and len(before) < len(said) else []
        return untold

    def _as_a_turn(self, expected: list[Shown]) -> Iterator[list[Shown]]:
        """The same where it is clear that the last message was not continued."""
        rest = expected[len(self._head()) :]
        if self._tells_little():
            reply = expected[-1:] if expected[-1].said not in self.window else []
            untold = self._untold({self.chat.user})
            yield [Shown(said, said.text) for said in self.window] + reply
            yield [Shown(said, said.text) for said in self.window if said not in untold] + reply
        for nearest in self._edits_of_the_nearest(self.chat.shown):
            if nearest != self._head():
                yield nearest + rest
        if self.merging:
            for cut in range(1, len(self._merged_with()) + 1):
                yield self._head()[:-cut] + rest
            if with_next := self._merged_with_next():
                yield with_next + rest
            if len(self.window) > 1 and self.window[0].role == self.window[1].role:
                for more in range(len(self._head()), len(self.chat.shown)):
                    yield self.chat.shown[:more] + rest
        for earlier in self.chat.earlier:
            yield self._earlier_head(earlier) + rest
        for left in self.chat.left:
            if self._has_as_much_of(left):
                yield self._head(left) + rest
                for nearest in self._edits_of_the_nearest(left):
                    yield nearest + rest
        for start in self._repetitions():
            yield self.chat.shown[:start] + rest
        for other in (*self._lines_that_may_be_meant(), *self._lines_beside_a_file()):
            yield self._head_of(other.shown) + rest
        for left in (left for other in self.chat.one_with for left in other.left):
            yield self._head_of(left) + rest

    def _has_as_much_of(self, left: Sequence[Shown]) -> bool:
        """Whether the window has as much in common with a line that was left as with the chat's own, where the newest
        messages may be merged with one that is not stored yet."""
        rows = [(said.role, plain(said.text)) for said in self.window]
        here, there = lines_of(self.chat.shown), lines_of(left)
        if self.merging:
            newest = list(takewhile(lambda row: row[0] == rows[-1][0], reversed(rows)))
            rows[len(rows) - len(newest) :] = merged(newest[::-1])
        return common(rows, there) >= common(rows, here)

    def _head(self, shown: Sequence[Shown] | None = None) -> list[Shown]:
        """What was shown from before the window."""
        start = self.chat.said.index(self.window[0])
        shown = self.chat.shown if shown is None else shown
        return [s for s in shown if self.chat.said.index(s.said) < start]

    def _merged_with(self) -> list[Shown]:
        """What stands before the window and may be stored merged with the first message of it that was shown."""
        shown = {id(s.said) for s in self.chat.shown}
        first = next((said for said in self.window if id(said) in shown), self.window[0])
        return list(takewhile(lambda s: role_of(s) == first.role, reversed(self._head())))

    def _merged_with_next(self) -> list[Shown]:
        """What stands before the window, its last message merged with the next of its role in the window: what is
        between them was hidden when memory first saw both."""
        head = self._head()
        said = next((one for one in self.window if head and one.role == role_of(head[-1])), None)
        if said is None or said is self.window[0]:
            return []
        return [*head[:-1], Shown(head[-1].said, f"{head[-1].text}\n\n{said.text}")]

    def _earlier_head(self, earlier: Sequence[Shown]) -> list[Shown]:
        """What an earlier reading of the chat had before the window, its first message before an edit too."""
        own = [n for n, s in enumerate(earlier) if s.said is self.window[0]]
        return list(earlier[: own[-1]]) if len(own) > 1 else self._head(earlier)

    def _lines_that_may_be_meant(self) -> list[Chat]:
        """The chats that were taken for this one, and those with which its window has as much in common; of a
        branch that no request showed before, those with which it has as much as with its origin."""
        mine = self.chat.one_with or ([] if self.chat.session_id else [self.chat])
        rows = [(said.role, plain(said.text)) for said in self.window]
        told = [common(rows, lines_of(chat.shown)) for chat in mine]
        others = [other for other in self.chats if other is not self.chat and other.shown]
        alike = [other for other in others if told and common(rows, lines_of(other.shown)) >= min(told)]
        return [*self.chat.one_with, *alike]

    def _lines_beside_a_file(self) -> list[Chat]:
        """The chats with which the window of one whose file was imported has as much in common, without an id
        of its own, or that have its id too."""
        others = [other for other in self.chats if other is not self.chat and other.shown]
        has_own_id = self.known_id and all(other.chat_id != self.chat.chat_id for other in others)
        if has_own_id or not self.chat.taken_in:
            return []
        rows = [(said.role, plain(said.text)) for said in self.window]
        told = common(rows, lines_of(self.chat.shown))
        own = self.chat.chat_id
        same = [other for other in others if own and other.chat_id == own]
        alike = [other for other in others if common(rows, lines_of(other.shown)) >= told]
        return [*same, *alike]

    def _head_of(self, line: Sequence[Shown]) -> list[Shown]:
        """What the line of a chat that was taken for this one shows from before the window."""
        before = {s.origin: s for s in self.chat.said[: self.chat.said.index(self.window[0])]}
        return [Shown(before[s.said.origin], s.text) for s in line if s.said.origin in before]

    def _repetitions(self) -> Iterator[int]:
        """Later places of what was shown at which the window may begin as well: the chat repeats itself."""
        rows = [(said.role, plain(said.text)) for said in self.window]
        lines = lines_of(self.chat.shown)
        own = len(self._head())
        told = common(rows, lines[own:])
        for start in range(own + 1, len(lines)):
            if lines[start] == rows[0] and common(rows, lines[start:]) >= told:
                yield start

    def _edits_of_the_nearest(self, line: Sequence[Shown]) -> Iterator[list[Shown]]:
        """What stands before the window on a line, when its first rows replace the nearest messages of their roles
        before the first one that is known: the last one that said it, where it is a phrase that is said again."""
        shown = {id(s.said): s.text for s in line}
        known = next((n for n, said in enumerate(self.window) if shown.get(id(said)) == said.text), 0)
        first = self.window[known]
        places = {id(s.said): n for n, s in enumerate(line)}
        starts = {places.get(id(first), 0)} if known else set()
        if known and plain(first.text) in COMMON:
            again = (first.role, plain(first.text))
            starts |= {n for n, said in enumerate(lines_of(line)) if said == again}
        for head in starts:
            for said in reversed(self.window[:known]):
                nearest = (n for n in reversed(range(head)) if line[n].said.role == said.role)
                head = next(nearest, head)
            yield list(line[:head])

    def _tells_little(self) -> bool:
        """Whether a window without an id shows too little of what memory knows of its chat."""
        shown = {id(s.said): s.text for s in self.chat.shown}
        known = [said for said in self.window if shown.get(id(said)) == said.text]
        if self.style.mode != "none":
            lone = [
                run
                for _, said in groupby(self.window, key=lambda said: said.role)
                if len(run := list(said)) == 1
            ]
            depth = len(self.window) if self.style.note_depth is None else self.style.note_depth
            glued = self.window[max(0, len(self.window) - depth - 1) : len(self.window) - depth + 1]
            known = [run[0] for run in lone if run[0] in known and run[0] not in glued]
        if not known:
            return True
        if self.known_id:
            return self._is_strange_to_its_id()
        telling = [said for said in known if plain(said.text) not in COMMON]
        places = {id(s.said): n for n, s in enumerate(self.chat.shown)}
        follows = pairwise(known)
        if not any(places[id(b)] == places[id(a)] + 1 for a, b in follows):
            return True
        theirs = sum(said.role == "user" for said in known)
        users = sum(said.role == "user" for said in self.window)
        asked_again = self.window[-1] in known
        before = list(self.window if asked_again else self.window[:-1])
        tail = [s.said for s in self.chat.shown]
        ends = (tail[len(tail) - cut - len(before) : len(tail) - cut] for cut in range(1 + asked_again))
        goes_on = len(known) == len(before) and before in ends
        if goes_on and len(self.window) > 1 and not self._has_twin(before[-1]):
            return not any(said.role == "user" for said in telling)
        return len(telling) < 3 or not theirs or theirs * 2 < users - 1

    def _is_strange_to_its_id(self) -> bool:
        """Whether the first request of a chat shows nothing of a branch that came with its id before."""
        rows = [(said.role, plain(said.text)) for said in self.window]
        own, others = self.chat.chat_id, (other for other in self.chats if other is not self.chat)
        known = [lines_of(other.shown) for other in others if other.chat_id == own and other.session_id]
        return not self.chat.session_id and any(not common(rows, lines) for lines in known)

    def _has_twin(self, said: Said) -> bool:
        """Whether another chat, a branch or what it branched from, has a message too."""
        others = (s for chat in self.chats if chat is not self.chat for s in chat.said)
        return any(other.origin == said.origin for other in others)
