"""Without an id, what a chat's beginning was edited or swiped from is no other chat of the character."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes.openai_server import FakeOpenAI
from tests.fakes.wire import says
from tests.server.live import Live, idle

MAIN = {"role": "system", "content": "Write Vera's next reply in a fictional chat between Vera and Alex."}
CARD = {"role": "system", "content": "Vera keeps the lighthouse. Vera is dry and loyal."}
GREETING = {"role": "assistant", "content": "*Vera waves.* Welcome."}
SECRET = "My brother is called Aurelio and he stole the silver compass."
OTHER = "I have no family at all, nothing to tell you."
QUESTION = "What is my brother called, and what did he steal?"
NOTE = "Keep replies under eighty words."
GOES_ON = ["Nice weather.", "And the sea is calm."]


class Page:
    """One chat without an id, with the scope of the character; `glued`: post-processing merges its texts."""

    def __init__(self, live: Live, fake: FakeOpenAI, *, greeting: bool = True, glued: bool = False) -> None:
        self.live, self.fake, self.glued = live, fake, glued
        self.chat = [GREETING] if greeting else []
        self.replies = 0

    async def answer(self) -> str:
        """What stands last is answered; the prompt that the model got, without what the chat shows itself."""
        self.replies += 1
        self.fake.script(says(f"So it stands, {self.replies} of {id(self)}."))
        shown = [*self.chat]
        if self.glued:
            shown[-1] = shown[-1] | {"content": f"{shown[-1]['content']}\n\n{NOTE}"}
        first = [{"role": "system", "content": "\n\n".join(m["content"] for m in (MAIN, CARD))}]
        asked: dict[str, Any] = {"messages": [*(first if self.glued else [MAIN, CARD]), *shown]}
        asked["metadata"] = {"memory_scope": "character"}
        answer = await self.live.http.post("/v1/chat/completions", json=asked)
        assert answer.status_code == 200, answer.text
        self.chat.append({"role": "assistant", "content": f"So it stands, {self.replies} of {id(self)}."})
        await idle(self.live)
        said = "\n".join(m["content"] for m in self.fake.calls[-1].body["messages"])
        for message in shown:
            said = said.replace(message["content"], "")
        return said

    async def send(self, *texts: str) -> list[str]:
        """The prompts of these messages."""
        prompts = []
        for text in texts:
            self.chat.append({"role": "user", "content": text})
            prompts.append(await self.answer())
        return prompts

    async def swipe(self) -> str:
        self.chat.pop()
        return await self.answer()

    def edit(self, text: str) -> None:
        """Another first message of the user's."""
        at = next(n for n, m in enumerate(self.chat) if m["role"] == "user")
        self.chat[at] = {"role": "user", "content": text}


@pytest.mark.parametrize("glued", [False, True], ids=["as it came", "post-processed"])
@pytest.mark.parametrize("greeting", [True, False], ids=["greeting", "no greeting"])
async def test_a_first_message_that_was_edited_is_not_recalled(
    live: Live, fake: FakeOpenAI, greeting: bool, glued: bool
) -> None:
    page = Page(live, fake, greeting=greeting, glued=glued)
    await page.send(SECRET)
    page.edit(QUESTION)
    assert "Aurelio" not in await page.swipe()
    assert not [p for p in await page.send(*GOES_ON, QUESTION) if "Aurelio" in p]


@pytest.mark.parametrize("glued", [False, True], ids=["as it came", "post-processed"])
async def test_an_edit_that_was_taken_back_is_not_recalled(live: Live, fake: FakeOpenAI, glued: bool) -> None:
    page = Page(live, fake, glued=glued)
    await page.send(OTHER)
    page.edit(SECRET)
    await page.swipe()
    page.edit(OTHER)
    await page.swipe()
    assert not [p for p in await page.send(*GOES_ON, QUESTION) if "Aurelio" in p]


@pytest.mark.parametrize("glued", [False, True], ids=["as it came", "post-processed"])
async def test_what_was_deleted_before_the_first_reply_was_swiped_is_not_recalled(
    live: Live, fake: FakeOpenAI, glued: bool
) -> None:
    page = Page(live, fake, glued=glued)
    await page.send("Good evening, I walked here.", SECRET)
    del page.chat[-2:]
    assert "Aurelio" not in await page.swipe()
    assert not [p for p in await page.send(*GOES_ON, QUESTION) if "Aurelio" in p]


async def test_it_is_remembered_again_once_its_chat_goes_on(live: Live, fake: FakeOpenAI) -> None:
    first, second = Page(live, fake), Page(live, fake)
    await first.send(SECRET)
    await second.send(OTHER)
    assert "Aurelio" not in (await second.send(QUESTION))[0]
    await first.send("Do you remember him?")
    assert "(in another chat): My brother is called Aurelio" in (await second.send(QUESTION))[0]


async def test_a_chat_that_began_otherwise_and_went_on_is_another_one(live: Live, fake: FakeOpenAI) -> None:
    first, second = Page(live, fake), Page(live, fake)
    await first.send("Good evening.", SECRET)
    assert "(in another chat): My brother is called Aurelio" in (await second.send(QUESTION))[0]
    assert "Aurelio" in (await second.send(QUESTION))[-1]
