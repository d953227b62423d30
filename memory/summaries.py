"""Writing summaries: by the configured model, or extractive where the model is not to be trusted with it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from graph.errors import ProviderUnavailable
from memory.glue import certain_text
from memory.path import Path
from memory.stored import Job, Message, TreeKey
from memory.transcript import Transcript
from models.chat import ChatModel

INSTRUCTION = (
    "Summarise the following part of a role-play chat in about {words} words. Keep decisions, facts "
    "(names, places, promises, relationships) and emotional moments, and who did or felt what. Write plain "
    "past-tense prose, nothing else. Do not invent anything."
)
SENTENCE = re.compile(r"(?<=[.!?…\"*])\s+|\n+")


@dataclass(frozen=True)
class Summariser:
    """Does one `summarise` job of the outbox."""

    transcript: Transcript
    chat: ChatModel
    words: int

    async def __call__(self, key: TreeKey, job: Job) -> None:
        """Write the summary, or drop the job when its messages are on the session's path no longer or nothing
        that they say is certain."""
        session = await self.transcript.session(key.owner, job.payload["session_id"])
        ids = list(Path(job.payload["over"]))
        stood = session is not None and stands(session.path, ids)
        messages = [m for m in await self.transcript.messages(key, ids) if certain_text(m)] if stood else []
        if not messages:
            await self.transcript.finish_jobs(key, [job.id])
            return
        if self.chat.provider == "embedded":
            text, source = extract(messages, self.words), "extractive"
        else:
            text, source = await self._ask(messages), f"model:{self.chat.name}"
        await self.transcript.add_summary(key, job.payload["over"], text, source, job.id)

    async def _ask(self, messages: Sequence[Message]) -> str:
        prompt = [
            {"role": "system", "content": INSTRUCTION.format(words=self.words)},
            {"role": "user", "content": "\n\n".join(said(m) for m in messages)},
        ]
        text = "".join(
            [delta.text async for delta in self.chat.stream(prompt, sampling={"temperature": 0.3})]
        )
        if not text.strip():
            raise ProviderUnavailable("The model returned an empty summary.")
        return text.strip()


def stands(path: Path, ids: Sequence[int]) -> bool:
    """Whether these messages stand on the path in this order, next to each other."""
    first = path.position(ids[0]) if ids else None
    return first is not None and path.slice(first, first + len(ids)) == list(ids)


def said(message: Message) -> str:
    """What a message certainly says, with its speaker before it, once."""
    return _attributed(message, certain_text(message))


def extract(messages: Sequence[Message], words: int) -> str:
    """The sentences that matter most, in their order, up to `words` words; never empty.

    A sentence weighs its message's importance, plus a little for each name or number in it.
    """
    sentences = [
        (message, number, sentence.strip())
        for message in messages
        for number, sentence in enumerate(SENTENCE.split(certain_text(message)))
        if sentence.strip()
    ]
    order = sorted(range(len(sentences)), key=lambda i: -_weight(*sentences[i]))
    kept: list[int] = []
    left = words
    for i in order:
        length = len(sentences[i][2].split()) + 1
        if length <= left:
            kept.append(i)
            left -= length
    if not kept and order:
        return " ".join(sentences[order[0]][2].split()[:words])
    return " ".join(_attributed(sentences[i][0], sentences[i][2]) for i in sorted(kept))


def _weight(message: Message, number: int, sentence: str) -> float:
    """Names and numbers carry facts; a first sentence carries what its message is about."""
    facts = len(re.findall(r"(?<=\s)[A-ZÀ-Þ][\w'-]+|\d+", sentence))
    return message.importance + 0.1 * min(facts, 4) + (0.05 if number == 0 else 0.0)


def _attributed(message: Message, sentence: str) -> str:
    speaker = message.speaker or message.role
    return sentence if sentence.startswith(f"{speaker}:") else f"{speaker}: {sentence}"
