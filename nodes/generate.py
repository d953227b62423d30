"""Generate: ask the model, stream what it says, and stop when the user stops."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from langgraph.runtime import Runtime

from graph.context import TurnContext
from graph.errors import ContextOverflow, ProviderUnavailable
from graph.state import ChatMessage, TurnState
from models.chat import ChatModel, Delta, Deltas, Usage
from models.tokens import TokenCounter
from nodes.layout import drop_oldest_half

Emit = Callable[[dict[str, Any]], None]


class StopSignal(Protocol):
    """One turn's signal: set when the user stopped; `keep` says whether the text so far stays."""

    event: asyncio.Event
    keep: bool


class StopSignals(Protocol):
    """Finds the signal of a turn."""

    def of(self, turn_id: str) -> StopSignal: ...


@dataclass
class Answer:
    """What one call has said so far."""

    index: int
    text: list[str] = field(default_factory=list)
    finish_reason: str = ""
    usage: Usage | None = None
    began: bool = False
    other: bool = False
    """Something besides text came: tool calls or reasoning."""
    tool_calls: bool = False


@dataclass(frozen=True)
class Generate:
    """`n` calls at once; the first is the path, the others are swipes."""

    chat: ChatModel
    counter: TokenCounter
    stops: StopSignals

    async def __call__(self, state: TurnState, runtime: Runtime[TurnContext]) -> dict[str, Any]:
        stop = self.stops.of(state.turn_id)
        try:
            answers = await self._ask(state, state.prompt, stop, runtime.stream_writer)
            update: dict[str, Any] = {}
        except ContextOverflow:
            if "history" not in state.prompt_parts or state.kind in ("raw", "test"):
                raise
            prompt, labels = drop_oldest_half(state.prompt, state.prompt_parts)
            answers = await self._ask(state, prompt, stop, runtime.stream_writer)
            update = {"prompt": prompt, "prompt_parts": labels}
        stopped = stop.event.is_set()
        self._learn(state, answers)
        replies = [reply_of(a, stopped=stopped, keep=stop.keep) for a in answers]
        return update | {"replies": replies, "usage": usage_of(state, answers), "stopped": stopped}

    async def _ask(
        self, state: TurnState, prompt: list[ChatMessage], stop: StopSignal, emit: Emit
    ) -> list[Answer]:
        n = int(state.sampling.get("n") or 1)
        sampling = within_window({k: v for k, v in state.sampling.items() if k != "n"}, state.tokens)
        answers = [Answer(i) for i in range(n)]
        try:
            async with asyncio.TaskGroup() as calls:
                for answer in answers:
                    stream = self.chat.stream(prompt, model=state.model, sampling=sampling)
                    calls.create_task(listen(answer, stream, stop.event, emit))
        except BaseExceptionGroup as group:
            raise first_error(group, answers) from group
        return answers

    def _learn(self, state: TurnState, answers: list[Answer]) -> None:
        counted = state.tokens.get("prompt")
        reported = next((a.usage.prompt_tokens for a in answers if a.usage), None)
        if counted and reported:
            self.counter.observe(counted, reported)


def within_window(sampling: dict[str, Any], tokens: dict[str, int]) -> dict[str, Any]:
    """The request's limit for the answer, lowered to what the context leaves beside the prompt."""
    left = tokens["context"] - tokens["prompt"] if tokens else None
    limits = {name: sampling[name] for name in ("max_tokens", "max_completion_tokens") if name in sampling}
    return sampling | {name: min(limit, left) for name, limit in limits.items() if left and limit}


async def listen(answer: Answer, stream: Deltas, stop: asyncio.Event, emit: Emit) -> None:
    """Take in one call's deltas until it ends or the user stops; closing the stream frees the provider."""
    stopped = asyncio.ensure_future(stop.wait())
    try:
        while True:
            step = asyncio.ensure_future(anext(stream))
            await asyncio.wait({step, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if not step.done():
                step.cancel()
                await asyncio.gather(step, return_exceptions=True)
                break
            try:
                take(answer, step.result(), emit)
            except StopAsyncIteration:
                break
    finally:
        stopped.cancel()
        await stream.aclose()
    if not stop.is_set() and not "".join(answer.text) and not answer.other:
        raise ProviderUnavailable("The model returned an empty answer. Try again, or try another model.")
    emit({"type": "end", "index": answer.index, "finish_reason": answer.finish_reason or "stop"})


def take(answer: Answer, delta: Delta, emit: Emit) -> None:
    """Add one delta to the answer and pass it on."""
    answer.began = True
    answer.text.append(delta.text)
    answer.other = answer.other or bool(delta.reasoning or delta.tool_calls)
    answer.tool_calls = answer.tool_calls or bool(delta.tool_calls)
    answer.finish_reason = delta.finish_reason or answer.finish_reason
    answer.usage = delta.usage or answer.usage
    carried = {"content": delta.text, "reasoning": delta.reasoning, "tool_calls": list(delta.tool_calls)}
    shown = {k: v for k, v in carried.items() if v}
    if shown:
        emit({"type": "delta", "index": answer.index, **shown})


def first_error(group: BaseExceptionGroup[BaseException], answers: list[Answer]) -> BaseException:
    """The error to report; an overflow after the first delta cannot be retried: the model broke off."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, ContextOverflow) and any(a.began for a in answers):
        return ProviderUnavailable(f"The model broke off: {error}")
    return error


def reply_of(answer: Answer, *, stopped: bool, keep: bool) -> dict[str, Any]:
    """One choice. Tool calls are not remembered, nor is an empty text or one that the user did not see."""
    text = "".join(answer.text)
    return {
        "index": answer.index,
        "text": text,
        "finish_reason": answer.finish_reason or "stop",
        "remembered": bool(text.strip()) and not answer.tool_calls and (keep or not stopped),
    }


def usage_of(state: TurnState, answers: list[Answer]) -> dict[str, int]:
    """Tokens as the provider reported them, summed over the choices; the prompt is counted once."""
    reported = [a.usage for a in answers if a.usage]
    prompt = max((u.prompt_tokens for u in reported), default=state.tokens.get("prompt", 0))
    completion = sum(u.completion_tokens for u in reported)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
