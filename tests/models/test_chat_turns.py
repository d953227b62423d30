"""Prompts for alternating providers: nothing is lost, roles alternate, names are kept where needed."""

import json
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from models.chat_turns import alternate, text_of

Message = dict[str, Any]


def system(text: str, **more: Any) -> Message:
    return {"role": "system", "content": text, **more}


def user(text: Any, **more: Any) -> Message:
    return {"role": "user", "content": text, **more}


def assistant(text: Any, **more: Any) -> Message:
    return {"role": "assistant", "content": text, **more}


def call(identity: str) -> Message:
    return {"id": identity, "type": "function", "function": {"name": "look", "arguments": "{}"}}


def test_leading_system_messages_become_one_joined_by_blank_lines() -> None:
    prompt = [system("Main prompt. "), system("\nCard\n"), user("Hi")]
    assert alternate(prompt) == [system("Main prompt. \n\n\nCard\n"), user("Hi")]


def test_later_system_messages_become_user_text_where_they_stand() -> None:
    prompt = [user("one"), system("note"), assistant("two"), system("lore"), user("three"), system("last")]
    assert alternate(prompt) == [user("one\n\nnote"), assistant("two"), user("lore\n\nthree\n\nlast")]


def test_of_system_messages_alone_the_last_is_the_users() -> None:
    assert alternate([system("You are Ann."), system("Summarise.")]) == [
        system("You are Ann."),
        user("Summarise."),
    ]
    assert alternate([system("Summarise.")]) == [user("Summarise.")]


def test_a_prompt_may_end_with_the_assistant() -> None:
    prompt = [system("S"), user("Go on"), assistant("Once upon")]
    assert alternate(prompt) == prompt


def test_an_assistants_greeting_comes_first_unless_the_provider_wants_a_user() -> None:
    prompt = [system("Card"), system("[Start a new Chat]"), assistant("Hello!"), user("Hi")]
    assert [turn["role"] for turn in alternate(prompt)] == ["system", "assistant", "user"]
    assert alternate(prompt, user_first=True) == [
        system("Card"),
        user("[Start a new Chat]"),
        assistant("Hello!"),
        user("Hi"),
    ]
    assert alternate([assistant("Hello!")], user_first=True)[0]["role"] == "user"


def test_names_of_example_messages_are_written_out() -> None:
    prompt = [system("Hi", name="example_user"), system("example_assistant: Ho", name="example_assistant")]
    assert alternate([*prompt, user("x")])[0]["content"] == "example_user: Hi\n\nexample_assistant: Ho"


def test_in_a_group_every_speaker_is_named_once() -> None:
    prompt = [
        assistant("I sing.", name="Ann"),
        user("And?", name="Tom"),
        assistant("Bob: I dance.", name="Bob"),
    ]
    spoken = [turn["content"] for turn in alternate([system("Ann, Bob and Tom"), *prompt])]
    assert spoken == ["Ann, Bob and Tom", "Ann: I sing.", "And?", "Bob: I dance."]


def test_a_name_that_nothing_else_in_the_prompt_holds_is_written_out() -> None:
    assert alternate([user("Hello", name="Zoe")]) == [user("Zoe: Hello")]
    parts = [{"type": "image_url", "image_url": {"url": "data:,"}}, {"type": "text", "text": "See"}]
    assert alternate([user(parts, name="Zoe")])[0]["content"][1]["text"] == "Zoe: See"


def test_images_stay_between_their_texts_when_messages_are_merged() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    merged = alternate([user([{"type": "text", "text": "one"}, image]), user("two")])
    assert merged == [user([{"type": "text", "text": "one"}, image, {"type": "text", "text": "two"}])]


def test_tool_results_stay_behind_their_calls() -> None:
    called = assistant(None, tool_calls=[call("a"), call("b")])
    results = [{"role": "tool", "tool_call_id": one, "content": one} for one in "ab"]
    turns = alternate([user("look"), called, system("note"), *results, user("well?")])
    assert [turn["role"] for turn in turns] == ["user", "assistant", "tool", "tool", "user"]
    assert turns[-1]["content"] == "note\n\nwell?"


def test_a_tool_result_without_its_call_is_user_text() -> None:
    assert alternate([{"role": "tool", "tool_call_id": "gone", "content": "42"}]) == [user("42")]


contents = st.text(max_size=8) | st.lists(
    st.builds(lambda text: {"type": "text", "text": text}, st.text(max_size=8)), max_size=2
)
prompts = st.lists(
    st.builds(
        lambda role, content: {"role": role, "content": content},
        st.sampled_from(["system", "developer", "user", "assistant"]),
        contents,
    ),
    max_size=8,
)


@given(prompts)
def test_every_text_is_kept_in_order_and_roles_alternate(prompt: list[Message]) -> None:
    before = json.dumps(prompt)
    turns = alternate(prompt)
    assert json.dumps(prompt) == before

    roles = [turn["role"] for turn in turns]
    assert "system" not in roles[1:] and "developer" not in roles
    spoken = [role for role in roles if role != "system"]
    assert all(first != second for first, second in pairwise(spoken))

    whole = "\n".join(text_of(turn["content"]) for turn in turns)
    position = 0
    for message in prompt:
        parts = message["content"] if isinstance(message["content"], list) else [{"text": message["content"]}]
        for part in parts:
            position = whole.index(part["text"], position) + len(part["text"])
