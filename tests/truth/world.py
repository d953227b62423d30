"""A front-end and live memory side by side: the requests of its chats, and what they leave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

from server.sillytavern import Markers
from tests.truth.chat import Said, Shown
from tests.truth.compared import Compared
from tests.truth.front_end import Message, Style, Wanted, request
from tests.truth.held import Kept
from tests.truth.lines import plain
from tests.truth.texts import WORDS


class World(Compared):
    """A front-end that shows its chats by requests."""

    async def answered(
        self,
        texts: Sequence[str] | None = None,
        *,
        kind: str = "normal",
        speaker: str = "",
        moved: Sequence[Said] = (),
    ) -> None:
        """A request that shows the chat as it stands, and the replies to it."""
        window = self.in_window()
        if not any(said.role == "user" for said in window) or self.is_lone(window):
            return
        speaker = speaker or self.chat.characters[0]
        texts = [self.texts.new()] if texts is None else texts
        shown = [said for said in window if said not in moved]
        kept = await self.ask(shown, texts, Wanted(kind, speaker, moved=moved))
        expected = self.show(shown, moved)
        if self.style.start and not texts:
            self.chat.said.append(Said("assistant", speaker, [self.style.start], gone=True))
            expected.append(Shown(self.chat.said[-1], self.style.start))
        if texts:
            self.chat.said.append(Said("assistant", speaker, self.as_shown(texts)))
            expected.append(Shown(self.chat.said[-1], self.chat.said[-1].text))
        self.compare(kept, expected, shown)

    def show(self, window: Sequence[Said], moved: Sequence[Said] = ()) -> list[Shown]:
        """What memory knows of the chat once a request showed this window: where it tells that this is all of the
        chat, nothing stands before it."""
        shown = self.chat.show(window, moved)
        return [s for s in shown if s.said in (*window, *moved)] if self.tells_all else shown

    def as_shown(self, replies: Sequence[str]) -> list[str]:
        """Replies as the chat shows them: with the beginning that they were given."""
        return [f"{self.style.start} {text}".strip(" ") if self.style.start else text for text in replies]

    async def ask(self, window: Sequence[Said], replies: Sequence[str] | None, wanted: Wanted) -> Kept | None:
        """A request that shows this window; None where it left nothing."""
        self.last_kind = wanted.kind
        if self.style.mode == "single":
            self._said_in_parts([self.style.start, *(replies or [])])
        note = f"the mood is {self.rng.choice(WORDS)}" if self.rng.random() < 0.3 else "the mood is calm"
        body = request(self.chat, window, self.style, replace(wanted, note=note), self.tag)
        return await self.send_body(body, replies)

    def _said_in_parts(self, parts: Sequence[str]) -> None:
        """A beginning and what follows may each stand as a message of the character's for a while."""
        for part in parts:
            said = self.origins["assistant", plain(part)]
            said.add((-1, len(said)))

    async def send_body(self, body: Message, replies: Sequence[str] | None) -> Kept | None:
        """Any request of the chat's."""
        self.asked = body
        self.chat.asked = True
        named = {} if self.tells_kind or not self.chat.chat_id else {"x-chat-id": self.chat.chat_id}
        markers = Markers(continue_prefill=self.style.prefill)
        return await self.memory.ask(body, {"user-agent": "node-fetch", **named}, replies, markers)

    def set_up(self, style: Style) -> None:
        """The user changes the front-end's settings."""
        self.style = style
        self.merging = self.merging or style.mode != "none"

    def in_window(self, before: Said | None = None) -> list[Said]:
        """What the front-end shows of the chat, up to a message."""
        visible = self.chat.visible
        visible = visible[: visible.index(before)] if before else visible
        start = max(0, len(visible) - self.window)
        while self.style.mode != "none" and start and visible[start].role == visible[start - 1].role:
            start -= 1
        return visible[start:]

    def last(self, role: str) -> Said | None:
        visible = self.chat.visible
        return visible[-1] if visible and visible[-1].role == role else None

    def asked_before(self, last: Said) -> bool:
        return any(said.role == "user" for said in self.in_window(before=last))

    def is_lone(self, window: Sequence[Said]) -> bool:
        roles = [said.role for said in window]
        rows = len(roles) if self.style.mode == "none" else len(list(groupby(roles)))
        return rows == 1 and bool(self.chat.chat_id and self.chat.shown)

    def talked(self) -> bool:
        return any(said.role == "user" for said in self.in_window())

    def any_of(self, n: int) -> Said | None:
        visible = self.chat.visible
        return visible[n % len(visible)] if visible else None

    async def versions(self) -> list[tuple[str, int]]:
        page = await self.memory.transcript.sessions("local", limit=1000)
        return sorted((s.session_id, s.version) for s in page.sessions)
