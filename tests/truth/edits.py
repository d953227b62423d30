"""What a user does to a chat without asking for an answer, and what the extension reports of it."""

from __future__ import annotations

from collections.abc import Sequence

from server.sessions.protocol import ChatEvent, EventType
from tests.truth.chat import GREETING, USERS, Chat, Said
from tests.truth.world import World


class Edits(World):
    """A world whose chats are begun, changed, branched and left."""

    def start_chat(self, characters: Sequence[str], chat_id: str = "", greeting: str = GREETING) -> None:
        name = self.new_name(characters, chat_id)
        self.chat = Chat(list(characters), chat_id, self.chat.user, name)
        if greeting:
            self.chat.said.append(Said("assistant", characters[0], [greeting]))
        self.chats.append(self.chat)

    def new_name(self, characters: Sequence[str], chat_id: str) -> str:
        """A name for a chat's file: its id, where that is what the front-end calls it."""
        names = {chat.name for chat in self.chats if chat.characters == list(characters)}
        is_name = chat_id and self.told != "its own id" and chat_id not in names
        return chat_id if is_name else f"{'+'.join(characters)} - {len(self.chats)}"

    def take_persona(self, n: int) -> None:
        """The user goes on under another name."""
        self.chat.user = USERS[n % len(USERS)]

    def id_of_others(self, who: Sequence[str]) -> str:
        """An id of another character's chat, or a group's, that these have none of; empty: there is none, or
        requests do not tell whose chats are."""
        taken = {chat.chat_id for chat in self.chats if set(chat.characters) == set(who)}
        others = [chat.chat_id for chat in self.chats if chat.chat_id and chat.chat_id not in taken]
        return others[0] if others and self.told == "everything" else ""

    async def tell(self, kind: EventType) -> None:
        """What the extension reports as it happens: the whole chat."""
        if not self.tagged or not self.chat.said:
            return
        is_group = len(self.chat.characters) > 1
        event = ChatEvent(
            type=kind,
            messages=[{"role": s.role, "name": s.speaker, "content": s.text} for s in self.chat.visible],
            character="" if is_group else self.chat.characters[0],
            user_name=self.chat.user,
            is_group=is_group,
            chat_file=self.chat.chat_id,
        )
        kept = await self.memory.tell(self.chat.chat_id, event)
        if kept is not None:
            self.compare_whole(kept)
        assert kept is not None or self.id_of_chat not in self.ids, "memory knows nothing of the chat"

    async def swipe_back(self, n: int) -> None:
        last = self.last("assistant")
        if last:
            last.at = n % len(last.swipes)
            await self.tell("swipe")

    async def edit(self, n: int, *, append: bool = False) -> None:
        said = self.any_of(n)
        if said:
            said.swipes = list(said.swipes)
            text = self.texts.new(common=False)
            said.text = f"{said.text} {text}" if append else text
            await self.tell("edit")

    async def delete_last(self, n: int) -> None:
        for said in self.chat.visible[1:][-n:]:
            said.gone = True
        await self.tell("delete")

    async def delete(self, n: int) -> None:
        said = self.any_of(n)
        if said and len(self.chat.visible) > 2:
            said.gone = True
            await self.tell("delete")

    async def hide(self, n: int) -> None:
        said = self.any_of(n)
        if said and len(self.chat.visible) > 2:
            said.hidden = True
            await self.tell("hide")

    async def unhide(self, n: int) -> None:
        hidden = [said for said in self.chat.said if said.hidden and not said.gone]
        if hidden:
            hidden[n % len(hidden)].hidden = False
            await self.tell("unhide")

    async def branch(self, n: int, chat_id: str) -> None:
        said = self.any_of(n)
        if said and self.talked() and len(self.chats) < 5:
            name = self.new_name(self.chat.characters, chat_id)
            self.chat = self.chat.branch(said, chat_id, name)
            self.chats.append(self.chat)
            await self.told_perhaps("open")

    async def switch(self, n: int) -> None:
        self.chat = self.chats[n % len(self.chats)]
        await self.told_perhaps("open")

    async def told_perhaps(self, kind: EventType) -> None:
        """Reported, unless the page does not reach the server just now."""
        if self.rng.random() < 0.5:
            await self.tell(kind)
