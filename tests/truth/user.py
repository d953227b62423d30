"""What a user does that asks the model something."""

from __future__ import annotations

from tests.truth.chat import Said, Shown
from tests.truth.edits import Edits
from tests.truth.front_end import SUMMARIZE, Message, Style, Wanted, yaml_of

TEST = "Hi"
"""SillyTavern's connection test."""


class User(Edits):
    """A world whose user sends, swipes, continues and asks aside."""

    async def send(self, text: str | None = None) -> None:
        """A message and its reply."""
        self.chat.said.append(Said("user", self.chat.user, [text or self.texts.new()]))
        await self.answered()
        await self.told_perhaps("reply")

    async def send_and_fail(self) -> None:
        """The provider fails: the message stands in the chat, memory keeps nothing of it.

        Not a third time in a row: a window of nothing but unanswered messages shows nothing that is known.
        """
        if [said.role for said in self.chat.visible[-2:]] == ["user", "user"]:
            return
        before = await self.versions()
        self.chat.said.append(Said("user", self.chat.user, [self.texts.new()]))
        await self.ask(self.in_window(), None, Wanted("normal", self.chat.characters[0]))
        assert await self.versions() == before

    async def retry(self) -> None:
        """Ask for the answer that an error or a stop left out."""
        if self.last("user"):
            await self.answered()

    async def send_and_stop(self, keep: str) -> None:
        """A reply cut off: kept in part, kept and trimmed by the front-end, or nothing of it."""
        self.chat.said.append(Said("user", self.chat.user, [self.texts.new()]))
        part = "" if keep == "nothing" else self.texts.new()
        await self.answered([part] if part else [])
        if keep == "trimmed":
            self.chat.said[-1].text = self.chat.said[-1].text.rsplit(" ", 1)[0]

    async def speak(self, who: int) -> None:
        """Another member of the group answers."""
        if self.talked():
            await self.answered(speaker=self.chat.characters[who % len(self.chat.characters)])

    async def regenerate(self) -> None:
        last = self.last("assistant")
        if last and self.asked_before(last):
            last.gone = True
            await self.answered(kind="regenerate", speaker=last.speaker)

    async def swipe(self, replies: int = 1) -> None:
        """A new alternative of the last reply, or several at once."""
        last = self.last("assistant")
        if last is None or not self.asked_before(last):
            return
        window = [said for said in self.in_window(before=last)]
        if self.is_lone(window):
            return
        texts = [self.texts.new() for _ in range(replies)]
        kept = await self.ask(window, texts, Wanted("swipe", last.speaker))
        last.at = len(last.swipes)
        last.swipes += self.as_shown(texts)
        last.date_swipes()
        self.compare(kept, [*self.show(window), Shown(last, last.text)], window)

    async def continue_reply(self) -> None:
        """The last reply is made longer."""
        last = self.last("assistant")
        if last is None or not self.asked_before(last):
            return
        window = self.in_window()
        more = f" and {self.texts.new()}"
        kept = await self.ask(window, [more], Wanted("continue", last.speaker))
        last.text += more
        self.compare(kept, self.show(window), window)
        await self.told_perhaps("reply")

    async def impersonate(self) -> None:
        """The model writes into the user's input box."""
        if self.talked():
            await self._ask_in_vain(Wanted("impersonate", self.chat.characters[0]))

    async def ask_quietly(self, prompt: str = SUMMARIZE) -> None:
        """An extension, or the user by /gen, asks something about the chat.

        A prompt that shows no sign of it may be taken for a turn.
        """
        marked = self.tells_kind or prompt == SUMMARIZE
        if not self.talked():
            return
        wanted = Wanted("quiet", self.chat.characters[0], prompt=prompt)
        if marked or self._shows_its_shape():
            await self._ask_in_vain(wanted)
        else:
            await self._ask_in_doubt(wanted)

    async def ask_raw(self, text: str) -> None:
        """A prompt that has nothing of the chat."""
        kind = "test" if text == TEST else "raw"
        before = await self.versions()
        tag = {"metadata": self._tag_beside_the_chat(kind)} if self.tells_kind else {}
        body = {"messages": [{"role": "user", "content": text}], "stream": False, **tag}
        kept = await self.send_body(body, [self.texts.new()])
        assert kept is None, f"memory has {kept.path}"
        assert await self.versions() == before

    def _tag_beside_the_chat(self, kind: str) -> Message:
        """Macros know the kind of the chat's last request only."""
        if self.tagged:
            return {"chat_id": self.chat.chat_id, "kind": kind}
        return yaml_of(self.chat, Wanted(self.last_kind, self.chat.characters[0]))

    async def _ask_in_vain(self, wanted: Wanted) -> None:
        before = await self.versions()
        kept = await self.ask(self.in_window(), [self.texts.new()], wanted)
        assert kept is None, f"memory has {[m.text for m in kept.path[-2:]]} of {wanted.kind}"
        assert await self.versions() == before

    async def _ask_in_doubt(self, wanted: Wanted) -> None:
        """The answer may be taken for a reply, which is deleted at once, as far as the chat shows."""
        window = self.in_window()
        if self.is_lone(window):
            return
        before = await self.versions()
        answer = Said("assistant", wanted.speaker, [self.texts.new()], gone=True)
        kept = await self.ask(window, [answer.text], wanted)
        if kept is None:
            assert await self.versions() == before
            return
        self.chat.said.append(answer)
        self.settle_in_doubt(kept)
        self.compare(kept, [*self.show(window), Shown(answer, answer.text)], window)

    def _shows_its_shape(self) -> bool:
        """Whether the prompt follows the post-history instructions, and these the character's last message."""
        alone = len(self.chat.characters) == 1 and self.style.mode == "none"
        return alone and self.style.post_history and self.last("assistant") is not None

    async def send_with_moved(self, n: int) -> None:
        """Messages of the window that the front-end moved into a system message."""
        self.chat.said.append(Said("user", self.chat.user, [self.texts.new()]))
        window = self.in_window()
        shown = {id(s.said): s.text for s in self.chat.shown}
        inner = [said for said in window[2:-3] if shown.get(id(said)) == said.text and len(said.text) > 12]
        still = all(shown.get(id(said)) == said.text for said in window[:-1])
        plain = self.style == Style(streams=self.style.streams)
        moved = [inner[n % len(inner)]] if inner and still and plain else []
        await self.answered(moved=moved)
