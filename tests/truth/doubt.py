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
  window. Where that next message is a phrase that is said again and again, it may be any that says it. Where
  neighbours of one role are merged, they are one changed message.
- A message that comes back where the window begins stands behind those that replaced what stood before it, role
  by role: whether one of them was an edit or was said later is not told.
- A lone message with an id is one more from a client that sends no history; a front-end that shows one
  message of a longer chat cannot be told from it, and does not do so here.
- A front-end moves messages into a system message in requests that change nothing else: one moved beside an
  edited one of its role is taken for the edited one.
- Where a chat repeats itself, a window may begin at either of two equal places: of two neighbours that both
  say "yes" the user deleted one, or the older fell out of the window. Both requests are the same, so is
  what memory may make of them; the window has to go on from either place equally well. A branch that nothing
  was shown of yet may begin at either place of its origin, or of the one that its origin branched off, where nothing
  was shown of that either.
- What is left of messages that memory saw merged, when one of them was deleted, is a changed message.
- A branch whose first request replaces no more of its origin's end than an edit of the last messages does
  cannot be told from that edit: until then nothing else differs, and one session goes on. What either
  of the two shows deleted, hidden or changed is then so in the session; the other finds it so where its
  window does not show the place.
- A fork without an id may be a branch or the same chat after a deletion. Where the chat is later shown with
  a reply swiped back that the line left behind ended with, its window goes on from both lines; it may be
  taken for the one with which it has at least as much in common. Its file may be an older copy of the line left
  behind, for that one may have the file's name.
- Groups may have chats of one name: a file that shows nothing of a group's chat, or of what memory has of it but
  under a name that nobody told, may be another group's.
- A chat's file that lacks what memory has of later is an older copy of the chat. One that holds nothing but
  what a chat that it branched off begins with is that one's, unless ids tell.
- A branch with the id of its origin whose first request has nothing in common with that but a phrase, behind an
  edited message, is taken for an edit there.
- An imported chat takes the id under which it goes on. A branch of it that goes on first, under an id that is no
  file's name, cannot be told from it.
- An id that all branches of a chat have tells none of their files from another's. A branch whose file was
  imported without one of its own, and whose window shows nothing but what it has in common with another chat, may go on
  as a branch of that one: a file shows a chat whole, also what was deleted before the window. With the id that
  all of them have it may go on as the one that was live with it, as that one's requests had shown it.
  A deletion leaves a line as a branch does: a file that ends where neither line does may be either one's.
  The beginning that chats of one id have in common is as either of them shows it, and where the file of one of them
  was imported, another one's window that shows no more than that may be its.
- A name before a message that memory first sees after the user left that persona is a part of the text: no
  request told the name.
- Where the user's main prompt does not name the user, and no names are written before messages, nobody is known
  to have said what the user says.
- Whose a message is that a note stands before is not told until a request shows it without the note. One that
  memory first saw merged with another persona's before it is that one's, also once that other one is deleted.
- A phrase that another persona said before, where that was deleted, is that one's message come back; so is one
  that another persona said in the chat that this one branched off, or in a branch of this one.
- Where names lead all messages, what stands before the first known name of a merged message was glued to it.
  What the user said under a persona that no stored request told is taken for that too, before a message of
  the present one's: where memory begins a chat anew, what requests told of the chat before is not known. In a group
  whose prompts do not name the user a former persona is taken for the user, and what the user says now for glue
  before what that one said.
- A request that fails at the provider, an impersonation, a quiet prompt show memory nothing.
- A quiet prompt that no tag, no beginning and no place in the request shows for one is taken for a turn. Its
  answer is a reply that the chat does not show: off the path again with the next request. A note that post-processing
  glued to a message before it did not move, as if it were a part of what was said.
- Merged into a single message, a continue without a nudge and the beginning that a reply is given are messages
  of the character's: the reply follows as another until the next request shows both as one, or neither. Where
  several members' replies were begun so, the beginning may be anybody's of them.
- A request that ends with the character's message is a continue without a nudge, or an empty message was
  sent: without a tag, where continues have no nudge or a system message stands before it. Taken for a
  continue, its reply lengthens the last message until the next request shows both.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from itertools import groupby, takewhile

from tests.truth.chat import Said, Shown
from tests.truth.front_end import sent
from tests.truth.heads import Heads


class Doubt(Heads):
    """A chat whose request has shown this window."""

    def allowed(self, expected: list[Shown]) -> Iterator[list[Shown]]:
        """What memory may hold where a request tells too little; nothing where it tells enough."""
        told = {self.chat.user, *(message.speaker for message in self.chat.held)}
        untold = self._untold(told)
        for whole in (expected, *self._as_a_turn(expected)):
            for shown in (whole, [s for s in whole if s.said not in untold]) if untold else (whole,):
                yield shown
                if self.looks_continued and shown[-1].said not in self.window:
                    begun = sent(shown[-2].text, self.style)
                    for text in (begun, begun.rstrip()) if self.merging else (begun,):
                        yield [*shown[:-2], Shown(shown[-2].said, text + shown[-1].text)]

    def _untold(self, told: Set[str]) -> list[Said]:
        """What the user said under a name that is not told, merged before what they say under theirs; or without their
        name, which nothing tells, before what a former one leads."""
        is_bare = self.style.names == "none" and len(self.chat.characters) > 1 and not self.tells_user
        if self.style.mode == "none" or not (is_bare or self.style.names == "content"):
            return []
        names = {said.speaker for said in self.window} - {self.chat.user} if is_bare else told
        untold: list[Said] = []
        for role, run in groupby(self.window, key=lambda said: said.role):
            said = list(run)
            before = list(takewhile(lambda one: one.speaker not in names, said))
            untold += before if role == "user" and len(before) < len(said) else []
        return untold

    def _as_a_turn(self, expected: list[Shown]) -> Iterator[list[Shown]]:
        """The same where it is clear that the last message was not continued."""
        rest = expected[len(self.head()) :]
        if self.tells_little():
            reply = expected[-1:] if expected[-1].said not in self.window else []
            untold = self._untold({self.chat.user})
            yield [Shown(said, said.text) for said in self.window] + reply
            yield [Shown(said, said.text) for said in self.window if said not in untold] + reply
        for nearest in self.edits_of_the_nearest(self.chat.shown):
            if nearest != self.head():
                yield nearest + rest
        if self.merging:
            for cut in range(1, len(self.merged_with()) + 1):
                yield self.head()[:-cut] + rest
            if with_next := self.merged_with_next():
                yield with_next + rest
            if len(self.window) > 1 and self.window[0].role == self.window[1].role:
                for more in range(len(self.head()), len(self.chat.shown)):
                    yield self.chat.shown[:more] + rest
        for earlier in self.chat.earlier:
            yield self.earlier_head(earlier) + rest
        for left in self.chat.left:
            if self.has_as_much_of(left) or (self.chat.taken_in and self.with_its_id()):
                yield self.head(left) + rest
                for nearest in self.edits_of_the_nearest(left):
                    yield nearest + rest
        yield self.head_of_as_many() + rest
        for before in self.repetitions():
            yield [*before, *rest]
        for other in (*self.lines_that_may_be_meant(), *self.lines_beside_a_file()):
            for head in self.heads_of(other.shown):
                yield head + rest
        for head in self.heads_as_others_show():
            yield head + rest
        for nearest in self.edits_by_a_branch():
            yield nearest + rest
        for left in (left for other in self.chat.one_with for left in other.left):
            for head in self.heads_of(left):
                yield head + rest
