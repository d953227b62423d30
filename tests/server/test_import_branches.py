"""Branches among imported chats: which is whose, in whatever order and by whatever id they come."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from tests.fakes.openai_server import FakeOpenAI
from tests.fakes.wire import says
from tests.server.importing import MIRA, SHOWN, count, put, send, shown
from tests.server.live import Live
from tests.server.silly_files import chat, line

TRUNK = MIRA
BRANCH = [*MIRA[:3], line("Alex", "Tell me a tale.", 6), line("Mira", "Once ...", 6)]
TWIG = [*BRANCH[:4], line("Mira", "Long ago ...", 7), line("Alex", "Yes?", 8)]
MEMORY_ID = "2026-11-22 18:04 123456789"


def of(main: str = "", **variables: str) -> dict[str, Any]:
    """A chat's header, as SillyTavern writes it for a branch of `main` (Any: JSON)."""
    metadata: dict[str, Any] = {"variables": variables} if variables else {}
    return {"chat_metadata": metadata | ({"main_chat": main} if main else {}), "user_name": "unused"}


async def origins(live: Live) -> dict[str, str]:
    """Of every chat the name of the one it branched off."""
    sessions = (await live.http.get("/v1/sessions")).json()["data"]
    assert len({s["tree_id"] for s in sessions}) == 1
    names = {s["id"]: s["chat_id"] for s in sessions}
    return {s["chat_id"]: names.get(s["forked_from"], s["forked_from"]) for s in sessions}


@pytest.mark.parametrize("order", list(permutations(["Mira", "Mira - Branch #1", "Twig"])))
async def test_a_branch_names_its_main_chat_whatever_was_imported_first(
    live: Live, order: tuple[str, ...]
) -> None:
    files = {
        "Mira": chat(*TRUNK),
        "Mira - Branch #1": chat(*BRANCH, header=of("Mira")),
        "Twig": chat(*TWIG, header=of("Mira - Branch #1")),
    }
    for _ in range(2):
        for name in order:
            await put(live, files[name], name=f"{name}.jsonl")
        assert await origins(live) == {"Mira": "", "Mira - Branch #1": "Mira", "Twig": "Mira - Branch #1"}


@pytest.mark.parametrize("order", list(permutations(["Mira", "Mira - Branch #1"])))
async def test_a_branch_that_did_not_go_on_yet_is_a_chat_of_its_own(
    live: Live, order: tuple[str, ...]
) -> None:
    files = {"Mira": chat(*TRUNK), "Mira - Branch #1": chat(*TRUNK, header=of("Mira"))}
    for _ in range(2):
        for name in order:
            await put(live, files[name], name=f"{name}.jsonl")
        assert await origins(live) == {"Mira": "", "Mira - Branch #1": "Mira"}


@pytest.mark.parametrize("order", list(permutations(["trunk", "branch"])))
async def test_of_two_chats_the_one_that_went_its_way_first_is_the_origin(
    live: Live, order: tuple[str, ...]
) -> None:
    files = {"trunk": chat(*TRUNK), "branch": chat(*BRANCH)}
    for name in order:
        await put(live, files[name], name=f"{name}.jsonl")
    assert await origins(live) == {"trunk": "", "branch": "trunk"}


async def test_a_chat_that_went_on_keeps_its_messages_when_its_origin_is_found(
    live: Live, fake: FakeOpenAI
) -> None:
    (branch,) = (await put(live, chat(*BRANCH), name="branch.jsonl"))["sessions"]
    said = await shown(live, branch["id"])
    fake.script(says("They lived."))
    await send(live, said, "And then?", metadata={"chat_id": "branch"})
    before = await shown(live, branch["id"])
    await put(live, chat(*TRUNK), name="trunk.jsonl")
    assert await origins(live) == {"trunk": "", "branch": "trunk"}
    assert await shown(live, branch["id"]) == before and len(before) == 7


async def test_a_chat_that_was_live_with_an_id_of_its_own_is_known_by_it(
    live: Live, fake: FakeOpenAI
) -> None:
    """The README's YAML keeps the id that it makes in the chat's variables, and they stand in the file."""
    tag = {"metadata": {"chat_id": MEMORY_ID}}
    fake.script(says("A good name."), says("They pay my wages."))
    await send(live, SHOWN[:1], SHOWN[1][1], **tag)
    session = (await send(live, SHOWN[:3], SHOWN[3][1], **tag)).headers["x-session-id"]
    header = of(memory_id=MEMORY_ID)
    for _ in range(2):
        report = await put(live, chat(*MIRA, header=header))
        assert [s["id"] for s in report["sessions"]] == [session]
        assert await shown(live, session) == SHOWN
    assert (await live.http.get("/v1/sessions")).json()["total"] == 1


async def test_a_chat_that_was_live_with_an_id_of_its_own_is_known_by_it_after_its_end_changed(
    live: Live, fake: FakeOpenAI
) -> None:
    """A branch would name its main chat."""
    tag = {"metadata": {"chat_id": MEMORY_ID}}
    for end in (3, 5):
        fake.script(says("Did they?"))
        session = (await send(live, SHOWN[:end], f"So {end}.", **tag)).headers["x-session-id"]
    header, edited = of(memory_id=MEMORY_ID), line("Alex", "My sister is Ines.", 2)
    other = [*MIRA, line("Alex", "So six.", 6), line("Mira", "Six.", 6)]
    unanswered = [MIRA[0], line("Alex", "It is me.", 9)]
    for left in (MIRA[:3], [MIRA[0], edited, MIRA[2]], other, unanswered):
        report = await put(live, chat(*left, header=header))
        assert [s["id"] for s in report["sessions"]] == [session]
    assert (await live.http.get("/v1/sessions")).json()["total"] == 1


@pytest.mark.parametrize("order", list(permutations(["Mira", "Mira - Branch #1", "Copy"])))
@pytest.mark.parametrize("live_first", [False, True])
async def test_chats_of_one_id_are_all_kept_whatever_is_imported_first(
    live: Live, fake: FakeOpenAI, order: tuple[str, ...], live_first: bool
) -> None:
    """SillyTavern copies a chat with its variables when it imports it, and branches inherit them."""
    header, inherited = of(memory_id=MEMORY_ID), of("Mira", memory_id=MEMORY_ID)

    def own(name: str) -> list[dict[str, Any]]:
        return [line(who, f"{name} {n}.", 7 + n) for n in range(4) for who in ("Alex", "Mira")]

    trunk, branch, copy = [*TRUNK, *own("Fog")], [*BRANCH, *own("Tale")], [*MIRA[:3], *own("Cat")]
    files = {"Mira": (trunk, header), "Mira - Branch #1": (branch, inherited), "Copy": (copy, header)}
    if live_first:
        fake.script(says("Once ..."), says("Tale 0."))
        tag = {"metadata": {"chat_id": MEMORY_ID}}
        said = [("assistant" if one["name"] == "Mira" else "user", str(one["mes"])) for one in branch]
        said[0] = SHOWN[0]
        for end in (4, 6):
            await send(live, said[: end - 1], said[end - 1][1], **tag)
    found = {}
    for _ in range(2):
        for name in order:
            lines, head = files[name]
            (found[name],) = (await put(live, chat(*lines, header=head), name=f"{name}.jsonl"))["sessions"]
    for name, (lines, _) in files.items():
        texts = [text for _, text in await shown(live, found[name]["id"])]
        assert texts[1:] == [line["mes"] for line in lines[1:]]
    assert len({session["id"] for session in found.values()}) == 3


async def test_a_chat_with_an_id_of_its_own_goes_on_live_and_so_does_its_branch(
    live: Live, fake: FakeOpenAI
) -> None:
    """The branch has inherited the id."""
    header, long = of(memory_id=MEMORY_ID), [*BRANCH, line("Alex", "And then?", 7), line("Mira", "Rain.", 7)]
    (trunk,) = (await put(live, chat(*TRUNK, header=header), name="Mira.jsonl"))["sessions"]
    inherited = of("Mira", memory_id=MEMORY_ID)
    (branch,) = (await put(live, chat(*long, header=inherited), name="Branch.jsonl"))["sessions"]
    assert branch["id"] != trunk["id"]
    stored = await count(live)
    tag = {"metadata": {"chat_id": MEMORY_ID}}
    for turn, session in enumerate((trunk, branch, trunk)):
        fake.script(says(f"Number {turn}."))
        answer = await send(live, await shown(live, session["id"]), f"Go on, {turn}.", **tag)
        assert (answer.headers["x-session-id"], answer.headers["x-turn-change"]) == (session["id"], "append")
    assert await count(live) == stored + 6
    for name, lines, head in (("Mira", TRUNK, header), ("Branch", long, inherited)):
        report = await put(live, chat(*lines, header=head), name=f"{name}.jsonl")
        assert report["added"] == 0
    assert (await live.http.get("/v1/sessions")).json()["total"] == 2
    assert len(await shown(live, trunk["id"])) == 9 and len(await shown(live, branch["id"])) == 9


async def test_a_branch_of_an_imported_chat_is_told_by_the_name_of_its_file(
    live: Live, fake: FakeOpenAI
) -> None:
    """The extension tells it; the chat that was imported has another."""
    (trunk,) = (await put(live, chat(*TRUNK), name="Mira.jsonl"))["sessions"]
    fake.script(says("Once ..."))
    tag = {"metadata": {"chat_id": "Branch", "chat_file": "Branch", "character": "Mira", "user_name": "Alex"}}
    branch = (await send(live, SHOWN, "Tell me a tale.", **tag)).headers["x-session-id"]
    assert branch != trunk["id"]
    assert await shown(live, trunk["id"]) == SHOWN
    assert await origins(live) == {"Mira": "", "Branch": "Mira"}


@pytest.mark.parametrize("order", list(permutations(["Mira", "Mira - Branch #1"])))
async def test_a_branch_of_two_messages_shares_them_with_its_main_chat(
    live: Live, order: tuple[str, ...]
) -> None:
    branch = [*MIRA[:2], line("Mira", "Once ...", 6), line("Alex", "And then?", 7)]
    files = {"Mira": chat(*TRUNK), "Mira - Branch #1": chat(*branch, header=of("Mira"))}
    for name in order:
        await put(live, files[name], name=f"{name}.jsonl")
    assert await origins(live) == {"Mira": "", "Mira - Branch #1": "Mira"}
    exported = (await live.http.get("/v1/export")).text
    assert exported.count("My sister is called Ines.") == 1
