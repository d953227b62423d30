"""persona finds who the character is, whatever shape the prompt has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest
from langgraph.runtime import Runtime

from graph.context import TurnContext
from graph.state import ChatMessage, TurnState
from memory.stored import Card, TreeKey
from memory.transcript import Transcript
from nodes.persona import LINES, FoundCard, Persona, find_card

MAIN = "Write Ysolde's next reply in a fictional chat between Ysolde and Bram."
USER = "Bram is a beekeeper from the valley. He has a wooden leg."
PROSE = "Ysolde is the last glassblower of Karst. She lost her brother to the river and hums when she lies."
TRAITS = "patient, superstitious, generous with strangers"
SCENE = "Bram brings a broken lantern to the workshop just before closing."


def system(*texts: str) -> list[ChatMessage]:
    return [{"role": "system", "content": text} for text in texts]


CHAT: list[ChatMessage] = [
    {"role": "system", "content": "[Start a new Chat]"},
    {"role": "system", "content": "Ysolde has burnt her hand."},
    {"role": "assistant", "content": "The furnace roars."},
    {"role": "user", "content": "Good evening."},
    {"role": "system", "content": "Ysolde never speaks for Bram."},
]


def find(*opening: str, character: str = "Ysolde", user: str = "Bram") -> FoundCard:
    return find_card([*system(*opening), *CHAT], character, user)


def test_separate_messages_give_card_and_user_persona() -> None:
    found = find(MAIN, USER, PROSE, TRAITS, SCENE)
    assert found.name == "Ysolde"
    assert found.text == "\n".join([PROSE, TRAITS, SCENE])
    assert found.user_persona == USER
    assert found.rows == [2, 3, 4]


def test_no_user_persona_is_made_up() -> None:
    found = find(MAIN, PROSE, TRAITS, "Ysolde closes her workshop.")
    assert (found.user_persona, found.rows) == ("", [1, 2, 3])


@pytest.mark.parametrize(
    "persona",
    ["A beekeeper from the valley with a wooden leg.", "I keep bees and I limp.", "tall, 34, beekeeper"],
)
def test_a_user_persona_without_the_users_name_is_what_stands_before_the_description(persona: str) -> None:
    found = find(MAIN, persona, PROSE, TRAITS)
    assert (found.user_persona, found.text) == (persona, f"{PROSE}\n{TRAITS}")


def test_a_user_persona_that_names_the_character_stays_the_users() -> None:
    persona = "Bram is Ysolde's oldest customer. He trusts Ysolde, and Ysolde alone."
    assert find(MAIN, persona, PROSE).user_persona == persona


def test_a_user_persona_sent_after_the_description_is_still_the_users() -> None:
    found = find(MAIN, PROSE, TRAITS, USER)
    assert (found.user_persona, found.text) == (USER, f"{PROSE}\n{TRAITS}")


@pytest.mark.parametrize(
    "card",
    [
        '[Character("Ysolde")\n{\nSpecies("Human")\nMind("Patient" + "Sly")\nLikes("Bram\'s honey")\n}]',
        '[Ysolde\'s Personality= "patient", "superstitious"]\n[Ysolde\'s body= "burnt hands", "grey braid"]',
        "Name: Ysolde Karst\nAge: 61\nOccupation: glassblower\nRelationship: Bram, a customer",
        "### Character\n**Full name:** Ysolde\n- hums when she lies\n- fears the river",
        "Bram: Who are you?\nYsolde: *She wipes her hands.* Ysolde. I blow glass. You must be Bram.\n"
        "Bram: And the river?\nYsolde: *Her eyes go to the floor.* It keeps what it takes.",
        "You are Ysolde, the last glassblower of Karst. Bram is your customer.",
        "<ysolde>\nYsolde blows glass.\n\nShe hums when she lies.\n</ysolde>",
    ],
    ids=["w++", "boxed", "fields", "markdown", "ali-chat", "you-are", "tags"],
)
def test_common_card_formats_are_the_characters(card: str) -> None:
    found = find(MAIN, USER, card, TRAITS)
    assert found.text == f"{card}\n{TRAITS}"
    assert found.user_persona == USER


@pytest.mark.parametrize(
    ("character", "user", "persona", "card"),
    [
        ("Мирослава", "Алексей", "Алексей — картограф на пенсии.", "Мирослава — смотрительница маяка."),
        ("ミラ", "健", "健は引退した地図職人です。", "ミラは灯台守です。嵐の夜に健と出会いました。"),
        ("米拉", "小明", "小明是退休的制图师。", "米拉是灯塔看守人。在暴风雨中认识了小明。"),
    ],
    ids=["russian", "japanese", "chinese"],
)
def test_names_in_any_script_are_told_apart(character: str, user: str, persona: str, card: str) -> None:
    found = find(MAIN, persona, card, character=character, user=user)
    assert (found.text, found.user_persona) == (card, persona)


def test_a_card_may_use_one_word_of_a_longer_name() -> None:
    found = find(MAIN, USER, "Ysolde blows glass.", character="Ysolde of Karst")
    assert found.text == "Ysolde blows glass."


def test_instructions_summaries_and_separable_lore_are_not_the_card() -> None:
    found = find(
        MAIN + " Write 1 reply only. Stay in character.",
        "[Summary: Ysolde and Bram quarrelled about the river.]",
        "Past events:\nYsolde: The river took him.\nBram: I am sorry.",
        "The guild is run by seven masters.",
        USER,
        PROSE,
        TRAITS,
        "If you have more knowledge of Ysolde, add to the character's lore.",
        "The furnace was built in 1702.",
    )
    assert found.text == f"{PROSE}\n{TRAITS}"
    assert (found.user_persona, found.rows) == (USER, [5, 6])


def test_own_main_prompts_are_not_the_card() -> None:
    rules = (
        "You are an expert roleplayer. Portray Ysolde in a slow-burn story with Bram.\n"
        "Never speak for Bram. Bram decides what Bram does."
    )
    found = find(rules, USER, PROSE)
    assert (found.text, found.user_persona) == (PROSE, USER)


def test_examples_and_notes_inside_the_chat_are_not_the_card() -> None:
    examples = [
        {"role": "system", "content": "[Example Chat]"},
        {"role": "system", "name": "example_assistant", "content": "Ysolde is tired."},
    ]
    messages = [*system(MAIN, PROSE), *examples, *CHAT]
    assert find_card(messages, "Ysolde", "Bram").rows == [1]


@pytest.mark.parametrize("glue", ["\n\n", "\n"], ids=["merged", "squashed"])
def test_one_merged_block_is_taken_apart(glue: str) -> None:
    block = glue.join(
        [MAIN, "[Summary: They met.]", USER, PROSE, TRAITS, SCENE, "[Example Chat]", "Bram: Ysolde is slow!"]
    )
    found = find_card([*system(block), *CHAT[2:]], "Ysolde", "Bram")
    assert found.text == glue.join([PROSE, TRAITS, SCENE])
    assert (found.user_persona, found.rows) == (USER, [0])


def test_past_events_in_a_merged_block_are_not_the_card() -> None:
    past = "Past events:\nBram: Is it true?\n\nYsolde: Ysolde is a liar, they say.\n\nBram: Bram is sorry."
    found = find_card([*system(f"{MAIN}\n\n{past}\n\n{USER}\n\n{PROSE}"), *CHAT[2:]], "Ysolde", "Bram")
    assert (found.text, found.user_persona) == (PROSE, USER)


def test_a_merged_card_keeps_its_own_layout() -> None:
    card = "[\nCharacter: Ysolde\n\nAge: 61\n]\n\nShe hums when she lies."
    found = find_card([*system(f"{MAIN}\n\n{USER}\n\n{card}"), *CHAT[2:]], "Ysolde", "Bram")
    assert found.text == card


@pytest.mark.parametrize(
    "first",
    [
        f"{MAIN}\n\n{USER}\n\n{PROSE}\n\n[Start a new Chat]\n\nYsolde: It roars.\n\nBram: Good evening.",
        PROSE,
    ],
    ids=["single-message", "card-as-first-message"],
)
def test_a_card_in_the_first_message_is_found(first: str) -> None:
    found = find_card([{"role": "user", "content": first}], "Ysolde", "Bram")
    assert (found.text, found.rows) == (PROSE, [0])


@pytest.mark.parametrize(
    "said",
    ["Good evening, is Ysolde here?", "Ysolde is late again.", "You are late.", "I walked all night. " * 40],
)
def test_an_ordinary_first_message_is_no_card(said: str) -> None:
    assert find_card([{"role": "user", "content": said}], "Ysolde", "Bram") == FoundCard(name="Ysolde")


def test_without_known_names_the_card_says_who_it_is_about() -> None:
    assert find("You are Captain Ysolde, master of the brig.", character="", user="").name == "Captain Ysolde"
    assert find('[Character("Ysolde Karst")]', character="", user="").name == "Ysolde Karst"
    found = find("Stay in character.", USER, PROSE, character="", user="")
    assert (found.name, found.user_persona) == ("Ysolde", USER)
    assert find("You are a helpful assistant.", character="", user="").name == ""


def test_a_card_that_names_nobody_is_all_nameless_text() -> None:
    found = find(MAIN, "A glassblower with burnt hands.", TRAITS)
    assert (found.text, found.user_persona) == (f"A glassblower with burnt hands.\n{TRAITS}", "")
    found = find(MAIN, "A beekeeper.", "A glassblower.", TRAITS, "A rainy evening.")
    assert found.user_persona == "A beekeeper."


def test_content_in_parts_is_read() -> None:
    parts: list[dict[str, Any]] = [{"type": "text", "text": PROSE}]
    assert find_card([{"role": "system", "content": parts}, *CHAT], "Ysolde", "").text == PROSE


def test_a_merged_card_of_very_many_lines_is_kept_whole() -> None:
    card = PROSE + "\n" + "\n".join(f"She owns lantern {i}." for i in range(2 * LINES))
    assert find_card([*system(f"{MAIN}\n\n{USER}\n\n{card}"), *CHAT[2:]], "Ysolde", "Bram").text == card


@pytest.mark.parametrize(
    ("lore", "dropped"),
    [
        ("The   old\tguild  is run by seven masters.", True),
        ("Karst  Harbour   was built in 1702.", True),
        ("the guild house of the seven masters of glass stands by the river.", True),
        ("Thebes, as ever, is.", False),
    ],
)
def test_lore_between_persona_and_description_is_told_by_its_first_verb(lore: str, dropped: bool) -> None:
    found = find(MAIN, USER, lore, TRAITS, user="Bram", character="Ysolde")
    assert (lore not in found.text) == dropped


class KnownCards:
    """The one question that the node asks of a transcript."""

    def __init__(self, cards: Sequence[Card] = ()) -> None:
        self._cards = {card.name: card for card in cards}
        self.asked: list[tuple[TreeKey, str]] = []

    async def card(self, key: TreeKey, name: str = "") -> Card | None:
        self.asked.append((key, name))
        return self._cards.get(name)


async def run(known: KnownCards, *opening: str, owner: str | None = None) -> dict[str, Any]:
    state = TurnState([*system(*opening), *CHAT], character="Ysolde", user_name="Bram", tree_id="tree")
    runtime = Runtime(context=cast(TurnContext, TurnContext(owner=owner) if owner else None))
    update = await Persona(cast(Transcript, known))(state, runtime)
    assert list(update) == ["card"]
    return cast(dict[str, Any], update["card"])


async def test_a_card_is_changed_when_new_or_edited_only() -> None:
    new = await run(KnownCards(), MAIN, USER, PROSE)
    assert new["changed"]
    known = KnownCards([Card(new["name"], new["text"], new["user_persona"], new["hash"])])
    assert not (await run(known, MAIN, USER, PROSE))["changed"]
    assert (await run(known, MAIN, USER, PROSE + " She is blind."))["changed"]
    assert (await run(known, MAIN, "Bram is a thief.", PROSE))["changed"]
    assert not (await run(known))["changed"]


async def test_lore_that_comes_and_goes_does_not_change_the_card() -> None:
    without = await run(KnownCards(), MAIN, USER, PROSE, TRAITS, SCENE)
    lore = await run(
        KnownCards(), MAIN, "The guild is rich.", USER, PROSE, TRAITS, SCENE, "The river is deep."
    )
    assert lore["hash"] == without["hash"]


async def test_the_card_is_looked_up_for_its_owner_and_tree() -> None:
    known = KnownCards()
    await run(known, PROSE)
    await run(known, PROSE, owner="ana")
    assert known.asked == [(TreeKey("local", "tree"), "Ysolde"), (TreeKey("ana", "tree"), "Ysolde")]
