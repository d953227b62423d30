"""What a user does to a chat without asking for an answer."""

from __future__ import annotations

from collections.abc import Sequence

from tests.truth.chat import GREETING, Chat, Said
from tests.truth.world import World


class Edits(World):
    """A world whose chats are begun, changed, branched and left."""

    def start_chat(self, characters: Sequence[str], chat_id: str = "", greeting: str = GREETING) -> None:
        self.chat = Chat(list(characters), chat_id)
        if greeting:
            self.chat.said.append(Said("assistant", characters[0], [greeting]))
        self.chats.append(self.chat)

    def swipe_back(self, n: int) -> None:
        last = self.last("assistant")
        if last:
            last.at = n % len(last.swipes)

    def edit(self, n: int, *, append: bool = False) -> None:
        said = self.any_of(n)
        if said:
            said.swipes = list(said.swipes)
            text = self.new_text(common=False)
            said.text = f"{said.text} {text}" if append else text

    def delete_last(self, n: int) -> None:
        for said in self.chat.visible[1:][-n:]:
            said.gone = True

    def delete(self, n: int) -> None:
        said = self.any_of(n)
        if said and len(self.chat.visible) > 2:
            said.gone = True

    def hide(self, n: int) -> None:
        said = self.any_of(n)
        if said and len(self.chat.visible) > 2:
            said.hidden = True

    def unhide(self, n: int) -> None:
        hidden = [said for said in self.chat.said if said.hidden]
        if hidden:
            hidden[n % len(hidden)].hidden = False

    def branch(self, n: int, chat_id: str) -> None:
        said = self.any_of(n)
        if said and self.talked() and len(self.chats) < 5:
            self.chat = self.chat.branch(said, chat_id)
            self.chats.append(self.chat)

    def switch(self, n: int) -> None:
        self.chat = self.chats[n % len(self.chats)]
