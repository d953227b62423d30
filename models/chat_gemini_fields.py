"""A request's fields and message parts in the words of ChatGoogleGenerativeAI."""

from __future__ import annotations

import base64
import mimetypes
import re
from typing import Any

from graph.errors import ProviderRefused
from models.chat_turns import Message

STOP_SEQUENCES = 5
"""As many as Gemini takes."""
DATA_URL = re.compile(r"data:[^;,]+;base64,(.*)", re.DOTALL)


def gemini_field(name: str, value: Any, sampling: dict[str, Any], model: str) -> dict[str, Any] | None:
    """One field of a request as ChatGoogleGenerativeAI takes it; None: Gemini has none of the kind."""
    match name:
        case "temperature" | "top_p" | "seed":
            return {name: value} if value is not None else {}
        case "top_k" | "presence_penalty" | "frequency_penalty":  # 0 is off, and refused by some models
            return {name: value} if value else {}
        case "max_tokens" | "max_completion_tokens":
            return {"max_output_tokens": value} if value else {}
        case "stop":
            sequences = [value] if isinstance(value, str) else list(value or ())
            return {"stop": sequences[:STOP_SEQUENCES]} if sequences else {}
        case "response_format":
            return {"response_format": value} if value else {}
        case "tools":
            return {"tools": value} if value else {}
        case "tool_choice":
            return {"tool_choice": _tool_choice(value)} if value and sampling.get("tools") else {}
        case "include_reasoning":
            return {"include_thoughts": True} if value else {}
        case "reasoning_effort" if re.match(r"gemini-[3-9]", model):
            return {"thinking_level": value} if value in ("minimal", "low", "medium", "high") else {}
        case _:
            return None


def _tool_choice(choice: Any) -> Any:  # Any: OpenAI takes a word or {"function": {"name": ...}}
    return choice.get("function", {}).get("name", "any") if isinstance(choice, dict) else choice


def with_gemini_parts(turn: Message) -> Message:
    """A turn whose content parts Gemini takes; raises ProviderRefused where it takes none of the kind."""
    content = turn["content"]
    return turn if isinstance(content, str) else {**turn, "content": [_part(part) for part in content]}


def _part(part: dict[str, Any]) -> dict[str, Any]:
    """One part; links are left to Gemini to fetch."""
    kind = part.get("type")
    if kind == "text":
        return {"type": "text", "text": part["text"]}
    if kind == "input_audio":
        sound = part["input_audio"]
        return _media(f"data:audio/{sound['format']};base64,{sound['data']}")
    if kind in ("image_url", "video_url", "audio_url"):
        link = part[kind]
        return _media(link["url"] if isinstance(link, dict) else link)
    raise ProviderRefused(f"Gemini takes no message part of the type {kind!r}.")


def _media(url: str) -> dict[str, Any]:
    if url.startswith(("http://", "https://")):
        kind = mimetypes.guess_type(url.partition("?")[0])[0] or "image/jpeg"
        return {"type": "file", "file_id": url, "mime_type": kind}
    found = DATA_URL.fullmatch(url)
    try:
        base64.b64decode(found[1] if found else "*", validate=True)
    except ValueError as error:
        raise ProviderRefused("An image or sound in the prompt is no base64 data: URL.") from error
    return {"type": "image_url", "image_url": {"url": url}}
