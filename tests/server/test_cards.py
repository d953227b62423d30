"""Character cards are read from every form they come in, and what is no card says so."""

from __future__ import annotations

import base64
import io
import json
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from graph.errors import BadRequest
from nodes.persona import find_card
from server.cards import CharacterCard, fill, messages_of, read_card
from server.sillytavern import interpret

V1: dict[str, Any] = {
    "name": "Ysolde",
    "description": "{{char}} is the last glassblower of Karst.",
    "personality": "patient, superstitious",
    "scenario": "{{user}} brings a broken lantern to <BOT>.",
    "first_mes": "*{{Char}} looks up.* You again, {{USER}}?",
    "mes_example": "<START>\n{{user}}: Hot?\n{{char}}: Always.\nMind your sleeve.\n<start>\n{{user}}: Why?",
}
DATA = V1 | {
    "system_prompt": "{{original}} Be brief.",
    "post_history_instructions": "Never speak for {{user}}.",
    "alternate_greetings": ["Rain.", "Snow."],
    "character_book": {
        "entries": [
            {"keys": ["river"], "content": "The river is deep.", "enabled": True, "insertion_order": 2},
            {"keys": [], "content": "Karst is old.", "constant": True, "insertion_order": 5},
            {"keys": [], "content": "Glass sings.", "constant": True, "position": "after_char"},
            {"keys": [], "content": "Secret.", "constant": True, "enabled": False},
        ]
    },
}
V2 = {"spec": "chara_card_v2", "spec_version": "2.0", "data": DATA}
V3 = {"spec": "chara_card_v3", "spec_version": "3.0", "data": DATA | {"nickname": "Yso"}}


def encoded(card: dict[str, Any]) -> bytes:
    return base64.b64encode(json.dumps(card, ensure_ascii=False).encode())


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(*chunks: bytes) -> bytes:
    plain = io.BytesIO()
    Image.new("RGB", (2, 2)).save(plain, "PNG")
    whole = plain.getvalue()
    return whole[:33] + b"".join(chunks) + whole[33:]


def text_chunk(keyword: bytes, text: bytes, kind: bytes = b"tEXt") -> bytes:
    packed = {
        b"tEXt": text,
        b"zTXt": b"\0" + zlib.compress(text),
        b"iTXt": b"\1\0en\0name\0" + zlib.compress(text),
    }
    return chunk(kind, keyword + b"\0" + packed[kind])


@pytest.mark.parametrize("card", [V1, V2, V3], ids=["V1", "V2", "V3"])
def test_every_version_is_read_from_json(card: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "card.json"
    file.write_bytes(b"\xef\xbb\xbf" + json.dumps(card).encode())
    read = read_card(file)
    assert (read.name, read.description, read.first_mes) == ("Ysolde", V1["description"], V1["first_mes"])
    assert read == read_card(str(file)) == read_card(file.read_bytes())


def test_the_newer_fields_are_read() -> None:
    read = read_card(json.dumps(V3).encode())
    assert read.alternate_greetings == ("Rain.", "Snow.")
    assert read.post_history_instructions == DATA["post_history_instructions"]
    assert [entry.keys for entry in read.book] == [["river"], [], [], []]
    assert (read.book[0].insertion_order, read.book[3].enabled) == (2, False)
    assert read.called == "Yso"


@pytest.mark.parametrize("kind", [b"tEXt", b"zTXt", b"iTXt"])
def test_a_png_carries_its_card_in_any_text_chunk(kind: bytes) -> None:
    assert read_card(png(text_chunk(b"chara", encoded(V2), kind))) == read_card(json.dumps(V2).encode())


def test_a_png_written_by_pillow_is_read() -> None:
    info, file = PngInfo(), io.BytesIO()
    info.add_itxt("chara", encoded(V2 | {"data": DATA | {"name": "Мирослава"}}).decode())
    Image.new("RGB", (2, 2)).save(file, "PNG", pnginfo=info)
    assert read_card(file.getvalue()).name == "Мирослава"


def test_ccv3_goes_before_chara_wherever_it_stands() -> None:
    old, new = text_chunk(b"chara", encoded(V2)), text_chunk(b"ccv3", encoded(V3))
    assert read_card(png(old, new)).nickname == read_card(png(new, old)).nickname == "Yso"


def test_base64_with_line_breaks_and_bare_json_are_taken_too() -> None:
    broken = b"\n".join(encoded(V2)[i : i + 76] for i in range(0, len(encoded(V2)), 76))
    assert read_card(png(text_chunk(b"Chara", broken))).name == "Ysolde"
    assert read_card(png(text_chunk(b"chara", json.dumps(V1).encode()))).name == "Ysolde"


def test_a_damaged_newer_card_leaves_the_older_one() -> None:
    for damaged in (b"!!!", base64.b64encode(b"hello")):
        both = png(text_chunk(b"ccv3", damaged), text_chunk(b"chara", encoded(V2)))
        assert read_card(both) == read_card(json.dumps(V2).encode())


@pytest.mark.parametrize(
    ("odd", "read_as"),
    [
        ({"name": 5}, {"name": "5"}),
        ({"description": 7, "scenario": None}, {"description": "7", "scenario": ""}),
        ({"alternate_greetings": [None, "a", 1, {}]}, {"alternate_greetings": ("a", "1")}),
        ({"alternate_greetings": "a"}, {"alternate_greetings": ()}),
        ({"character_book": []}, {"book": ()}),
        ({"character_book": {"entries": "x"}}, {"book": ()}),
        (
            {"character_book": {"entries": ["x", {"keys": ["a", 5, None], "content": "c"}]}},
            {"keys": ["a", "5"]},
        ),
        ({"character_book": {"entries": {"0": {"key": ["sea"], "content": "c"}}}}, {"keys": ["sea"]}),
    ],
    ids=str,
)
def test_small_oddities_keep_no_card_out(odd: dict[str, Any], read_as: dict[str, Any]) -> None:
    read = read_card(json.dumps({"spec": "chara_card_v2", "data": DATA | odd}).encode())
    found = {"keys": read.book[0].keys if read.book else []} | {
        name: getattr(read, name) for name in read_as.keys() - {"keys"}
    }
    assert {name: found[name] for name in read_as} == read_as
    assert read.first_mes == V1["first_mes"]


def test_a_card_with_pygmalions_names_is_read() -> None:
    names = {"char_name": "name", "char_persona": "description", "world_scenario": "scenario"}
    names |= {"char_greeting": "first_mes", "example_dialogue": "mes_example"}
    read = read_card(json.dumps({theirs: V1[ours] for theirs, ours in names.items()}).encode())
    assert read == read_card(json.dumps(V1 | {"personality": ""}).encode())


WHOLE = png(text_chunk(b"chara", encoded(V2)))
BOMB = b"\0" + zlib.compress(b"0" * (17 * 2**20))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "neither a PNG nor JSON"),
        (b"\xff\xd8\xff\xe0 a photo", "neither a PNG nor JSON"),
        (b"[1, 2]", "no character card"),
        (b'{"messages": []}', "no character card"),
        (b"[" * 100_000, "neither a PNG nor JSON"),
        (json.dumps(V1 | {"name": "  "}).encode(), "no name"),
        (json.dumps({"spec": "chara_card_v2", "data": "x"}).encode(), "no data"),
        (json.dumps(V1 | {"description": {"en": "x"}}).encode(), "description is not a text"),
        (json.dumps({"char_name": " ", "char_persona": "x"}).encode(), "no name"),
        (png(), "holds no character card"),
        (png(text_chunk(b"chara", b"%%%")), "not base64"),
        (png(text_chunk(b"chara", base64.b64encode(b"hello"))), "not JSON"),
        (png(chunk(b"zTXt", b"chara\0\0garbage")), "damaged"),
        (png(chunk(b"zTXt", b"chara\0" + BOMB)), "too large"),
        (b" " * (17 * 2**20), "too large"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_card_says_so(content: bytes, said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        read_card(content)


def test_a_png_cut_off_anywhere_is_called_truncated() -> None:
    for end in range(8, len(WHOLE) - 12, 7):
        with pytest.raises(BadRequest, match="truncated"):
            read_card(WHOLE[:end])


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="No such file"):
        read_card(tmp_path / "none.png")
    with pytest.raises(BadRequest, match="Cannot read"):
        read_card(tmp_path)


def test_macros_are_filled_in_any_case() -> None:
    text = "{{char}} {{User}} {{ CHAR }} <bot> <USER> <Char> {{random}}"
    assert fill(text, r"A\1", "B") == r"A\1 B A\1 A\1 B A\1 {{random}}"


def test_a_front_ends_prompt_is_made_from_a_card() -> None:
    card = read_card(json.dumps(V2).encode())
    messages = messages_of(card, "Bram", [{"role": "user", "content": "Evening, {{char}}."}])
    assert [(m["role"], m.get("name", ""), m["content"]) for m in messages] == [
        ("system", "", "Write Ysolde's next reply in a fictional chat between Ysolde and Bram. Be brief."),
        ("system", "", "Karst is old."),
        ("system", "", "Ysolde is the last glassblower of Karst."),
        ("system", "", "patient, superstitious"),
        ("system", "", "Bram brings a broken lantern to Ysolde."),
        ("system", "", "Glass sings."),
        ("system", "", "[Example Chat]"),
        ("system", "example_user", "Hot?"),
        ("system", "example_assistant", "Always.\nMind your sleeve."),
        ("system", "", "[Example Chat]"),
        ("system", "example_user", "Why?"),
        ("system", "", "[Start a new Chat]"),
        ("assistant", "", "*Ysolde looks up.* You again, Bram?"),
        ("user", "", "Evening, {{char}}."),
        ("system", "", "Never speak for Bram."),
    ]


def test_a_prompt_made_from_a_card_is_understood_again() -> None:
    messages = messages_of(
        read_card(json.dumps(V2).encode()), "Bram", [{"role": "user", "content": "Hello."}]
    )
    meant = interpret({"messages": messages}, {})
    assert (meant.kind, meant.character, meant.user_name) == ("normal", "Ysolde", "Bram")
    assert find_card(messages, meant.character, meant.user_name).rows == [2, 3, 4]


def test_a_bare_card_makes_a_bare_prompt() -> None:
    assert len(messages_of(CharacterCard("Ysolde"), "Bram")) == 2
