"""A front-end and live memory side by side: every action of a user, and what its requests leave."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from itertools import groupby, takewhile

from tests.truth.doubt import Doubt
from tests.truth.front_end import GREETING, USER, Chat, Said, Shown, Style, request
from tests.truth.lines import COMMON, GLUE, Line, difference, lines_of, merged, role_of, said_in
from tests.truth.memory_under_test import Kept, Memory

WORDS = (
    "lantern cellar gull tide letter sister brother clock jam apple secret market forest mountain violin "
    "painter remember forgive wander whisper gather follow answer listen carry open borrow mend hide laugh"
).split()


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
        self.kept_shown: list[Shown] = []
        """What the last request's session shows."""
        self.origins: defaultdict[Line, set[int]] = defaultdict(set)
        """The messages that ever said a line."""
        self._texts = 0

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
        known_id = bool(self.chat.chat_id) and self.chat.chat_id in self.ids
        doubt = Doubt(self.chat, window, self.chats, self.style, self.merging, known_id)
        allowed = [expected, *doubt.allowed(expected)]
        wanted = next((shown for shown in allowed if self._same(got, shown)), None)
        assert wanted is not None, difference(got, lines_of(expected))
        if wanted is not expected:
            self.chat.earlier.append(self.chat.shown)
        self._remember(kept, wanted)
        ids = [m.id for m in kept.path]
        assert len(set(ids)) == len(ids)
        for message in kept.path:
            assert message.unsettled or not said_in(message) or not GLUE.search(message.text), message

    def _same(self, got: Sequence[Line], shown: Sequence[Shown]) -> bool:
        """Message by message; what post-processing merged at any time is compared merged."""
        return got == lines_of(shown) or (self.merging and merged(got) == merged(lines_of(shown)))

    def _remember(self, kept: Kept, shown: list[Shown]) -> None:
        tree = kept.session.key.tree_id
        self._take_for_one(kept.session.session_id, shown)
        if self.chat.tree not in ("", tree):
            for said in self.chat.said:
                said.gone = said.gone or said.hidden
        self.chat.tree, self.chat.shown = tree, shown
        self.kept, self.kept_shown = kept, shown
        self.ids.add(self.chat.chat_id)

    def _take_for_one(self, session_id: str, shown: Sequence[Shown]) -> None:
        """Note the branches that go on in this chat's session because they replace no more than an edit does."""
        ours = {s.said.origin for s in shown}
        for other in self.chats:
            if other is self.chat or other.session_id != session_id or other.shown[0].said.origin not in ours:
                continue
            theirs = {s.said.origin for s in other.shown}
            replaced = _users_after(other.shown, ours)
            if theirs - ours and replaced <= _users_after(shown, theirs) <= replaced + 1:
                self.chat.one_with.append(other)
                other.one_with.append(self.chat)
        if self.chat.session_id not in ("", session_id):
            self.chat.left.append(self.chat.shown)
        self.chat.session_id = session_id

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


def _users_after(shown: Sequence[Shown], common: set[int]) -> int:
    """User messages after the last one that is in common."""
    tail = takewhile(lambda s: s.said.origin not in common, reversed(shown))
    return sum(role_of(s) == "user" for s in tail)
