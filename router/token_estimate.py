"""Estimates tokens, where no provider counts them. The providers' tokenizers are not available offline."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import orjson

BYTES_PER_TOKEN: Final = 4
"""In UTF-8. English has about 4 letters per token; a Chinese character has 3 bytes and is about 3/4 of a token."""

MESSAGE_TOKENS: Final = 4
"""What a provider adds to each message for its role and its delimiters."""

MEDIA: Final = ("image", "audio", "input_audio", "video", "file")
"""Prefixes of the types of media content parts."""

MEDIA_TOKENS: Final = 800
"""For an image or a sound; providers count its content, not its bytes."""


def text_tokens(texts: Iterable[str]) -> int:
    return sum(len(each.encode(errors="surrogatepass")) for each in texts) // BYTES_PER_TOKEN


def message_tokens(content: Any, more: Iterable[str] = ()) -> int:
    """The tokens of a message with OpenAI's `content`, and `more` texts such as its tool calls."""
    texts, media = list(more), 0
    for part in content if isinstance(content, list) else [content or ""]:
        if isinstance(part, dict) and str(part.get("type")).startswith(MEDIA):
            media += 1
        else:
            texts.append(part if isinstance(part, str) else str(part.get("text", part)))
    return MESSAGE_TOKENS + text_tokens(texts) + media * MEDIA_TOKENS


def estimated_usage(messages: Sequence[Mapping[str, Any]], tools: Any, answered: str) -> dict[str, int]:
    """OpenAI's `usage` of a call with OpenAI's `messages` and `tools`, for what the model `answered`."""
    sent = sum(message_tokens(each.get("content"), _calls(each)) for each in messages)
    sent += text_tokens([orjson.dumps(tools).decode()]) if tools else 0
    said = max(1, text_tokens([answered]))
    return {"prompt_tokens": sent, "completion_tokens": said, "total_tokens": sent + said}


def _calls(message: Mapping[str, Any]) -> Iterable[str]:
    for call in message.get("tool_calls") or ():
        function = call.get("function") or {}
        yield f"{function.get('name')}{function.get('arguments')}"
