"""A chat of a data set as SillyTavern has it, and the requests it makes of a server, without ids, streamed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import tiktoken

from benchmarks.provider import Answer, Provider
from benchmarks.recall.data import Conversation, Line
from nodes.layout import MESSAGE_OVERHEAD

Body = dict[str, Any]  # Any: JSON

HEADERS = {"user-agent": "node-fetch"}
CARD = (
    "Write {char}'s next reply in a fictional chat between {char} and {user}.",
    "{user} has known {char} for years. They write to each other when the day is done. {user} is patient, "
    "asks back, and never forgets a birthday; tea rather than coffee, trains rather than planes, a window "
    "open at night in any season. {user} keeps promises, loses umbrellas, and reads the last page first.",
    "{char} is warm and talkative, remembers small things, and is proud of it. {char} keeps a wooden box with "
    "letters, tickets and pressed flowers, and takes one out when a memory is hard to believe. Speech: plain, "
    "friendly, now and then a joke at {char}'s own cost. {char} never lectures, never speaks for {user}, and "
    "would rather ask than guess. Habits: walks at dawn, burns the toast, hums when nervous, answers late on "
    "Sundays. Fears: being a burden; telephones that ring at night; the last bus. Wishes: a garden with a "
    "bench, a winter without a cold, one long journey with good shoes.\n\n"
    "Looks: a face that shows everything, hands that are never still, a coat with too many pockets. In the "
    "pockets: string, a pencil, two keys to doors that no longer exist. At home: a kitchen table with one "
    "short leg, a radio that knows a single station, plants in jam jars, a calendar that is a month behind "
    "and left so on purpose. Neighbours drop in without knocking and stay for soup. Nothing is thrown away "
    "that could still be mended, and most things could.\n\n"
    "When {user} is sad, {char} stays near and says little. When {user} is glad, {char} wants every detail, "
    "in order, and then once more. When {user} is angry, {char} waits, then asks what happened before it "
    "happened. When there is nothing to say, {char} tells what the weather does and lets the evening go.\n\n"
    "Work: {char} has had many jobs and was good at most of them, a bakery at four in the morning, a ticket "
    "counter, a school library with a leaking roof. Money comes and goes; a jar on the shelf is for journeys "
    "and is never touched for anything else. Family: close, loud, scattered; there is always somebody on the "
    "telephone and somebody who has not called. {char} cooks for ten when two are expected, dances badly and "
    "gladly, sings in the car, reads recipes as others read novels, and has an opinion on every bridge, stair "
    "and bench in town. Among strangers {char} is the first to speak and the last to leave; among friends, "
    "the one who washes up. A promise given is written on the calendar, in ink, with a small drawing beside "
    "it, so that it is found again even when the month is wrong. Debts are paid in jam; thanks are given "
    "twice, once at the door and once by letter.",
    "{char}'s personality: loyal, curious, a little vain about spelling; quick to laugh and slow to anger; "
    "brave in large things and shy in small ones; bad at endings, good at beginning again.",
    "Scenario: {char} and {user} live far apart and keep their friendship by messages. They write about work "
    "and plans, family and friends, what went wrong and what did not. Weeks may lie between two evenings; "
    "what was said then still counts, and both expect the other to know it.",
    "Stay {char}. Keep to what was said in this chat, do not invent what {user} did, and keep it under 80 words.",
)
"""Main prompt; the user's persona, description, personality and scenario; what stands after the history."""


@dataclass(slots=True)
class FrontEnd:
    """One chat; `window` is how many tokens of history its requests may hold, the newest message included.

    Tokens are cl100k's, with what a chat template puts around a message, and the provider reports the same.
    """

    client: httpx.Client
    provider: Provider
    conversation: Conversation
    encoding: tiktoken.Encoding
    window: int
    answer_tokens: int
    chat: list[Line] = field(default_factory=list)
    changes: Counter[str] = field(default_factory=Counter)
    """How the server understood the requests."""
    session: str = ""

    def tokens(self, text: str) -> int:
        """Tokens of a text."""
        return len(self.encoding.encode_ordinary(text))

    def size(self, messages: Sequence[Body]) -> int:
        """Tokens of messages."""
        return sum(self.tokens(m["content"]) + MESSAGE_OVERHEAD for m in messages)

    def shown(self) -> list[Line]:
        """The newest messages that fit the window."""
        kept: list[Line] = []
        room = self.window
        for line in reversed(self.chat):
            room -= self.tokens(line.text) + MESSAGE_OVERHEAD
            if room < 0:
                break
            kept.append(line)
        return kept[::-1]

    def messages(self) -> list[Body]:
        """The messages of a request, as SillyTavern lays them out."""
        names = {"char": self.conversation.character, "user": self.conversation.user}
        *card, after = [{"role": "system", "content": text.format_map(names)} for text in CARD]
        start = {"role": "system", "content": "[Start a new Chat]"}
        history = [{"role": line.role, "content": line.text} for line in self.shown()]
        return [*card, start, *history, after]

    def turn(self, reply: str) -> tuple[list[Body], list[Body]]:
        """Send the chat and have `reply` said: what was sent, and the prompt that reached the provider."""
        self.provider.script = lambda body: Answer(reply, prompt_tokens=self.size(body["messages"]))
        self.provider.requests.clear()
        sent = self.messages()
        with self.client.stream(
            "POST", "/v1/chat/completions", json=self._body(sent), headers=HEADERS
        ) as answer:
            answer.raise_for_status()
            said = "".join(map(delta_of, answer.iter_lines()))
        if said != reply or len(self.provider.requests) != 1:
            raise RuntimeError(f"the turn went wrong: {said[:200]!r}, {len(self.provider.requests)} calls")
        self.session = answer.headers["x-session-id"]
        self.changes[answer.headers["x-turn-change"]] += 1
        return sent, self.provider.requests[0]["messages"]

    def replay(self, closing: str) -> None:
        """Everything the data says: a turn for each line of the character's; `closing` answers the last one."""
        for line in self.conversation.lines:
            if line.role == "assistant" and self.chat:
                self.turn(line.text)
            self.chat.append(line)
        if self.chat[-1].role == "user":
            self.turn(closing)
            self.chat.append(Line("", "assistant", self.conversation.character, closing, 0.0))

    def _body(self, messages: list[Body]) -> Body:
        return {
            "messages": messages,
            "model": "stub-model",
            "temperature": 1,
            "max_tokens": self.answer_tokens,
            "stream": True,
            "presence_penalty": 0,
            "frequency_penalty": 0,
            "top_p": 1,
        }


def delta_of(line: str) -> str:
    """The text that a line of the event stream carries; raises RuntimeError for an error."""
    if not line.startswith("data: {"):
        return ""
    event = json.loads(line.removeprefix("data: "))
    if "error" in event:
        raise RuntimeError(event["error"]["message"])
    return "".join(choice["delta"].get("content") or "" for choice in event["choices"])
