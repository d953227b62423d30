"""How much the window of a request tells of its chat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from tests.truth.chat import Chat, Said
from tests.truth.front_end import Style
from tests.truth.lines import COMMON, common, lines_of, plain, said_in


@dataclass(frozen=True)
class Telling:
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
    tells_user: bool
    """The request tells the user's name."""

    def tells_little(self) -> bool:
        """Whether a window without an id shows too little of what memory knows of its chat."""
        shown = {id(s.said): s.text for s in self.chat.shown}
        known = [said for said in self.window if shown.get(id(said)) == said.text]
        if self.merging and known and known[-1] is self.chat.shown[-1].said and self._is_begun(known[-1]):
            known = known[:-1]
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

    def _is_begun(self, said: Said) -> bool:
        """Whether memory has a reply as two messages: what it was given to begin with, and the rest."""
        begun = [said_in(message) for message in self.chat.held[-2:]]
        return len(begun) == 2 and "".join(begun).replace(" ", "") == "".join(said.text.split())

    def _is_strange_to_its_id(self) -> bool:
        """Whether the first request of a chat shows nothing of a branch that came with its id before."""
        rows = [(said.role, plain(said.text)) for said in self.window]
        known = [lines_of(other.shown) for other in self.with_its_id() if other.session_id]
        return not self.chat.session_id and any(not common(rows, lines) for lines in known)

    def _has_twin(self, said: Said) -> bool:
        """Whether another chat, a branch or what it branched from, has a message too."""
        others = (s for chat in self.chats if chat is not self.chat for s in chat.said)
        return any(other.origin == said.origin for other in others)

    def with_its_id(self) -> list[Chat]:
        """The other chats that have this one's id."""
        own, others = self.chat.chat_id, (other for other in self.chats if other is not self.chat)
        return [other for other in others if own and other.chat_id == own and other.shown]
