"""The machine that hypothesis drives: random sequences of what a user does, in several chats at once."""

from __future__ import annotations

from typing import get_args

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from tests.truth.compared import Told
from tests.truth.files import Files
from tests.truth.front_end import SUMMARIZE
from tests.truth.sequence import Sequence
from tests.truth.user import TEST

NUMBER = st.integers(0, 999)
WINDOWS = st.sampled_from([5, 8, 12, 30])
WHO = st.sampled_from([["Mira"], ["Tobias"], ["Mira", "Tobias"]])


class FrontEndMachine(Sequence):
    """Every action of a user's, in any order."""

    @initialize(data=st.data(), seed=NUMBER, window=WINDOWS, told=st.sampled_from(get_args(Told)))
    def begin(self, data: st.DataObject, seed: int, window: int, told: Told) -> None:
        self.to_the_end = seed % 4 == 0
        self.world = Files(self.memory, seed, data.draw(self.styles), window, told=told)
        self.world.start_chat(["Mira"], "" if told == "nothing" else "chat-1")

    @rule()
    def send(self) -> None:
        self.do(self.world.send())

    @rule()
    def send_again(self) -> None:
        self.do(self.world.send())

    @rule(n=st.integers(2, 3))
    def send_several(self, n: int) -> None:
        for _ in range(n):
            self.do(self.world.send())

    @rule()
    def regenerate(self) -> None:
        self.do(self.world.regenerate())

    @rule(replies=st.sampled_from([1, 1, 2]))
    def swipe(self, replies: int) -> None:
        self.do(self.world.swipe(replies))

    @rule(n=NUMBER)
    def swipe_back_and_send(self, n: int) -> None:
        self.do(self.world.swipe_back(n))
        self.do(self.world.send())

    @rule(n=NUMBER)
    def swipe_back(self, n: int) -> None:
        self.do(self.world.swipe_back(n))

    @rule(n=NUMBER, append=st.booleans())
    def edit(self, n: int, append: bool) -> None:
        self.do(self.world.edit(n, append=append))

    @rule(n=st.integers(1, 6))
    def delete_last(self, n: int) -> None:
        self.do(self.world.delete_last(n))

    @rule(n=NUMBER)
    def delete(self, n: int) -> None:
        self.do(self.world.delete(n))

    @rule(n=NUMBER)
    def hide(self, n: int) -> None:
        self.do(self.world.hide(n))

    @rule(n=NUMBER)
    def unhide(self, n: int) -> None:
        self.do(self.world.unhide(n))

    @rule(n=NUMBER, ids=st.sampled_from(["inherited", "none", "own"]))
    def branch(self, n: int, ids: str) -> None:
        own, inherited = f"chat-{len(self.world.chats) + 1}", self.world.chat.chat_id
        chat_id = {"inherited": inherited, "none": "", "own": own}[ids]
        told: dict[str, str] = {"everything": own if chat_id else "", "its own id": inherited}
        self.do(self.world.branch(n, told.get(self.world.told, chat_id)))

    @rule(who=WHO, with_id=st.booleans(), greeting=st.booleans())
    def new_chat(self, who: list[str], with_id: bool, greeting: bool) -> None:
        if len(self.world.chats) < 4:
            chat_id = f"chat-{len(self.world.chats) + 1}" if with_id else ""
            self.world.start_chat(who, chat_id, *([] if greeting else [""]))

    @rule(who=WHO)
    def new_chat_of_the_same_name(self, who: list[str]) -> None:
        chat_id = self.world.id_of_others(who)
        if chat_id and len(self.world.chats) < 4:
            self.world.start_chat(who, chat_id)
            self.do(self.world.send())

    @rule(n=NUMBER)
    def take_persona(self, n: int) -> None:
        self.world.take_persona(n)

    @rule(n=NUMBER)
    def switch(self, n: int) -> None:
        self.do(self.world.switch(n))

    @rule(n=NUMBER)
    def switch_and_send(self, n: int) -> None:
        self.do(self.world.switch(n))
        self.do(self.world.send())

    @rule(n=st.integers(0, 1))
    def speak(self, n: int) -> None:
        self.do(self.world.speak(n))

    @rule()
    def continue_reply(self) -> None:
        self.do(self.world.continue_reply())

    @rule()
    def impersonate(self) -> None:
        self.do(self.world.impersonate())

    @rule(prompt=st.sampled_from([SUMMARIZE, "Where is the lantern?"]))
    def ask_quietly(self, prompt: str) -> None:
        self.do(self.world.ask_quietly(prompt))

    @rule(text=st.sampled_from([TEST, "Name a colour."]))
    def ask_raw(self, text: str) -> None:
        self.do(self.world.ask_raw(text))

    @rule()
    def fail(self) -> None:
        self.do(self.world.send_and_fail())

    @rule()
    def retry(self) -> None:
        self.do(self.world.retry())

    @rule(keep=st.sampled_from(["part", "trimmed", "nothing"]))
    def stop(self, keep: str) -> None:
        self.do(self.world.send_and_stop(keep))

    @rule(n=NUMBER)
    def send_with_moved(self, n: int) -> None:
        self.do(self.world.send_with_moved(n))

    @rule(times=st.sampled_from([1, 2]))
    def import_file(self, times: int) -> None:
        self.do(self.world.import_file(times))

    @rule(window=WINDOWS)
    def resize(self, window: int) -> None:
        self.world.window = window

    @rule(data=st.data())
    def set_up(self, data: st.DataObject) -> None:
        self.world.set_up(data.draw(self.styles))
