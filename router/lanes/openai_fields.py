"""Normalizes the fields of OpenAI events that some providers send with wrong types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from config.errors import BadAnswer
from router.stream.tool_calls import NOT_SENDABLE


def token_counts(usage: Mapping[str, Any]) -> dict[str, Any]:
    """The whole numbers of a usage object and its details. Other values are dropped, so that counts can be added.

    Details are in keys that end in `_details`; those of Anthropic's cache have details of their own.
    """
    return _counts(usage, depth=2)


def _counts(usage: Mapping[str, Any], depth: int) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, value in usage.items():
        if name.endswith("_details"):
            if isinstance(value, dict) and depth:
                kept[name] = _counts(value, depth - 1)
        elif _is_count(value):
            kept[name] = int(value)
    return kept


def _is_count(value: object) -> bool:
    return isinstance(value, int | float) and type(value) is not bool and 0 <= value < 2**53 and value == int(value)


def first_choice(choices: object) -> dict[str, Any] | None:
    """The choice with index 0 or without index. Only one choice is ever requested."""
    if not isinstance(choices, list):
        return None
    for choice in choices:
        if isinstance(choice, dict) and choice.get("index") in (0, None):
            return choice
    return None


def tool_call_fragment(call: Mapping[str, Any]) -> dict[str, Any]:
    """A tool-call fragment with all keys. langchain-litellm silently drops a fragment that lacks one.

    Raises:
        BadAnswer: the arguments are an object that is not JSON for everybody.
    """
    function = call.get("function")
    function = function if isinstance(function, dict) else {}
    name, arguments = function.get("name"), function.get("arguments")
    if arguments is not None and not isinstance(arguments, str):  # some providers do not encode them
        try:
            arguments = orjson.dumps(arguments).decode()
        except orjson.JSONEncodeError as exc:
            raise BadAnswer(NOT_SENDABLE) from exc
    id = call.get("id")
    return {
        "index": call["index"] if type(call.get("index")) is int else None,
        "id": str(id) if id and isinstance(id, str | int) else None,
        "type": "function",
        "function": {"name": name if isinstance(name, str) and name else None, "arguments": arguments},
    }


def text_and_reasoning(content: list[Any]) -> tuple[str, str]:
    """The text and the reasoning in a list of content parts, as Mistral's reasoning models send them."""
    text, reasoning = [], []
    for part in content:
        if not isinstance(part, dict):
            continue
        if part.get("type") == "thinking" and isinstance(part.get("thinking"), list):
            reasoning.append(text_and_reasoning(part["thinking"])[0])
        elif isinstance(part.get("text"), str):
            text.append(part["text"])
    return "".join(text), "".join(reasoning)
