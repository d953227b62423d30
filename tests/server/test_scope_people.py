"""Whose words are told in another chat: one person's never to another, a group's never outside of it."""

from __future__ import annotations

from typing import Any

import pytest

from nodes.other_chats import MOST_CHATS
from tests.fakes.openai_server import FakeOpenAI
from tests.fakes.wire import says
from tests.server.live import Live, idle

SECRET = "My sister Ines repairs clocks in Lisbon."
QUESTION = "What does my sister Ines do in Lisbon?"
CARD = {"role": "system", "content": "Mira is the keeper of a lighthouse. Mira is dry and loyal."}
GREETING = {"role": "assistant", "content": "*The keeper looks up.* You are late."}
MAIN = {"role": "system", "content": "Write Mira's next reply in a fictional chat between Mira and Alex."}
NEW_GROUP = {"role": "system", "content": "[Start a new group chat. Group members: Mira]"}
NUDGE = {"role": "system", "content": "[Write the next reply only as Mira.]"}


class Chats:
    """Talks to a server as front-ends do, with the scope of the character."""

    def __init__(self, live: Live, fake: FakeOpenAI) -> None:
        self.live = live
        self.fake = fake
        self.newest = ""
        """The session of the newest turn."""

    async def post(self, messages: list[Any], user: str = "", **metadata: Any) -> str:
        """One turn, all that follows from it done; the prompt that the model got (Any: JSON)."""
        body: dict[str, Any] = {"messages": messages, "metadata": {"memory_scope": "character", **metadata}}
        answer = await self.live.http.post(
            "/v1/chat/completions", json=body | ({"user": user} if user else {})
        )
        assert answer.status_code == 200, answer.text
        self.newest = answer.headers["x-session-id"]
        await idle(self.live)
        return "\n".join(m["content"] for m in self.fake.calls[-1].body["messages"])

    async def lone(self, user: str, text: str) -> str:
        """A message of a client that sends no history."""
        return await self.post([CARD, {"role": "user", "content": text}], user)

    async def say(self, chat_id: str, *texts: str, user: str = "", **metadata: Any) -> str:
        turns = [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(texts)]
        tag = {"chat_id": chat_id, "character": "Mira", "user_name": "Alex", "kind": "normal"} | metadata
        return await self.post([CARD, GREETING, *turns], user, **tag)


@pytest.fixture
def chats(live: Live, fake: FakeOpenAI) -> Chats:
    return Chats(live, fake)


async def test_one_persons_words_are_never_told_to_another(chats: Chats) -> None:
    await chats.lone("ann", SECRET)
    assert SECRET not in await chats.lone("ben", QUESTION)


async def test_a_persons_other_chats_are_their_own_however_they_were_selected(chats: Chats) -> None:
    await chats.lone("ann", SECRET)
    assert SECRET in await chats.say("anns", QUESTION, user="ann")
    assert SECRET not in await chats.say("bens", QUESTION, user="ben")
    await chats.say("anns", QUESTION, "Clocks.", "My cat Tom sleeps in the attic.", user="ann")
    asked = "Where does my cat Tom sleep?"
    assert "in the attic" in await chats.say("anns too", asked, user="ann")
    assert "in the attic" not in await chats.say("bens too", asked, user="ben")


async def test_who_tells_no_user_hears_nobodys_chats_and_is_heard_by_nobody(chats: Chats) -> None:
    await chats.say("anns", SECRET, user="ann")
    assert SECRET not in await chats.say("nobodys", QUESTION)
    await chats.say("nobodys too", "My cat Tom sleeps in the attic.")
    assert "in the attic" not in await chats.say("anns too", "Where does my cat Tom sleep?", user="ann")


async def test_without_user_the_name_of_the_persona_hides_nothing(chats: Chats) -> None:
    """SillyTavern's users change personas within a chat and between chats."""
    await chats.say("first", SECRET, user_name="Alex")
    assert SECRET in await chats.say("second", QUESTION, user_name="Captain Rook")
    await chats.say("first", SECRET, "Stub.", "The cat Tom sleeps in the attic.", user_name="Lady Fern")
    assert "in the attic" in await chats.say("third", "Where does the cat Tom sleep?", user_name="Alex")


async def test_a_chat_without_user_is_not_gone_on_with_by_a_user_of_the_personas_name(chats: Chats) -> None:
    chats.fake.script(says("Clocks."))
    await chats.post([MAIN, CARD, GREETING, {"role": "user", "content": SECRET}])
    of_persona = chats.newest
    await chats.lone("Alex", "Good evening.")
    assert chats.newest != of_persona


async def test_who_takes_part_in_anothers_chat_is_told_nothing_from_elsewhere(chats: Chats) -> None:
    await chats.lone("ann", SECRET)
    await chats.say("anns", "Good evening.", user="ann")
    for user in ("ben", ""):
        assert SECRET not in await chats.say("anns", "Good evening.", "Stub.", QUESTION, user=user)
    assert SECRET in await chats.say("anns", "Good evening.", "Stub.", QUESTION, user="ann")


@pytest.mark.parametrize("other", ["ben", ""])
async def test_two_people_who_begin_with_the_same_words_have_a_chat_each(chats: Chats, other: str) -> None:
    begin = [CARD, GREETING, {"role": "user", "content": "Good evening, keeper."}]
    chats.fake.script(says("Evening."), says("Evening."))
    await chats.post(begin, "ann")
    anns = chats.newest
    await chats.post(begin, other)
    assert chats.newest != anns
    more = [*begin, {"role": "assistant", "content": "Evening."}, {"role": "user", "content": SECRET}]
    await chats.post(more, other)
    assert SECRET not in await chats.say("anns", QUESTION, user="ann")


async def test_a_branch_of_a_persons_chat_is_theirs(chats: Chats) -> None:
    shared = ("Good evening.", "Evening.", "It rains.", "It does.")
    for n in (1, 3):
        chats.fake.script(says(shared[n]))
        await chats.say("anns", *shared[:n], user="ann")
    await chats.say("branch", *shared, SECRET, user="ann")
    assert SECRET not in await chats.say("bens", QUESTION, user="ben")
    assert SECRET in await chats.say("another", QUESTION, user="ann")


async def test_groups_do_not_use_up_the_chats_that_are_searched(chats: Chats) -> None:
    await chats.say("private", SECRET)
    for n in range(MOST_CHATS + 1):
        await chats.say(f"group {n}", f"Remark number {n}.", group_members=["Mira", "Tom"])
    assert SECRET in await chats.say("asking", QUESTION)


@pytest.mark.parametrize(
    ("head", "tail", "metadata"),
    [
        ([], [], {"group_members": ["Mira"]}),
        ([NEW_GROUP], [], {}),
        ([], [NUDGE], {}),
        (
            [{"role": "user", "content": NEW_GROUP["content"]}],
            [{"role": "user", "content": NUDGE["content"]}],
            {},
        ),
    ],
    ids=["tag", "opening", "nudge", "strict post-processing"],
)
async def test_a_group_of_one_neither_takes_nor_gives(
    chats: Chats, head: list[Any], tail: list[Any], metadata: dict[str, Any]
) -> None:
    tag = {"character": "Mira", "user_name": "Alex", "kind": "normal"}
    await chats.say("private", SECRET)
    talk = [CARD, *head, GREETING, {"role": "user", "content": f"The stone is blue. {QUESTION}"}, *tail]
    assert SECRET not in await chats.post(talk, chat_id="group", **tag, **metadata)
    assert "The stone is blue." not in await chats.say("second", "Which colour has the stone? Blue?")


async def test_a_group_is_one_still_where_a_request_does_not_show_it(chats: Chats) -> None:
    await chats.say("private", SECRET)
    await chats.say("group", "Good evening.", group_members=["Mira"])
    assert SECRET not in await chats.say("group", "Good evening.", "Stub.", QUESTION)
