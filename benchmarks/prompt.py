"""How much of what has left the window is in the prompt: `python -m benchmarks.prompt LOCOMO.json`.

Conversations are replayed over HTTP as SillyTavern sends them, without ids, streamed; a provider on loopback
answers what the data says and keeps the prompts. The unit is a turn that answers a question and that the
front-end no longer sends. A live chat knows no other date than now, so every message has today's. Lines of
one speaker that follow each other are sent as they are, as SillyTavern does: two messages of the user both
stand in the chat; where the character speaks twice, the user sent an empty message between.

A question is asked by a user who deleted the last exchange and typed another one: an ordinary turn, as most
are, that is stored and then falls off the path, so that the next question finds the chat as it was. Any text
of an earlier question in a later prompt is counted as a leak.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import tiktoken
from rich.console import Console
from rich.table import Table

from benchmarks.figures import keep
from benchmarks.front_end import Body, FrontEnd
from benchmarks.our_server import Bench, serving
from benchmarks.provider import Answer, running
from benchmarks.recall.data import Conversation, DataSet, Line, Question, locomo
from benchmarks.recall.measures import mean, paired_interval
from models.tokens import ENCODING

WINDOW_TOKENS = 2_000
MEMORY_TOKENS = 1_000
ANSWER_TOKENS = 320
SETTINGS: dict[str, Any] = {  # Any: values of settings
    "context_tokens": 4_000,
    "system_token_percent": 19,
    "rag_token_percent": 23,
    "history_token_percent": 50,
    "response_token_percent": 8,
    "summarize_after_messages": 10_000,
}
"""Of 4,000 tokens 320 for the answer, 760 for the card, 2,000 for the history, and 920 for memory, which also
takes what the window leaves because no whole message fits there: so that the memory block, always as large as
there is room, holds up to 1,000. There are no summaries: nobody on loopback can write one."""
CLOSING = "Well then."
TO_A_QUESTION = "Give me a moment, I am thinking about it."
DEFINITION = (
    "in the prompt: outside of what the front-end sent, the turn's whole text stands there verbatim (white "
    "space aside), or, where it is told as an excerpt, one line holds sentences of it verbatim that make up "
    "more than half of its characters"
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What became of one question."""

    category: str
    left: int
    """Its evidence turns that the front-end no longer sends."""
    in_memory: int
    in_history: int
    """Of these: in the memory block, or among older messages that the server put before the front-end's."""
    persona: bool
    """Every system message reached the provider, byte for byte and in order."""
    prompt_tokens: int
    block_tokens: int
    leaks: int

    @property
    def share(self) -> float:
        return (self.in_memory + self.in_history) / self.left


def ask(front_end: FrontEnd, question: Question, earlier: Sequence[str]) -> Asked | None:
    """Ask in place of the last question; None where all its evidence still stands in the window."""
    front_end.chat.append(Line("", "user", front_end.conversation.user, question.text, 0.0))
    shown = {line.id for line in front_end.shown()}
    left = [
        line for line in front_end.chat if line.id in question.evidence and line.id and line.id not in shown
    ]
    sent, prompt = front_end.turn(TO_A_QUESTION) if left else ([], [])
    front_end.chat.pop()
    if not left:
        return None
    block, history = added(sent, prompt, {(line.role, line.text) for line in front_end.chat})
    in_memory = [line for line in left if is_told(line.text, block)]
    in_history = [line for line in left if line not in in_memory and is_told(line.text, history)]
    return Asked(
        category=question.category,
        left=len(left),
        in_memory=len(in_memory),
        in_history=len(in_history),
        persona=systems(sent) == systems(prompt),
        prompt_tokens=front_end.size(prompt),
        block_tokens=front_end.tokens(block),
        leaks=sum(text in f"{block}\n{history}" for text in earlier),
    )


def systems(messages: Sequence[Body]) -> list[str]:
    """Everything said as the system, in order."""
    return [m["content"] for m in messages if m["role"] == "system"]


def added(sent: Sequence[Body], prompt: Sequence[Body], said: set[tuple[str, str]]) -> tuple[str, str]:
    """What a prompt holds beyond the request: memories, and messages of the chat as they were said."""
    theirs = Counter((m["role"], m["content"]) for m in sent)
    newest = next(m["content"] for m in reversed(sent) if m["role"] == "user")
    block, history = [], []
    for message in prompt:
        this = (message["role"], message["content"])
        if theirs[this]:
            theirs[this] -= 1
        elif this in said:
            history.append(message["content"])
        else:
            block.append(message["content"].removesuffix(newest))
    return "\n".join(block), "\n".join(history)


def is_told(text: str, told: str) -> bool:
    """Whether a turn is in the prompt, see DEFINITION."""
    text = " ".join(text.split())
    if stands_in(text, " ".join(told.split())):
        return True
    sentences = re.split(r"(?<=[.!?])\s+", text)
    most = max(sum(len(s) for s in sentences if stands_in(s, line)) for line in told.split("\n"))
    return most > len("".join(sentences)) / 2


def stands_in(part: str, whole: str) -> bool:
    """Whether a text stands in another, neither end within a word."""
    return part in whole and re.search(rf"(?<!\w){re.escape(part)}(?!\w)", whole) is not None


def measured(
    bench: Bench, conversation: Conversation, limit: int | None, seed: int
) -> tuple[list[Asked], Body]:
    """Replay one conversation and ask its questions, or the first `limit` of them."""
    encoding = tiktoken.get_encoding(ENCODING)
    asked: list[Asked] = []
    earlier: list[str] = []
    with httpx.Client(base_url=bench.url, timeout=60) as client:
        front_end = FrontEnd(client, bench.provider, conversation, encoding, WINDOW_TOKENS, ANSWER_TOKENS)
        front_end.replay(CLOSING)
        bench.call(bench.resources.worker.idle())
        replayed = dict(front_end.changes)
        for question in [q for q in conversation.questions if q.category != "adversarial"][:limit]:
            if one := ask(front_end, question, earlier):
                asked.append(one)
                earlier.append(question.text)
        stored = client.get(f"/v1/sessions/{front_end.session}").raise_for_status().json()
    more = {
        "requests_understood_as": dict(front_end.changes),
        "of_the_replay": replayed,
        "stored": stored["messages"],
    }
    return asked, figures_of(asked, seed) | more


def figures_of(asked: Sequence[Asked], seed: int) -> Body:
    """The shares in percent, and the 95 percent bootstrap interval of the mean over questions."""
    left = sum(one.left for one in asked)
    in_memory, in_history = sum(one.in_memory for one in asked), sum(one.in_history for one in asked)
    shares = [one.share for one in asked]
    categories = sorted({one.category for one in asked})
    return {
        "questions": len(asked),
        "evidence_left": left,
        "share": percent(in_memory + in_history, left),
        "in_memory": percent(in_memory, left),
        "in_history": percent(in_history, left),
        "mean_over_questions": round(mean(shares), 1),
        "interval": [round(end, 1) for end in paired_interval(shares, [0.0] * len(shares), seed)],
        "by_category": {c: round(mean([o.share for o in asked if o.category == c]), 1) for c in categories},
        "persona_intact": sum(one.persona for one in asked),
        "largest_prompt": max(one.prompt_tokens for one in asked),
        "mean_block": round(sum(one.block_tokens for one in asked) / len(asked)),
        "largest_block": max(one.block_tokens for one in asked),
        "leaks": sum(one.leaks for one in asked),
    }


def percent(part: int, whole: int) -> float:
    """With one decimal."""
    return round(100 * part / whole, 1)


def run(data: DataSet, limit: int | None, seed: int) -> Body:
    """Every conversation on a server and in a data folder of its own."""
    asked: dict[bool, list[Asked]] = {True: [], False: []}
    each: dict[str, Body] = {}
    for conversation in data.conversations:
        with tempfile.TemporaryDirectory() as folder, running(lambda _: Answer()) as provider:
            with serving(provider, Path(folder), **SETTINGS) as bench:
                found, each[conversation.name] = measured(bench, conversation, limit, seed)
        asked[conversation.report] += found
    return {
        "data_sha256": data.sha256,
        "unit": "an evidence turn that the front-end no longer sends; questions of categories 1 to 4",
        "definition": DEFINITION,
        "dates": "a live chat has no date but now",
        "split": {"report": [c.name for c in data.conversations if c.report]},
        "seed": seed,
        "window_tokens": WINDOW_TOKENS,
        "memory_tokens": MEMORY_TOKENS,
        "settings": SETTINGS,
        "report": figures_of(asked[True], seed) if asked[True] else None,
        "all": figures_of([*asked[False], *asked[True]], seed),
        "conversations": each,
    }


def main() -> None:
    """Measure, print a table, and write build/bench/prompt.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path, help="LoCoMo's file of conversations")
    parser.add_argument("--conversations", nargs="+", help="only these, by name")
    parser.add_argument("--questions", type=int, help="only the first so many of each")
    parser.add_argument("--seed", type=int, default=20, help="of the bootstrap")
    parser.add_argument("--json", type=Path, default=Path("build/bench/prompt.json"))
    options = parser.parse_args()
    data = locomo(options.data)
    if options.conversations:
        data.conversations = [c for c in data.conversations if c.name in options.conversations]
    figures = run(data, options.questions, options.seed)
    keep(figures, options.json)
    report(figures)


def report(figures: Body) -> None:
    """The figures as a table."""
    console = Console()
    console.print(
        f"data sha256 {figures['data_sha256'][:16]}, seed {figures['seed']}, unit: {figures['unit']}"
    )
    console.print(f"{figures['definition']}; {figures['dates']}")
    table = Table("chats", "questions", "left", "in the prompt %", "memory", "history", "persona", "block")
    for name, row in (
        *figures["conversations"].items(),
        ("report", figures["report"]),
        ("all", figures["all"]),
    ):
        if row:
            counts = (
                row["questions"],
                row["evidence_left"],
                row["share"],
                row["in_memory"],
                row["in_history"],
            )
            persona = f"{row['persona_intact']}/{row['questions']}"
            table.add_row(name, *map(str, counts), persona, f"{row['mean_block']}, {row['largest_block']}")
    console.print(table)
    every, room = figures["all"], figures["settings"]["context_tokens"] - ANSWER_TOKENS
    low, high = every["interval"]
    console.print(
        f"mean over questions {every['mean_over_questions']} ({low} to {high}); {every['by_category']}"
    )
    console.print("persona: questions in whose prompt it is intact; block: mean and largest tokens of memory")
    console.print(f"largest prompt {every['largest_prompt']} of {room} tokens; leaks {every['leaks']}")


if __name__ == "__main__":
    main()
