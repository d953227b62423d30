"""What a window is to the stored path: the rules one by one, and properties over random chats."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.align import align, fingerprint, incoming, with_moved
from memory.path import Path, encode
from memory.tree_shape import TreeShape

ROLES = {"u": "user", "a": "assistant"}
CHAT = ["a:Welcome.", "u:one", "a:r1", "u:two", "a:r2", "u:three", "a:r3"]


class Chat:
    """A tree and one session's path in it, stored the way a commit stores."""

    def __init__(self, *lines: str) -> None:
        self.tree = TreeShape()
        self.lines = [""]
        self.path: list[int] = []
        for line in lines:
            self.path.append(self.store(line, self.path[-1] if self.path else None))

    def store(self, line: str, parent: int | None) -> int:
        role = ROLES[line[0]]
        self.tree.add(len(self.lines), parent, role, fingerprint(role, line[2:]))
        self.lines.append(line)
        return len(self.lines) - 1

    def align(self, *lines: str, pinned: bool = False, continues: bool = False, again: bool = False):
        path = Path(encode(self.path))
        return align(window(*lines), path, self.tree, pinned=pinned, continues=continues, again=again)

    def commit(self, found, lines, reply: str | None = None) -> None:
        """Take an alignment's path over, storing its new rows."""
        path: list[int] = []
        for entry in Path(found.path):
            parent = path[-1] if path else None
            path.append(entry if entry > 0 else self.store(lines[-entry - 1], parent))
        if reply is not None:
            same = self.tree.ids_of(fingerprint("assistant", reply[2:]))
            child = [i for i in same if self.tree.parent(i) == path[-1] and i not in path]
            path.append(child[0] if child else self.store(reply, path[-1]))
        self.path = path

    def shown(self, found, lines) -> list[str]:
        """An alignment's path as lines."""
        return [lines[-i - 1] if i < 0 else self.lines[i] for i in Path(found.path)]

    def __getitem__(self, line: str) -> int:
        return self.lines.index(line)


def window(*lines: str):
    return incoming([{"role": ROLES[line[0]], "content": line[2:]} for line in lines], [])


def test_one_message_more_is_an_append():
    chat = Chat(*CHAT)
    found = chat.align(*CHAT, "u:four")
    assert (found.change, found.rows) == ("append", [*range(1, 8), None])
    assert found.path == [[1, 7], [-8, -8]]
    assert (found.left, found.holes, found.matched, found.matched_users) == ([], [], 7, 3)


def test_the_same_window_without_the_last_reply_is_a_retry():
    found = Chat(*CHAT).align(*CHAT[:-1])
    assert (found.change, found.left, found.left_users, found.path) == ("retry", [7], 0, [[1, 6]])


def test_an_unanswered_message_asked_again_is_a_retry():
    found = Chat(*CHAT[:-1]).align(*CHAT[:-1])
    assert (found.change, found.left) == ("retry", [])


def test_a_window_that_ends_with_the_last_reply_adds_nothing():
    found = Chat(*CHAT).align(*CHAT)
    assert (found.change, found.path) == ("append", [[1, 7]])


def test_a_message_being_continued_stays_on_the_path():
    found = Chat(*CHAT).align(*CHAT, continues=True)
    assert (found.change, found.rows[-1], found.path) == ("retry", 7, [[1, 7]])


@pytest.mark.parametrize("shown", [2, 3, 5])
def test_a_missing_oldest_stretch_was_trimmed_and_stays(shown):
    found = Chat(*CHAT).align(*CHAT[-shown:], "u:four")
    assert (found.change, found.path[0], found.head) == ("append", [1, 7], 7 - shown)


def test_swiping_back_to_an_old_reply_finds_it():
    chat = Chat(*CHAT)
    old = chat.store("a:old", 6)
    found = chat.align(*CHAT[:-1], "a:old", "u:four")
    assert (found.change, found.rows[-2:], found.left) == ("append", [old, None], [7])


@pytest.mark.parametrize("at", range(1, 7))
def test_a_changed_message_is_an_edit_of_the_one_in_its_place(at):
    lines = [*CHAT, "u:four"]
    lines[at] = f"{lines[at][0]}:changed"
    chat = Chat(*CHAT)
    found = chat.align(*lines)
    assert (found.change, found.left, found.holes) == ("edit", [at + 1], [])
    assert chat.shown(found, lines) == lines


def test_a_changed_greeting_replaces_it():
    chat = Chat(*CHAT)
    lines = ["a:Hello instead.", *CHAT[1:], "u:four"]
    found = chat.align(*lines)
    assert (found.change, found.left, chat.shown(found, lines)) == ("edit", [1], lines)


def test_an_edit_at_the_start_of_a_trimmed_window_keeps_the_head():
    chat = Chat(*CHAT)
    lines = ["u:changed", "a:r2", "u:three", "a:r3", "u:four"]
    found = chat.align(*lines)
    assert (found.left, chat.shown(found, lines)) == ([4], [*CHAT[:3], *lines])


def test_an_edited_message_edited_back_is_the_stored_one_again():
    chat = Chat(*CHAT)
    lines = [*CHAT[:3], "u:changed", *CHAT[4:], "u:four"]
    chat.commit(chat.align(*lines), lines)
    back = [*CHAT, "u:four"]
    found = chat.align(*back)
    assert found.rows == [*range(1, 8), chat["u:four"]]
    assert None not in found.rows


def test_messages_missing_inside_are_holes_and_back_when_shown():
    chat = Chat(*CHAT)
    lines = [*CHAT[:1], *CHAT[3:], "u:four"]
    found = chat.align(*lines)
    assert (found.change, found.holes, found.left) == ("edit", [2, 3], [])
    chat.commit(found, lines)
    again = [*CHAT, "u:four"]
    shown = chat.align(*again)
    assert shown.rows[:7] == [*range(1, 8)] and None not in shown.rows


def test_moved_messages_stand_on_the_path_where_they_stood():
    chat = Chat(*CHAT)
    lines = [*CHAT[:2], *CHAT[4:], "u:four"]
    found = with_moved(chat.align(*lines), {3, 4})
    assert (found.path, found.holes, found.change) == ([[1, 7], [-6, -6]], [], "append")
    partly = with_moved(chat.align(*lines), {4})
    assert (partly.path, partly.holes) == ([[1, 2], [4, 7], [-6, -6]], [3])


def test_deleting_from_the_end_and_going_on_forks_unless_an_id_pins_it():
    chat = Chat(*CHAT)
    lines = [*CHAT[:3], "u:other"]
    found = chat.align(*lines)
    assert (found.change, found.left_users, found.left) == ("fork", 2, [4, 5, 6, 7])
    assert chat.align(*lines, pinned=True).change == "edit"
    assert chat.align(*lines, pinned=True).path == found.path


def test_the_last_message_changed_and_asked_again_is_an_edit():
    found = Chat(*CHAT).align(*CHAT[:-2], "u:changed")
    assert (found.change, found.left, found.left_users) == ("edit", [6, 7], 1)


def test_a_reply_that_comes_back_in_place_of_a_whole_exchange_is_another_line():
    chat = Chat("u:hi", "a:one")
    other = chat.store("a:two", 1)
    chat.path += [chat.store("u:more", 2), chat.store("a:yes", 3)]
    found = chat.align("u:hi", "a:two", "u:mine")
    assert (found.change, found.rows) == ("fork", [1, other, None])


def test_a_window_with_nothing_in_common_is_new():
    found = Chat(*CHAT).align("u:x", "a:y", "u:z")
    assert (found.change, found.rows, found.matched) == ("new", [None] * 3, 0)


def test_a_greeting_alone_matches_no_user():
    found = Chat(*CHAT).align("a:Welcome.", "u:else")
    assert (found.matched, found.matched_users) == (1, 0)


def test_a_lone_message_of_a_pinned_session_goes_on_from_the_path():
    found = Chat(*CHAT).align("u:two", pinned=True)
    assert (found.change, found.path, found.rows) == ("append", [[1, 7], [-1, -1]], [None])


@pytest.mark.parametrize("stored", [("u:hi", "a:one"), ("u:hi",), (*CHAT, "u:hi")])
def test_a_lone_message_that_is_the_whole_chat_or_unanswered_is_a_retry(stored):
    chat = Chat(*stored)
    found = chat.align("u:hi", pinned=True)
    assert (found.change, found.rows) == ("retry", [chat["u:hi"]])


def test_a_lone_message_to_which_another_reply_is_told_to_be_asked_for_is_a_retry():
    chat = Chat(*CHAT, "u:hi", "a:thrown away", "a:another member's")
    found = chat.align("u:hi", pinned=True, again=True)
    assert (found.change, found.rows) == ("retry", [chat["u:hi"]])
    assert [chat.lines[i] for i in found.left] == ["a:thrown away", "a:another member's"]
    other = chat.align("u:never stored", pinned=True, again=True)
    assert (other.change, other.left) == ("append", [])


def test_a_lone_message_asked_again_after_what_was_deleted_with_an_unanswered_one_is_a_retry():
    found = Chat("u:hi", "a:one", "u:unanswered").align("u:hi", pinned=True, again=True)
    assert (found.change, found.rows, found.left) == ("retry", [1], [2, 3])


def test_a_message_that_another_line_moved_stands_there_where_it_stood():
    """The path has that message too, and lacks another one of the line."""
    chat = Chat("a:g", "u:one", "a:two", "u:three", "a:four", "u:five", "a:six")
    other = chat.store("u:other", 4)
    chat.path = [1, 2, 4, other, chat.store("a:reply", other)]
    lines = ["a:g", "u:one", "a:two", "a:four", "u:five", "a:six", "u:more"]
    found = with_moved(chat.align(*lines, pinned=True), {4})
    assert chat.shown(found, lines) == [*lines[:3], "u:three", *lines[3:]]
    assert found.left == [other, other + 1]


def test_a_pinned_window_without_overlap_replaces_the_path():
    found = Chat(*CHAT).align("u:x", "a:y", "u:z", pinned=True)
    assert (found.change, found.left) == ("new", [*range(1, 8)])


def test_a_pinned_window_from_another_line_of_the_tree_has_its_ancestors_as_head():
    chat = Chat(*CHAT)
    main = chat.path
    side = [chat.store("u:side", 3)]
    for line in ("a:s1", "u:deep", "a:s2"):
        side.append(chat.store(line, side[-1]))
    chat.path = main[:1]
    chat.path = [chat.store("a:elsewhere", None)]
    lines = ["u:deep", "a:s2", "u:go on"]
    found = chat.align(*lines, pinned=True)
    assert chat.shown(found, lines) == [*CHAT[:3], "u:side", "a:s1", *lines]
    assert (found.change, found.left) == ("edit", chat.path)


def test_an_empty_window_leaves_the_path_as_it_is():
    assert Chat(*CHAT).align(pinned=True).path == [[1, 7]]
    assert Chat().align().path == []


def test_a_chat_of_equal_messages_grows():
    chat = Chat()
    lines = []
    for _ in range(6):
        lines.append("u:go on")
        found = chat.align(*lines, pinned=len(lines) > 1)
        chat.commit(found, lines, "a:Nods.")
        lines.append("a:Nods.")
        assert len(chat.path) == len(lines)


def test_an_edited_reply_between_equal_messages_is_found_in_its_place():
    chat = Chat("a:g", "u:go on", "a:r1")
    found = chat.align("a:g", "u:go on", "a:r1 edited", "u:go on")
    assert found.rows == [1, 2, None, None]


def test_a_common_word_said_again_is_a_new_message():
    chat = Chat(*CHAT)
    side = chat.store("u:yes", 3)
    chat.store("a:side", side)
    assert chat.align(*CHAT, "u:yes").rows[-1] is None


def test_whitespace_does_not_tell_messages_apart_but_role_does():
    assert fingerprint("user", " a  b\n") == fingerprint("user", "a b")
    assert fingerprint("user", "a") != fingerprint("assistant", "a")
    assert -(2**63) <= fingerprint("user", "x") < 2**63


def test_the_window_is_what_was_said():
    rows = incoming(
        [
            {"role": "system", "content": "card"},
            {"role": "user", "content": "Ann: hi"},
            {"role": "assistant", "content": None, "tool_calls": [{}]},
            {"role": "tool", "content": "result"},
            {"role": "assistant", "name": "Mira", "content": "hello"},
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url"}]},
            {"role": "user", "content": "Note: keep this"},
        ],
        ["Ann"],
    )
    assert [(r.index, r.speaker, r.text) for r in rows] == [
        (1, "Ann", "Ann: hi"),
        (4, "Mira", "hello"),
        (5, "", "a"),
        (6, "", "Note: keep this"),
    ]
    assert rows[0].fingerprint == fingerprint("user", "hi")


LINE = st.builds(lambda role, text: f"{role}:{text}", st.sampled_from("ua"), st.sampled_from("abcdef"))


@given(st.lists(LINE, max_size=12), st.lists(LINE, min_size=1, max_size=12), st.booleans())
def test_the_path_always_ends_with_the_window_and_holds_nothing_twice(stored, shown, pinned):
    chat = Chat(*stored)
    found = chat.align(*shown, pinned=pinned)
    path = list(Path(found.path))
    assert chat.shown(found, shown)[-len(shown) :] == shown
    assert len(set(path)) == len(path)
    assert len(path) == found.head + len(shown)
    assert not set(path) & {*found.left, *found.holes}
    assert not set(found.left) & set(found.holes)


@given(st.lists(LINE, max_size=12), st.lists(LINE, min_size=2, max_size=12), st.booleans())
def test_what_was_committed_is_found_again_whole(stored, shown, pinned):
    chat = Chat(*stored)
    chat.commit(chat.align(*shown, pinned=pinned), shown)
    again = chat.align(*shown, pinned=pinned)
    assert None not in again.rows
    assert list(Path(again.path)) == chat.path


@given(st.lists(LINE, max_size=12), st.lists(LINE, min_size=2, max_size=12), st.data())
def test_moved_holes_and_the_window_stay_in_order(stored, shown, data):
    chat = Chat(*stored)
    found = chat.align(*shown)
    moved = set(data.draw(st.lists(st.sampled_from(found.holes)))) if found.holes else set()
    after = with_moved(found, moved)
    path = list(Path(after.path))
    assert [i for i in path if i not in moved] == list(Path(found.path))
    assert sorted([*after.holes, *moved]) == sorted(found.holes)


OPERATION = st.tuples(
    st.sampled_from(["send", "swipe", "edit", "delete", "hide", "unhide", "truncate"]), st.integers(0, 99)
)


@given(st.lists(OPERATION, max_size=30), st.booleans())
def test_the_path_is_the_visible_chat_whatever_the_user_does(operations, repetitive):
    """Every request shows the whole visible chat; what memory takes for the path is exactly that."""
    chat, visible, hidden = Chat(), ["a:Welcome."], []
    for number, (what, at) in enumerate(operations):
        text = "again" if repetitive else f"text {number}"
        ends_in_reply = len(visible) > 1 and visible[-1][0] == "a"
        place = at % len(visible)
        if what == "swipe" and ends_in_reply:
            visible.pop()
        elif what == "edit":
            visible[place] = f"{visible[place][0]}:{text} edited"
        elif what == "delete" and len(visible) > 2:
            visible.pop(place)
        elif what == "hide" and len(visible) > 2:
            hidden.append((place, visible.pop(place)))
        elif what == "unhide" and hidden:
            place, line = hidden.pop()
            visible.insert(place, line)
        elif what == "truncate":
            del visible[place + 1 :]
        if visible[-1][0] == "a":
            visible.append(f"u:{text}")
        found = chat.align(*visible, pinned=len(visible) > 1)
        chat.commit(found, visible, f"a:reply {'' if repetitive else number}")
        visible.append(chat.lines[chat.path[-1]])
        shown = [chat.lines[i] for i in chat.path]
        assert shown[-len(visible) :] == visible
        assert len(set(chat.path)) == len(chat.path)


def test_a_deleted_message_stays_deleted_where_the_line_that_goes_on_is_taken_up_again():
    chat = Chat(*CHAT)
    without_one = [line for line in CHAT if line != "u:one"]
    chat.commit(chat.align(*without_one, "u:four"), [*without_one, "u:four"], "a:r4")
    branch = ["a:r2", "u:else"]
    chat.commit(chat.align(*branch, pinned=True), branch, "a:r5")
    assert "u:three" not in [chat.lines[i] for i in chat.path]
    again = ["u:three", "a:r3", "u:four", "a:r4", "u:five"]
    found = chat.align(*again, pinned=True)
    assert chat.shown(found, again) == [*without_one, "u:four", "a:r4", "u:five"]


def test_a_deleted_greeting_stays_deleted_where_another_line_is_taken_up():
    chat = Chat(*CHAT)
    chat.path = chat.path[1:]
    chat.store("a:s1", chat.store("u:side", 1))
    lines = ["u:side", "a:s1", "u:go on"]
    assert chat.shown(chat.align(*lines, pinned=True), lines) == lines


def test_what_was_stored_merged_is_found_apart_behind_a_hidden_message():
    chat = Chat("a:Welcome.", "u:zero", "a:r0", "u:one\n\ntwo", "a:r1", "u:three", "a:r2")
    lines = ["u:one", "u:two", "u:three", "a:r2", "u:four"]
    found = chat.align(*lines)
    assert chat.shown(found, lines) == ["a:Welcome.", "u:zero", "a:r0", *lines]


def test_what_comes_back_with_others_that_were_edited_is_not_stored_again():
    chat = Chat("a:Welcome.", "u:one", "u:two", "a:r1")
    found = chat.align("a:Welcome.", "u:one edited", "a:r1")
    chat.commit(found, ["a:Welcome.", "u:one edited", "a:r1"])
    back = ["a:Welcome.", "u:one edited again", "a:r0", "u:two"]
    assert chat.align(*back).rows == [1, None, None, chat["u:two"]]


def test_the_reply_to_merged_messages_comes_back_behind_the_second_of_them():
    chat = Chat("a:Welcome.", "u:one", "a:first answer")
    chat.path[-1] = chat.store("u:two", chat["u:one"])
    chat.path.append(chat.store("a:second answer", chat["u:two"]))
    lines = ["a:Welcome.", "u:one", "u:two", "a:first answer", "u:three"]
    assert chat.align(*lines).rows == [1, 2, chat["u:two"], chat["a:first answer"], None]


def test_a_note_that_stood_before_the_first_message_goes_where_the_window_shows_it():
    chat = Chat("u:A storm.", "a:Welcome.", "u:one", "a:r1")
    lines = ["a:Welcome.", "u:A storm.", "u:one", "a:r1", "u:two"]
    found = chat.align(*lines)
    assert chat.shown(found, lines) == lines
    again = ["a:Welcome.", "u:one", "a:r1", "u:A storm."]
    assert chat.shown(chat.align(*again), again) == ["u:A storm.", *again]
