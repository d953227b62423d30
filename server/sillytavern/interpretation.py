"""What a request means: its kind, its chat, and who speaks in it.

SillyTavern names neither chat nor character nor kind. `interpret` reads them from a tag where one came
(`X-Chat-Id`, the path, `metadata`) and from the shape and texts of the body otherwise. In doubt a request is
a normal turn: a reply that never comes back falls off the path by itself, a lost turn does not heal.

What the body alone cannot tell (a tag with `kind` settles each):

- `/gen` and other quiet prompts are taken for normal turns when they were streamed, when the chat ends with
  the user's message, when there are no post-history instructions or several, in groups, or when
  post-processing merged the system messages; unless the prompt begins as a shipped extension's does.
- A normal turn is taken for quiet when streaming is off, the user sent an empty message, and exactly two
  system messages (a note at depth 0 and post-history instructions) follow the character's last message.
- A continue prefill (off by default in SillyTavern) ends with the character's message, as an empty message
  does that was sent without post-history instructions. It is taken for a normal turn unless CONTINUE_PREFILL
  is set or a system message stands before the message, as post-history instructions do; merged into a single
  message it always is.
- What a user types into SillyTavern is taken for a quiet prompt, an impersonation or a continue where
  post-processing merged the system messages and its last paragraph begins as the text of one does. Other
  clients' users may write what they like.
- An empty message is taken for a continue where the setting is set, or where there are no post-history
  instructions and a note or narrator stands directly before the character's last message.
- With edited markers a continue is a normal turn, and an impersonation a normal turn or, unstreamed, quiet.
- A prompt of a single message without the line that begins a chat is taken for raw where it does not stream and is
  short or describes nobody.
- Raw requests that play a role ("You are an expert summarizer"), that stream, or that have three or more
  messages are taken for normal turns; so is a lone message of a client that names its user. One of at most two
  messages is known for raw once its session is found: it has the id of a chat that has more, and names nobody of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from graph.state import STORED_KINDS, ChatMessage, Kind
from memory.name_field import in_field
from nodes.persona import find_card
from server.sillytavern.kinds import is_bare, is_sillytaverns, read_kind
from server.sillytavern.leads import Cast
from server.sillytavern.markers import DEFAULT, Markers, text_in
from server.sillytavern.names import as_meant, begins_chat, read_names, shows_group
from server.sillytavern.nudges import without_nudges
from server.sillytavern.pairs import partner_of
from server.sillytavern.spoken import spoken
from server.sillytavern.tag import Tag, read_tag, word_of

NAMES = 200
"""Speaker names taken from a request at most: every message is compared with each."""
LONGEST_NAME = 100
"""Characters above which something is no speaker's name."""


@dataclass(frozen=True, slots=True)
class Interpretation:
    """What a request means; empty strings where nothing was found."""

    kind: Kind
    chat_id: str
    """From the path, the header X-Chat-Id or `metadata.chat_id`, in this order."""
    is_exact: bool
    """The id names this chat alone, as the tag tells: no branch inherits it."""
    user: str
    """OpenAI's `user` field as it came."""
    character: str
    user_name: str
    avatar: str
    """What tells the character from others of the name, as the tag tells; a group has none."""
    names: list[str]
    """All speaker names: character, user, group members."""
    tagged: bool
    """The kind was told by a tag, not read from the body."""
    again: bool = False
    """Another reply is asked for in the place of the last one, as the tag tells."""
    is_group: bool = False
    """A group answers, as the tag or the prompt's own texts tell."""
    may_be_raw: bool = False
    """Its kind is the last generation's, and it shows nothing of a chat but one message, nor names who speaks there:
    where its chat is known to have more, it is no turn."""
    is_whole: bool = False
    """The request shows all that the chat shows, as the tag tells."""
    spoken: list[list[Any]] = field(default_factory=list)
    """Index and text of the messages of which somebody said less than they hold, or nothing (JSON)."""


def interpret(
    body: Mapping[str, Any],  # Any: a request as it came
    headers: Mapping[str, str],
    path_chat_id: str = "",
    markers: Markers = DEFAULT,
) -> Interpretation:
    """Read kind, chat, character and speaker names from a chat completion request.

    Never raises for a body whose `messages` is a list of dicts; values of unexpected types count as absent.
    """
    tag = read_tag(body, headers, path_chat_id)
    messages: list[ChatMessage] = [m for m in body.get("messages") or [] if isinstance(m, dict)]
    told = Cast(tag.character, tag.user_name)
    is_theirs = is_sillytaverns(body, headers)
    character, user_name, members = read_names(messages, markers, told, is_sillytaverns=is_theirs)
    if not character or (not tag.character and "_" in character):
        card = find_card(messages, "", user_name).name
        character = card if not character or in_field(card) == character else character
    if not user_name and (is_theirs or begins_chat(messages, markers)):
        user_name = partner_of(messages, character)
    named = as_meant([character, user_name, *tag.members, *members])
    names = [name for name in named if len(name) <= LONGEST_NAME][:NAMES]
    others = frozenset([*names, *map(in_field, names)]) - {character, in_field(character)}
    kind, tagged = read_kind(body, headers, messages, tag, markers, others)
    nudges = tagged or is_theirs
    nudged = without_nudges(messages, kind, tagged, markers) if nudges else {}
    shown = [m | {"content": nudged[i]} if i in nudged else m for i, m in enumerate(messages)]
    left = nudged | {i: text for i, text in spoken(shown, tag.injected, names, markers)}
    is_group = tag.is_group or shows_group(messages, markers)
    is_stale = tag.kind_is_last and kind in STORED_KINDS
    return Interpretation(
        kind=kind,
        chat_id=tag.chat_id,
        is_exact=tag.is_exact,
        user=word_of(body.get("user")),
        character=character,
        user_name=user_name,
        avatar="" if is_group else tag.avatar,
        names=names,
        tagged=tagged,
        again=tag.again and kind == "normal",
        is_group=is_group,
        may_be_raw=is_stale and is_bare(messages, markers) and names_nobody(messages, tag),
        is_whole=tag.is_whole,
        spoken=[[i, left[i]] for i in sorted(left)],
    )


def names_nobody(messages: Sequence[ChatMessage], tag: Tag) -> bool:
    """Whether a prompt names neither the character nor the user that its tag tells; no prompt that a chat is shown in
    does without, for its card, its main prompt or its lines name one of them."""
    told = [name for name in (tag.character, tag.user_name, *tag.members) if name]
    texts = [text_in(message) for message in messages]
    return bool(tag.character) and not any(name in text for name in told for text in texts)
