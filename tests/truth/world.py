"""A front-end and live memory side by side: every action of a user, and what must hold after each request.

What DESIGN leaves open is settled here as follows.

- Memory knows what requests showed. A message that fell out of the window stays as it was last shown,
  also when the user edits, hides or deletes it there; it changes when a window shows its place again.
- What stands on the path before the window is what stood there before the window's first message in the
  chat's own order. A message that was hidden when it left the window stays away until it is shown.
- A branch begins with what its origin had been shown of its messages.
- A text is compared without a leading "Name: " and with runs of whitespace as one space: memory keeps a
  message as it first came, and a front-end's settings for names and whitespace do not make it another
  message.
- Where post-processing merges neighbours of one role, they are compared merged: whether memory holds one
  message or two, the same was said by the same in the same order.
- The window of a front-end that merges neighbours begins with the first of them. (One that begins inside
  of what memory first saw merged shows memory another message, which replaces the merged one; and one
  that begins with messages it had not seen merged may leave the first of them before it.)
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
  window.
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
  taken for the one with which it has at least as much in common.
- A request that fails at the provider, an impersonation, a quiet prompt show memory nothing.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise

from memory.transcript import Message
from tests.truth.front_end import GREETING, USER, Chat, Said, Shown, Style, request
from tests.truth.memory_under_test import NAMES, Kept, Memory, as_delivered

COMMON = ("go on", "yes", "Nods.", "I see. Tell me more.")
WORDS = (
    "lantern cellar gull tide letter sister brother clock jam apple secret market forest mountain violin "
    "painter remember forgive wander whisper gather follow answer listen carry open borrow mend hide laugh"
).split()
GLUE = re.compile(r"NOTE|NARRATOR|LORE|POSTHISTORY|Start a new")
Line = tuple[str, str]


class World:
    """Chats of one user and the memory that sees their requests.

    `requests` counts those that memory was compared after, `replays` those whose path was replayed.
    """

    def __init__(self, memory: Memory, seed: int, style: Style = Style(), window: int = 12) -> None:  # noqa: B008
        self.memory = memory
        self.rng = random.Random(seed)
        self.style = style
        self.window = window
        self.chats: list[Chat] = []
        self.chat = Chat([])
        self.requests = 0
        self.replays = 0
        self.agreed = True
        """No comparison failed so far."""
        self.log: list[str] = []
        self.merging = style.mode != "none"
        self.ids: set[str] = set()
        """Those that requests came with."""
        self._texts = 0
        self._kept_shown: list[Shown] = []
        self._origins: defaultdict[Line, set[int]] = defaultdict(set)

    # what a user does

    def start_chat(self, characters: Sequence[str], chat_id: str = "", greeting: str = GREETING) -> None:
        self.chat = Chat(list(characters), chat_id)
        if greeting:
            self.chat.said.append(Said("assistant", characters[0], [greeting]))
        self.chats.append(self.chat)

    async def send(self, text: str | None = None) -> None:
        """A message and its reply."""
        self.chat.said.append(Said("user", USER, [text or self.new_text()]))
        await self._answered()

    async def send_and_fail(self) -> None:
        """The provider fails: the message stands in the chat, memory keeps nothing of it.

        Not a third time in a row: a window of nothing but unanswered messages shows nothing that is known.
        """
        if [said.role for said in self.chat.visible[-2:]] == ["user", "user"]:
            return
        self.chat.said.append(Said("user", USER, [self.new_text()]))
        await self.memory.look(self._messages(self._window()), kind="normal", chat_id=self.chat.chat_id)

    async def retry(self) -> None:
        """Ask for the answer that an error or a stop left out."""
        if self._last("user"):
            await self._answered()

    async def send_and_stop(self, keep: str) -> None:
        """A reply cut off: kept in part, kept and trimmed by the front-end, or nothing of it."""
        self.chat.said.append(Said("user", USER, [self.new_text()]))
        part = "" if keep == "nothing" else self.new_text()
        await self._answered([part] if part else [])
        if keep == "trimmed":
            self.chat.said[-1].text = part.rsplit(" ", 1)[0]

    async def speak(self, who: int) -> None:
        """Another member of the group answers."""
        if self._talked():
            await self._answered(speaker=self.chat.characters[who % len(self.chat.characters)])

    async def regenerate(self) -> None:
        last = self._last("assistant")
        if last and self._asked_before(last):
            last.gone = True
            await self._answered(speaker=last.speaker)

    async def swipe(self, replies: int = 1) -> None:
        """A new alternative of the last reply, or several at once."""
        last = self._last("assistant")
        if last is None or not self._asked_before(last):
            return
        window = [said for said in self._window(before=last)]
        if self._is_lone(window):
            return
        texts = [self.new_text() for _ in range(replies)]
        kept = await self._turn(window, texts, speaker=last.speaker)
        last.at = len(last.swipes)
        last.swipes += texts
        self._compare(kept, [*self.chat.show(window), Shown(last, texts[0])], window)

    def swipe_back(self, n: int) -> None:
        last = self._last("assistant")
        if last:
            last.at = n % len(last.swipes)

    def edit(self, n: int, *, append: bool = False) -> None:
        said = self._any(n)
        if said:
            said.swipes = list(said.swipes)
            text = self.new_text(common=False)
            said.text = f"{said.text} {text}" if append else text

    def delete_last(self, n: int) -> None:
        for said in self.chat.visible[1:][-n:]:
            said.gone = True

    def delete(self, n: int) -> None:
        said = self._any(n)
        if said and len(self.chat.visible) > 2:
            said.gone = True

    def hide(self, n: int) -> None:
        said = self._any(n)
        if said and len(self.chat.visible) > 2:
            said.hidden = True

    def unhide(self, n: int) -> None:
        hidden = [said for said in self.chat.said if said.hidden]
        if hidden:
            hidden[n % len(hidden)].hidden = False

    def branch(self, n: int, chat_id: str) -> None:
        said = self._any(n)
        if said and self._talked() and len(self.chats) < 5:
            self.chat = self.chat.branch(said, chat_id)
            self.chats.append(self.chat)

    def switch(self, n: int) -> None:
        self.chat = self.chats[n % len(self.chats)]

    async def continue_reply(self) -> None:
        last = self._last("assistant")
        if last is None or not self._asked_before(last) or self.style.mode not in ("none", "merge"):
            return
        window = self._window()
        more = f" and {self.new_text()}"
        kept = await self._turn(window, [more], kind="continue", speaker=last.speaker)
        last.text += more
        self._compare(kept, self.chat.show(window), window)

    async def ask_quietly(self) -> None:
        """An impersonation or a quiet prompt: nothing may be written."""
        if not self._talked():
            return
        before = await self._versions()
        asked = [*self._messages(self._window()), {"role": "system", "content": "Summarise the chat."}]
        await self.memory.look(asked, kind="quiet", chat_id=self.chat.chat_id)
        assert await self._versions() == before

    async def send_with_moved(self, n: int) -> None:
        """Messages of the window that the front-end moved into a system message."""
        self.chat.said.append(Said("user", USER, [self.new_text()]))
        window = self._window()
        shown = {id(s.said): s.text for s in self.chat.shown}
        inner = [said for said in window[2:-3] if shown.get(id(said)) == said.text and len(said.text) > 12]
        still = all(shown.get(id(said)) == said.text for said in window[:-1])
        moved = [inner[n % len(inner)]] if inner and still and self.style == Style() else []
        await self._answered(moved=moved)

    # requests

    async def _answered(
        self, texts: Sequence[str] | None = None, *, speaker: str = "", moved: Sequence[Said] = ()
    ) -> None:
        window = self._window()
        if not any(said.role == "user" for said in window) or self._is_lone(window):
            return
        speaker = speaker or self.chat.characters[0]
        texts = [self.new_text()] if texts is None else texts
        shown = [said for said in window if said not in moved]
        kept = await self._turn(shown, texts, speaker=speaker, moved=moved)
        expected = self.chat.show(shown, moved)
        if texts:
            self.chat.said.append(Said("assistant", speaker, list(texts)))
            expected.append(Shown(self.chat.said[-1], texts[0]))
        self._compare(kept, expected, shown)

    def set_up(self, style: Style) -> None:
        """The user changes the front-end's settings."""
        self.style = style
        self.merging = self.merging or style.mode != "none"

    async def _turn(
        self,
        window: Sequence[Said],
        replies: Sequence[str],
        *,
        kind: str = "normal",
        speaker: str = "",
        moved: Sequence[Said] = (),
    ) -> Kept:
        self.requests += 1
        messages = self._messages(window, moved)
        self.log.append(f"{self.chats.index(self.chat)} {kind} {[m['content'] for m in messages[-4:]]}")
        return await self.memory.turn(
            messages,
            replies,
            kind=kind,
            chat_id=self.chat.chat_id,
            character=speaker,  # type: ignore[arg-type]
        )

    def _messages(self, window: Sequence[Said], moved: Sequence[Said] = ()) -> list[dict[str, object]]:
        note = f"the mood is {self.rng.choice(WORDS)}" if self.rng.random() < 0.3 else "the mood is calm"
        return request(self.chat, window, self.style, note=note, moved=moved)

    def _window(self, before: Said | None = None) -> list[Said]:
        visible = self.chat.visible
        visible = visible[: visible.index(before)] if before else visible
        start = max(0, len(visible) - self.window)
        while self.style.mode != "none" and start and visible[start].role == visible[start - 1].role:
            start -= 1
        return visible[start:]

    # what must hold

    def _compare(self, kept: Kept, expected: list[Shown], window: Sequence[Said]) -> None:
        got = [(m.role, said) for m in kept.path if (said := said_in(m))]
        allowed = [expected, *self._in_doubt(expected, window)]
        wanted = next((shown for shown in allowed if self._same(got, shown)), None)
        assert wanted is not None, _difference(got, _lines(expected))
        if wanted is not expected:
            self.chat.earlier.append(self.chat.shown)
        self._remember(kept, wanted)
        ids = [m.id for m in kept.path]
        assert len(set(ids)) == len(ids)
        for message in kept.path:
            assert message.unsettled or not said_in(message) or not GLUE.search(message.text), message

    def _same(self, got: Sequence[Line], shown: Sequence[Shown]) -> bool:
        """Message by message; what post-processing merged at any time is compared merged."""
        return got == _lines(shown) or (self.merging and merged(got) == merged(_lines(shown)))

    def _remember(self, kept: Kept, shown: list[Shown]) -> None:
        tree = kept.session.key.tree_id
        self._take_for_one(kept.session.session_id, shown)
        if self.chat.tree not in ("", tree):
            for said in self.chat.said:
                said.gone = said.gone or said.hidden
        self.chat.tree, self.chat.shown = tree, shown
        self._kept, self._kept_shown = kept, shown
        self.ids.add(self.chat.chat_id)

    def _take_for_one(self, session_id: str, shown: Sequence[Shown]) -> None:
        """Note the branches that go on in this chat's session because they replace no more than an edit does."""
        ours = {s.said.origin for s in shown}
        for other in self.chats:
            theirs = [s for s in other.shown if s.said.origin not in ours] if other is not self.chat else []
            if theirs and other.session_id == session_id and other.shown[0].said.origin in ours:
                common = {s.said.origin for s in other.shown}
                replaced = sum(_role(s) == "user" for s in theirs)
                coming = sum(_role(s) == "user" for s in shown if s.said.origin not in common)
                if replaced <= coming <= replaced + 1:
                    self.chat.one_with.append(other)
                    other.one_with.append(self.chat)
        if self.chat.session_id not in ("", session_id):
            self.chat.left.append(self.chat.shown)
        self.chat.session_id = session_id

    def _in_doubt(self, expected: list[Shown], window: Sequence[Said]) -> Iterator[list[Shown]]:
        """What memory may hold where a request tells too little; nothing where it tells enough."""
        rest = expected[len(self._head(window)) :]
        if self._tells_little(window):
            reply = expected[-1:] if expected[-1].said not in window else []
            yield [Shown(said, said.text) for said in window] + reply
        nearest = self._edit_of_the_nearest(window)
        if nearest != self._head(window):
            yield nearest + rest
        if self.merging:
            *_, (_, last) = [("", []), *((r, list(g)) for r, g in groupby(self._head(window), _role))]
            if last and last[0].said.role == window[0].role:
                yield self._head(window)[: -len(last)] + rest
            if len(window) > 1 and window[0].role == window[1].role:
                for more in range(len(self._head(window)), len(self.chat.shown)):
                    yield self.chat.shown[:more] + rest
        for earlier in self.chat.earlier:
            yield self._earlier_head(window, earlier) + rest
        for left in self.chat.left:
            rows = [(said.role, plain(said.text)) for said in window]
            if _common(rows, _lines(left)) >= _common(rows, _lines(self.chat.shown)):
                yield self._head(window, left) + rest
        for start in self._repetitions(window):
            yield self.chat.shown[:start] + rest
        for other in self.chat.one_with:
            yield self._head_of(other, window) + rest

    def _head(self, window: Sequence[Said], shown: Sequence[Shown] | None = None) -> list[Shown]:
        """What was shown from before the window."""
        start = self.chat.said.index(window[0])
        shown = self.chat.shown if shown is None else shown
        return [s for s in shown if self.chat.said.index(s.said) < start]

    def _earlier_head(self, window: Sequence[Said], earlier: Sequence[Shown]) -> list[Shown]:
        """What an earlier reading of the chat had before the window, its first message before an edit too."""
        own = [n for n, s in enumerate(earlier) if s.said is window[0]]
        return list(earlier[: own[-1]]) if len(own) > 1 else self._head(window, earlier)

    def _head_of(self, other: Chat, window: Sequence[Said]) -> list[Shown]:
        """What a chat that was taken for this one shows from before the window."""
        before = {s.origin: s for s in self.chat.said[: self.chat.said.index(window[0])]}
        return [Shown(before[s.said.origin], s.text) for s in other.shown if s.said.origin in before]

    def _repetitions(self, window: Sequence[Said]) -> Iterator[int]:
        """Later places of what was shown at which the window may begin as well: the chat repeats itself."""
        rows = [(said.role, plain(said.text)) for said in window]
        lines = _lines(self.chat.shown)
        own = len(self._head(window))
        told = _common(rows, lines[own:])
        for start in range(own + 1, len(lines)):
            if lines[start] == rows[0] and _common(rows, lines[start:]) >= told:
                yield start

    def _edit_of_the_nearest(self, window: Sequence[Said]) -> list[Shown]:
        """What stands before the window, when its first rows replace the nearest messages of their roles."""
        shown = {id(s.said): s.text for s in self.chat.shown}
        known = next((n for n, said in enumerate(window) if shown.get(id(said)) == said.text), 0)
        places = {id(s.said): n for n, s in enumerate(self.chat.shown)}
        head = places.get(id(window[known]), 0)
        for said in reversed(window[:known]):
            nearest = (n for n in reversed(range(head)) if self.chat.shown[n].said.role == said.role)
            head = next(nearest, head)
        return self.chat.shown[:head] if known else self._head(window)

    def _tells_little(self, window: Sequence[Said]) -> bool:
        """Whether a window without an id shows too little of what memory knows of its chat."""
        shown = {id(s.said): s.text for s in self.chat.shown}
        known = [said for said in window if shown.get(id(said)) == said.text]
        if self.style.mode != "none":
            lone = [
                run for _, said in groupby(window, key=lambda said: said.role) if len(run := list(said)) == 1
            ]
            depth = len(window) if self.style.note_depth is None else self.style.note_depth
            glued = window[max(0, len(window) - depth - 1) : len(window) - depth + 1]
            known = [run[0] for run in lone if run[0] in known and run[0] not in glued]
        if not known:
            return True
        if self.chat.chat_id and self.chat.chat_id in self.ids:
            return False
        telling = [said for said in known if plain(said.text) not in COMMON]
        places = {id(s.said): n for n, s in enumerate(self.chat.shown)}
        follows = pairwise(known)
        if not any(places[id(b)] == places[id(a)] + 1 for a, b in follows):
            return True
        theirs = sum(said.role == "user" for said in known)
        users = sum(said.role == "user" for said in window)
        asked_again = window[-1] in known
        before = list(window if asked_again else window[:-1])
        tail = [s.said for s in self.chat.shown]
        ends = (tail[len(tail) - cut - len(before) : len(tail) - cut] for cut in range(1 + asked_again))
        goes_on = len(known) == len(before) and before in ends
        if goes_on and len(window) > 1 and not self._has_twin(before[-1]):
            return not any(said.role == "user" for said in telling)
        return len(telling) < 3 or not theirs or theirs * 2 < users - 1

    def _has_twin(self, said: Said) -> bool:
        """Whether another chat, a branch or what it branched from, has a message too."""
        others = (s for chat in self.chats if chat is not self.chat for s in chat.said)
        return any(other.origin == said.origin for other in others)

    async def check(self) -> None:
        """The tree of the last request's session holds nothing twice."""
        kept = self._kept
        for said in self.chat.said:
            for text in said.swipes:
                self._origins[said.role, plain(text)].add(said.origin)
        for shown in self.chat.shown:
            self._origins[shown.said.role, plain(shown.text)].add(shown.said.origin)
        tree = await self.memory.stored(kept.session.key)
        seen: defaultdict[Line, int] = defaultdict(int)
        for message in (m for m in tree if not m.unsettled and said_in(m)):
            seen[message.role, plain(message.text)] += 1
        for line, times in seen.items():
            assert times <= max(1, len(self._origins.get(line, ()))), (line, times)

    async def check_fresh(self, fresh: Memory) -> None:
        """The path that requests have shown, in one request to a memory that knows nothing else.

        It holds the same messages in the same order, and the same list is retrieved for each query. Lists
        are compared where both hold the same single messages: not while post-processing has merged some, or
        glued text to one that is not settled.
        """
        lines = [(s.said.role, s.text) for s in self.chat.shown]
        kept = await fresh.replay(lines)
        held = [[(m.role, said) for m in k.path if (said := said_in(m))] for k in (self._kept, kept)]
        assert held[0] == held[1] or (self.merging and merged(held[0]) == merged(held[1])), held
        settled = len(self._kept.path) == len(kept.path) and not any(m.unsettled for m in self._kept.path)
        if held[0] == held[1] and settled:
            for query in ("lantern secret", held[0][0][1], self.rng.choice(held[0])[1]):
                found = [await _found(self.memory, self._kept, query), await _found(fresh, kept, query)]
                assert len(found[0]) == len(lines) and _near(*found), found
        self.replays += 1

    async def replayed(self, fresh: Memory) -> None:
        """The last chat's path again, turn by turn, in a memory that knows nothing else."""
        lines = _lines(self._kept_shown)
        first = next((n for n, (role, _) in enumerate(lines) if role == "user"), None)
        if self.merging or first is None:
            return
        kept = None
        for n in range(first, len(lines)):
            answered = n + 1 < len(lines) and lines[n + 1][0] == "assistant"
            if answered or n + 1 == len(lines):
                messages = as_delivered(lines[: n + 1])
                replies = [lines[n + 1][1]] if answered else []
                if answered or lines[n][0] == "user":
                    kept = await fresh.turn(messages, replies, chat_id="replay")
        assert kept is not None
        assert [(m.role, plain(m.text)) for m in kept.path] == lines
        for query in ("lantern secret", lines[0][1], lines[-1][1]):
            found = [await _found(fresh, kept, query), await _found(self.memory, self._kept, query)]
            assert _near(*found), found

    # odds and ends

    def new_text(self, *, common: bool = True) -> str:
        """A text nobody said before, or, seldom, one that is said all the time."""
        rng = self.rng
        if common and rng.random() < 0.12:
            return rng.choice(COMMON)
        self._texts += 1
        words = [rng.choice(WORDS) for _ in range(rng.randint(2, 6))]
        text = f"{' '.join(words).capitalize()} {self._texts}."
        odd = rng.random()
        if odd < 0.1:
            return f"{text}  {rng.choice(WORDS)} \n"
        return f"{text}\n\n*{rng.choice(WORDS)} {self._texts}*" if odd < 0.2 else text

    def _last(self, role: str) -> Said | None:
        visible = self.chat.visible
        return visible[-1] if visible and visible[-1].role == role else None

    def _asked_before(self, last: Said) -> bool:
        return any(said.role == "user" for said in self._window(before=last))

    def _is_lone(self, window: Sequence[Said]) -> bool:
        roles = [said.role for said in window]
        rows = len(roles) if self.style.mode == "none" else len(list(groupby(roles)))
        return rows == 1 and bool(self.chat.chat_id and self.chat.shown)

    def _talked(self) -> bool:
        return any(said.role == "user" for said in self._window())

    def _any(self, n: int) -> Said | None:
        visible = self.chat.visible
        return visible[n % len(visible)] if visible else None

    async def _versions(self) -> list[tuple[str, int]]:
        page = await self.memory.transcript.sessions("local", limit=1000)
        return sorted((s.session_id, s.version) for s in page.sessions)


def plain(text: str) -> str:
    """A text without its speaker's name in front, runs of whitespace as one space."""
    text = " ".join(text.split())
    name = next((name for name in NAMES if text.startswith(f"{name}: ")), "")
    return text[len(name) + 2 :] if name else text


def said_in(message: Message) -> str:
    """A stored message's plain text, without what post-processing glued to it where it is unsettled."""
    if not message.unsettled and not GLUE.match(message.text):
        return plain(message.text)
    parts = re.split(r"\n\s*\n", message.text)
    return plain("\n\n".join(part for part in parts if not GLUE.match(part)))


def _role(shown: Shown) -> str:
    return shown.said.role


def _lines(shown: Sequence[Shown]) -> list[Line]:
    return [(s.said.role, plain(s.text)) for s in shown]


def merged(lines: Sequence[Line]) -> list[Line]:
    """Neighbours of one role as one."""
    return [
        (role, " ".join(text for _, text in run)) for role, run in groupby(lines, key=lambda line: line[0])
    ]


def _common(rows: Sequence[Line], lines: Sequence[Line]) -> int:
    """Length of the longest common subsequence."""
    lengths = [0] * (len(lines) + 1)
    for row in rows:
        before = 0
        for n, line in enumerate(lines):
            before, lengths[n + 1] = (
                lengths[n + 1],
                max(before + 1 if row == line else lengths[n + 1], lengths[n]),
            )
    return lengths[-1]


async def _found(memory: Memory, kept: Kept, query: str) -> list[tuple[float, str]]:
    texts = {m.id: plain(m.text) for m in kept.path}
    hits = await memory.found(kept.session, query)
    return sorted((-round(cosine, 3), texts[ref]) for cosine, ref in hits)


def _near(got: Sequence[tuple[float, str]], wanted: Sequence[tuple[float, str]]) -> bool:
    """Whether two rankings differ only among scores that rounding cannot tell apart."""
    if sorted(t for _, t in got) != sorted(t for _, t in wanted):
        return False
    return all(abs(a - b) <= 0.0021 for (a, _), (b, _) in zip(got, wanted, strict=True))


def _difference(got: Sequence[Line], wanted: Sequence[Line]) -> str:
    at = next(
        (n for n, (a, b) in enumerate(zip(got, wanted, strict=False)) if a != b), min(len(got), len(wanted))
    )
    here = slice(at, at + 4)
    return f"at {at}: memory has {got[here]} of {len(got)}, shown was {wanted[here]} of {len(wanted)}"
