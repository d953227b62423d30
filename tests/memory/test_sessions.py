"""Which session a request belongs to, with ids and without, and that turns of one session come one by one."""

from __future__ import annotations

import asyncio
from itertools import count

import pytest

from memory.assignment import Request

HI = ("a:Welcome.", "u:hi")


async def test_without_any_id_a_growing_chat_is_one_session(front_end):
    chat, ids = ["a:Welcome."], set()
    for n in range(6):
        chat.append(f"u:question {n}")
        assignment = await front_end.send(*chat, reply=f"a:answer {n}")
        assert assignment.alignment.change == ("new" if n == 0 else "append")
        ids.add(assignment.session_id)
        chat.append(f"a:answer {n}")
    assert len(ids) == 1
    assert await front_end.path(ids.pop()) == chat


async def test_a_chat_whose_oldest_messages_fell_out_of_the_window_keeps_them(front_end):
    chat = ["a:Welcome."]
    for n in range(8):
        chat.append(f"u:question {n}")
        first = await front_end.send(*chat[-5:], reply=f"a:answer {n}")
        chat.append(f"a:answer {n}")
    assert await front_end.path(first.session_id) == chat


async def test_the_same_window_again_is_a_retry_and_the_old_reply_becomes_a_sibling(front_end):
    first = await front_end.send(*HI, reply="a:one")
    again = await front_end.send(*HI, reply="a:two")
    assert (again.session_id, again.alignment.change) == (first.session_id, "retry")
    assert await front_end.path(first.session_id) == [*HI, "a:two"]
    assert await front_end.stored(first.session_id) == [*HI, "a:one", "a:two"]


async def test_a_swipe_back_to_an_old_reply_uses_what_is_stored(front_end):
    first = await front_end.send(*HI, reply="a:one")
    await front_end.send(*HI, reply="a:two")
    await front_end.send(*HI, "a:one", "u:more", reply="a:yes")
    assert await front_end.path(first.session_id) == [*HI, "a:one", "u:more", "a:yes"]
    assert (await front_end.stored(first.session_id)).count("a:one") == 1


async def test_a_lone_first_message_is_adopted_by_the_request_that_repeats_it(front_end):
    first = await front_end.send("u:hello there", reply="a:hello")
    second = await front_end.send("u:hello there", "a:hello", "u:how are you", reply="a:fine")
    assert second.session_id == first.session_id


async def test_a_lone_message_asked_again_is_a_retry_but_never_continues_a_longer_chat(front_end):
    first = await front_end.send("u:hello", reply="a:one")
    again = await front_end.send("u:hello", reply="a:two")
    assert again.session_id == first.session_id
    await front_end.send("u:hello", "a:two", "u:more", reply="a:yes")
    other = await front_end.send("u:hello", reply="a:three")
    assert other.session_id != first.session_id
    assert other.forked_from == ""


async def test_a_greeting_alone_identifies_nothing(front_end):
    first = await front_end.send("a:Welcome.", "u:I am Ann", reply="a:Ann!")
    other = await front_end.send("a:Welcome.", "u:I am Bob", reply="a:Bob!")
    assert other.key.tree_id != first.key.tree_id


async def test_a_fork_that_leaves_later_user_messages_behind_is_a_new_session_of_the_tree(front_end):
    long = [*HI, "a:r0", "u:one", "a:r1", "u:two", "a:r2", "u:three"]
    first = await front_end.send(*long, reply="a:r3")
    fork = await front_end.send(*HI, "a:r0", "u:other", reply="a:r4")
    assert fork.session is None and fork.forked_from == first.session_id
    assert fork.key == first.key
    assert await front_end.path(first.session_id) == [*long, "a:r3"]
    assert await front_end.path(fork.session_id) == [*HI, "a:r0", "u:other", "a:r4"]
    left = await front_end.transcript.session("local", first.session_id)
    assert left.left_behind


async def test_both_lines_of_a_fork_can_be_taken_up_again(front_end):
    long = [*HI, "a:r0", "u:one", "a:r1", "u:two"]
    first = await front_end.send(*long, reply="a:r2")
    fork = await front_end.send(*HI, "a:r0", "u:other", reply="a:r3")
    back = await front_end.send(*long, "a:r2", "u:three", reply="a:r4")
    assert back.session_id == first.session_id
    assert not (await front_end.transcript.session("local", first.session_id)).left_behind
    on = await front_end.send(*HI, "a:r0", "u:other", "a:r3", "u:more", reply="a:r5")
    assert on.session_id == fork.session_id


async def test_chats_that_share_only_a_greeting_and_hi_share_no_tree(front_end):
    sent = []
    for n in range(4):
        sent.append(await front_end.send(*HI, reply=f"a:r{n}"))
        await front_end.send(*HI, f"a:r{n}", f"u:{n}", reply="a:yes")
    assert len({s.key for s in sent}) == 4
    ids = [await front_end.send(*HI, reply="a:x", chat_id=f"chat {n}") for n in range(4)]
    assert len({s.key for s in ids}) == 4


async def test_two_chats_with_one_character_part_where_they_differ(front_end):
    """Both begin alike; each goes on by itself and shows nothing of the other."""
    one, other = [*HI], [*HI]
    for n in range(5):
        for chat, name in ((one, "one"), (other, "other")):
            sent = await front_end.send(*chat, reply=f"a:{name} answer {n}")
            chat.append(f"a:{name} answer {n}")
            assert await front_end.path(sent.session_id) == chat
            chat.append(f"u:{name} question {n}")
    assert (await front_end.find(*one)).session_id != (await front_end.find(*other)).session_id


async def test_a_window_that_shares_a_common_phrase_does_not_get_a_strangers_past(front_end):
    past = ["u:my secret", "a:I keep it", "u:go on", "a:Nods."]
    await front_end.send(*past, "u:one", "a:r1", "u:two", reply="a:r2")
    stranger = await front_end.send("u:go on", "a:Nods.", "u:what now", reply="a:nothing")
    assert await front_end.path(stranger.session_id) == ["u:go on", "a:Nods.", "u:what now", "a:nothing"]


async def test_two_chat_ids_never_share_a_session(front_end):
    one = await front_end.send(*HI, reply="a:r", chat_id="Chat One")
    other = await front_end.send(*HI, reply="a:s", chat_id="Chat Two")
    assert one.session_id != other.session_id
    assert await front_end.path(one.session_id) == [*HI, "a:r"]
    again = await front_end.send(*HI, "a:r", "u:x", reply="a:t", chat_id="Chat One")
    assert again.session_id == one.session_id


async def test_a_branch_with_its_own_id_shares_the_tree_and_leaves_nobody_behind(front_end):
    long = [*HI, "a:r0", "u:one", "a:r1", "u:two"]
    first = await front_end.send(*long, reply="a:r2", chat_id="chat")
    branch = await front_end.send(*long[:-1], "u:branch", reply="a:b", chat_id="branch")
    assert branch.key == first.key and branch.session_id == "branch"
    assert await front_end.path("chat") == [*long, "a:r2"]
    assert not (await front_end.transcript.session("local", "chat")).left_behind


async def test_a_chat_without_id_is_adopted_by_the_first_id_that_comes(front_end):
    first = await front_end.send(*HI, reply="a:r")
    adopted = await front_end.send(*HI, "a:r", "u:x", reply="a:s", chat_id="chat")
    assert adopted.session_id == first.session_id
    by_id = await front_end.send("u:only this", reply="a:t", chat_id="chat")
    assert by_id.session_id == first.session_id
    other = await front_end.send(*HI, "a:r", "u:x", "a:s", "u:y", reply="a:z", chat_id="other")
    assert other.session_id != first.session_id


@pytest.mark.parametrize("empty", ["", "  ", "{{chatid}}", "x-{{char}}"])
async def test_empty_ids_and_unreplaced_macros_count_as_none(front_end, empty):
    first = await front_end.send(*HI, reply="a:r", chat_id=empty, session_id=empty)
    again = await front_end.send(*HI, "a:r", "u:x", reply="a:s")
    assert again.session_id == first.session_id


async def test_an_explicit_session_id_is_that_session_and_nothing_else(front_end):
    await front_end.send(*HI, reply="a:r")
    mine = await front_end.send(*HI, "a:r", "u:x", reply="a:s", session_id="thread-1")
    assert mine.session_id == "thread-1" and mine.session is None
    again = await front_end.send("u:more", reply="a:t", session_id="thread-1")
    assert again.session is not None
    assert await front_end.path("thread-1") == [*HI, "a:r", "u:x", "a:s", "u:more", "a:t"]


async def test_hostile_chat_ids_make_sessions_of_their_own(front_end):
    names = ["../../etc/passwd", "CON", "Ünïcode", "a" * 5000, "chat", "CHAT"]
    ids = [(await front_end.send("u:x", reply="a:r", chat_id=name)).session_id for name in names]
    assert len(set(ids)) == len(names)


async def test_user_and_character_select_a_session_for_a_client_without_history(front_end):
    who = {"user": "ann", "character": "Mira"}
    first = await front_end.send("u:hello", reply="a:hi", **who)
    second = await front_end.send("u:my cat is Tom", reply="a:nice", **who)
    assert second.session_id == first.session_id
    assert await front_end.path(first.session_id) == ["u:hello", "a:hi", "u:my cat is Tom", "a:nice"]
    for stranger in ({"user": "bob", "character": "Mira"}, {"user": "ann", "character": "Tobias"}):
        assert (await front_end.send("u:hello", reply="a:hi", **stranger)).session_id != first.session_id


async def test_user_is_only_a_hint_where_history_comes(front_end):
    first = await front_end.send(*HI, reply="a:r", user="ann")
    other = await front_end.send("a:Welcome.", "u:quite another", reply="a:s", user="ann")
    assert other.session_id != first.session_id


async def test_turns_of_one_session_come_one_by_one_in_the_order_they_came(front_end):
    await front_end.send(*HI, reply="a:r", chat_id="chat")
    order, turns = [], count()

    async def one() -> None:
        mine = next(turns)
        await front_end.send(f"u:message {mine}", reply=f"a:reply {mine}", chat_id="chat")
        order.append(mine)

    await asyncio.gather(*(one() for _ in range(8)))
    assert order == list(range(8))
    assert (await front_end.path("chat"))[-2:] == ["u:message 7", "a:reply 7"]


async def test_a_turn_that_waited_sees_what_the_one_before_it_stored(front_end):
    first = await front_end.send(*HI, reply="a:r", chat_id="chat")
    entered, go = asyncio.Event(), asyncio.Event()
    request = Request("local", (), chat_id="chat")

    async def holding() -> None:
        async with front_end.sessions.turn(request):
            entered.set()
            await go.wait()

    holder = asyncio.create_task(holding())
    await entered.wait()
    waiting = asyncio.create_task(front_end.send(*HI, reply="a:second", chat_id="chat"))
    go.set()
    await holder
    assert (await waiting).session_id == first.session_id


async def test_the_same_first_request_sent_twice_at_once_makes_one_session(front_end):
    sent = await asyncio.gather(*(front_end.send(*HI, reply=f"a:r{n}") for n in range(5)))
    assert len({s.session_id for s in sent}) == 1
    page = await front_end.transcript.sessions("local")
    assert page.total == 1


async def test_a_message_sent_right_after_a_stop_waits_for_the_stopped_turn(front_end):
    """The client keeps half a reply and goes on while the server still stores the first turn."""
    first, second = await asyncio.gather(
        front_end.send(*HI, reply="a:half a"),
        front_end.send(*HI, "a:half a", "u:go on", reply="a:rest"),
    )
    assert first.session_id == second.session_id


async def test_locks_nobody_wants_are_forgotten(front_end):
    await asyncio.gather(*(front_end.send("u:x", reply="a:y", chat_id=f"c{n}") for n in range(20)))
    assert len(front_end.sessions._locks) == 0


async def test_a_turn_that_raises_frees_its_session(front_end):
    with pytest.raises(RuntimeError):
        async with front_end.sessions.turn(Request("local", (), chat_id="chat")):
            raise RuntimeError
    await front_end.send(*HI, reply="a:r", chat_id="chat")
    assert len(front_end.sessions._locks) == 0
