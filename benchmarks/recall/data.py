"""Conversations with questions whose evidence is known, read from the public data sets' own files."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

LOCOMO_TUNE = ("conv-26", "conv-30", "conv-41")
LOCOMO_CATEGORIES = {1: "multi-hop", 2: "temporal", 3: "open-domain", 4: "single-hop", 5: "adversarial"}
COUNTED = (1, 2, 3, 4)
"""LoCoMo's categories that count; the adversarial questions have no answer."""
MADIAL_TUNE = 40
REALISTIC_TUNE = 25
TURN_PAUSE = timedelta(seconds=20)
_SAID = re.compile(r'^<(?P<speaker>[^>]+)>:\s*"?(?P<text>.*?)"?\s*$', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Line:
    """One thing said: `id` is the data's own, `at` in Unix seconds."""

    id: str
    role: str
    speaker: str
    text: str
    at: float


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked after the lines, and the ids of the lines that answer it.

    `before` is what was said just before it, which is in the prompt.
    """

    text: str
    evidence: tuple[str, ...]
    category: str
    speaker: str = ""
    before: tuple[Line, ...] = ()


@dataclass(frozen=True, slots=True)
class Conversation:
    """Everything said, in order, and the questions about it."""

    name: str
    user: str
    character: str
    lines: tuple[Line, ...]
    questions: tuple[Question, ...]
    report: bool
    """Whether nothing was chosen by it."""


@dataclass(slots=True)
class DataSet:
    """The conversations of one file, and the sha256 of what was read."""

    name: str
    conversations: list[Conversation] = field(default_factory=list)
    sha256: str = ""


def locomo(path: Path) -> DataSet:
    """LoCoMo: the unit is a turn; what a shared picture shows is part of what the turn says."""
    raw = path.read_bytes()
    found = [_locomo_conversation(one) for one in json.loads(raw)]
    return DataSet("locomo", found, hashlib.sha256(raw).hexdigest())


def _locomo_conversation(one: dict[str, Any]) -> Conversation:  # Any: JSON
    said = one["conversation"]
    user, character = said["speaker_a"], said["speaker_b"]
    lines = tuple(_locomo_lines(said, user))
    known = {line.id for line in lines}
    questions = []
    for asked in one["qa"]:
        evidence = tuple(i for i in _turn_ids(asked.get("evidence") or []) if i in known)
        if evidence:
            questions.append(Question(str(asked["question"]), evidence, LOCOMO_CATEGORIES[asked["category"]]))
    name = one["sample_id"]
    return Conversation(name, user, character, lines, tuple(questions), name not in LOCOMO_TUNE)


def _locomo_lines(said: dict[str, Any], user: str) -> Iterator[Line]:
    number = 1
    while f"session_{number}" in said or f"session_{number}_date_time" in said:
        began = datetime.strptime(said[f"session_{number}_date_time"], "%I:%M %p on %d %B, %Y")
        for n, turn in enumerate(said.get(f"session_{number}") or []):
            shown = turn.get("blip_caption")
            text = f"{turn['text']} [shows a picture: {shown}]" if shown else turn["text"]
            at = (began.replace(tzinfo=UTC) + n * TURN_PAUSE).timestamp()
            role = "user" if turn["speaker"] == user else "assistant"
            yield Line(turn["dia_id"], role, turn["speaker"], text, at)
        number += 1


def _turn_ids(evidence: Sequence[str]) -> Iterator[str]:
    """Ids of the form D1:3, each once; what is malformed is dropped."""
    seen = set()
    for given in evidence:
        match = re.fullmatch(r"D(\d+):(\d+)", given.strip())
        if match and given.strip() not in seen:
            seen.add(given.strip())
            yield given.strip()


def madial(folder: Path) -> DataSet:
    """MADial-Bench (English): every memory is one line; asked is with the dialogue up to the test turn."""
    raw = [(folder / name).read_bytes() for name in ("memories.jsonl", "dialogues_dev.jsonl")]
    events = {i: event for row in raw[0].splitlines() if row.strip() for i, event in json.loads(row).items()}
    lines = tuple(
        Line(i, "user", "", event["event"], datetime.fromisoformat(event["time"]).timestamp())
        for i, event in sorted(events.items(), key=lambda item: (item[1]["time"], int(item[0])))
    )
    dialogues = [json.loads(row) for row in raw[1].splitlines() if row.strip()]
    found = DataSet("madial", sha256=hashlib.sha256(b"".join(raw)).hexdigest())
    for number, one in enumerate(dialogues):
        questions = tuple(_madial_questions(one, {line.id for line in lines}))
        found.conversations.append(
            Conversation(f"madial-{number}", "", "Assistant", lines, questions, number >= MADIAL_TUNE)
        )
    return found


def _madial_questions(one: dict[str, Any], known: set[str]) -> Iterator[Question]:
    relevant = tuple(str(i) for i in one["relevant-id"] if str(i) in known)
    for turn in one["test-turn"]:
        before = [line for n, text in enumerate(one["dialogue"][1:turn]) if (line := _madial_line(n, text))]
        if relevant and before:
            *earlier, last = before
            yield Question(last.text, relevant, "reminding", last.speaker, tuple(earlier))


def _madial_line(number: int, text: str) -> Line | None:
    match = _SAID.match(text.strip())
    if match is None:
        return None
    role = "assistant" if match["speaker"] == "Assistant" else "user"
    return Line(f"t{number}", role, match["speaker"], match["text"], 0.0)


def realistic(path: Path) -> DataSet:
    """Emotional recall: a scenario's events are lines, dated a day a session; moods are not given."""
    raw = path.read_bytes()
    found = DataSet("realistic", sha256=hashlib.sha256(raw).hexdigest())
    start = datetime(2026, 1, 1, tzinfo=UTC)
    for number, scenario in enumerate(json.loads(raw)["scenarios"]):
        lines, questions = [], []
        for day, session in enumerate(scenario["sessions"]):
            for n, event in enumerate(session["events"]):
                at = (start + timedelta(days=day, minutes=n)).timestamp()
                lines.append(Line(event["memory_id"], "user", "", event["content"], at))
            for asked in session["queries"]:
                questions.append(
                    Question(asked["query"], tuple(asked["expected_memory_ids"]), asked["challenge_type"])
                )
        name = scenario["scenario_id"]
        found.conversations.append(
            Conversation(name, "", "", tuple(lines), tuple(questions), number >= REALISTIC_TUNE)
        )
    return found
