"""Converts OpenAI messages to LangChain messages; errors name the invalid field.

A model's broken JSON in an old call is repaired: the caller cannot change what a model once said. Voice platforms
resend the conversation, cut where the caller interrupted. A tool call without a result therefore gets a placeholder
result, because providers reject a history without one.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import orjson
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage, ToolCall, ToolMessage
from pydantic_core import from_json

from api.http.body import MAX_DEPTH, depth
from api.openai.request_schemas import PART_TYPES
from config.errors import RequestError

NOT_ANSWERED = "No result was reported for this call."

MAX_MESSAGES = 2_000

MAX_PARTS = 1_000
"""Of the content of one message."""

MAX_CALLS = 128
"""Of one message, as many as tools."""

ROLES = ("system", "developer", "user", "assistant", "tool", "function")


def to_langchain(messages: Sequence[Any]) -> list[AnyMessage]:
    """Convert the messages of a request.

    Raises:
        RequestError: `param` names the message or field, such as `messages[2].tool_calls[0].function.arguments`.
    """
    if not messages:
        raise RequestError("messages must contain at least one message.", param="messages")
    check_length(messages, MAX_MESSAGES, "messages", "messages")
    converter = _Converter()
    for number, message in enumerate(messages):
        converter.add(message, f"messages[{number}]")
    return with_placeholder_results(converter.converted)


class _Converter:
    """Converts one message after the other and keeps track of tool calls without a result."""

    def __init__(self) -> None:
        self.converted: list[AnyMessage] = []
        self._unanswered: dict[str, str] = {}
        self._unanswered_of: defaultdict[str, dict[str, None]] = defaultdict(dict)
        """By name, in order: the legacy format names the function instead of the call."""

    def add(self, message: Any, place: str) -> None:
        if not isinstance(message, dict):
            raise RequestError(f"{place} must be an object.", param=place)
        role = message.get("role")
        if role not in ROLES:
            raise RequestError(
                f"{place}.role is {role!r}; it must be one of {', '.join(ROLES)}.", param=f"{place}.role"
            )
        content = content_of(message.get("content"), f"{place}.content")
        extra = {"name": message["name"]} if isinstance(message.get("name"), str) else {}
        match role:
            case "system" | "developer" if isinstance(content, str) and not content.strip():
                pass  # LiveKit sends one for an agent without instructions; it must not replace the agent's prompt
            case "system" | "developer":
                self.converted.append(SystemMessage(content=content, additional_kwargs=extra))
            case "user":
                _check_parts(content, f"{place}.content")
                self.converted.append(HumanMessage(content=content, additional_kwargs=extra))
            case "assistant":
                calls = _calls(message, place)
                if not content and isinstance(refusal := message.get("refusal"), str):
                    content = refusal
                for call in calls:
                    self._open(str(call["id"]), call["name"])
                self.converted.append(AIMessage(content=content, tool_calls=calls, additional_kwargs=extra))
            case _:
                call_id = self._answered_call(message, place)
                self.converted.append(ToolMessage(content=content, tool_call_id=call_id))

    def _answered_call(self, message: dict[str, Any], place: str) -> str:
        if message["role"] == "tool":
            key, wanted = "tool_call_id", message.get("tool_call_id")
            call_id = wanted if isinstance(wanted, str) and wanted in self._unanswered else None
        else:
            key, wanted = "name", message.get("name")
            call_id = next(iter(self._unanswered_of[wanted]), None) if isinstance(wanted, str) else None
        if call_id is None:
            raise RequestError(
                f"{place} answers no tool call: no earlier assistant message has an open call with {key} {wanted!r}.",
                param=f"{place}.{key}",
            )
        del self._unanswered_of[self._unanswered.pop(call_id)][call_id]
        return call_id

    def _open(self, call_id: str, name: str) -> None:
        if (before := self._unanswered.get(call_id)) is not None:
            del self._unanswered_of[before][call_id]
        self._unanswered[call_id] = name
        self._unanswered_of[name][call_id] = None


def content_of(content: Any, place: str) -> str | list[str | dict[Any, Any]]:
    """The content of a message for LangChain: a text wherever one is enough. Raises RequestError."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise RequestError(f"{place} must be a string, a list of parts or null.", param=place)
    check_length(content, MAX_PARTS, place, "parts")
    for number, part in enumerate(content):
        if not isinstance(part, dict) or not isinstance(part.get("type"), str):
            raise RequestError(f"{place}[{number}] must be an object with a type.", param=f"{place}[{number}]")
        if part["type"] == "text" and not isinstance(part.get("text"), str):
            raise RequestError(f"{place}[{number}].text must be a string.", param=f"{place}[{number}].text")
    parts = [_refusal_as_text(part) for part in content]
    if all(part["type"] == "text" and part.keys() == {"type", "text"} for part in parts):
        # Not every provider accepts a list of text parts. Other keys, such as a cache's, belong to one part.
        return "".join(part["text"] for part in parts)
    return [*parts]


def _check_parts(content: str | list[str | dict[Any, Any]], place: str) -> None:
    """Raise RequestError for a part of a user's message that no provider takes."""
    for number, part in enumerate(content if isinstance(content, list) else ()):
        if isinstance(part, dict):
            kind, at = part["type"], f"{place}[{number}]"
            if kind not in PART_TYPES:
                known = ", ".join(PART_TYPES)
                raise RequestError(f"{at}.type is {kind!r}; it must be one of {known}.", param=f"{at}.type")
            if kind == "image_url" and not isinstance(part.get("image_url"), str | dict):
                raise RequestError(f"{at}.image_url must be an object with a url.", param=f"{at}.image_url")
            if kind == "file" and not isinstance(part.get("file"), dict):
                raise RequestError(f"{at}.file must be an object with file_data or file_id.", param=f"{at}.file")


def _refusal_as_text(part: dict[str, Any]) -> dict[Any, Any]:
    if part["type"] == "refusal" and isinstance(part.get("refusal"), str):
        return {"type": "text", "text": part["refusal"]}
    return part


def _calls(message: dict[str, Any], place: str) -> list[ToolCall]:
    calls = message.get("tool_calls") or []
    if not isinstance(calls, list):
        raise RequestError(f"{place}.tool_calls must be a list.", param=f"{place}.tool_calls")
    check_length(calls, MAX_CALLS, f"{place}.tool_calls", "calls")
    converted = [_call(call, f"{place}.tool_calls[{number}]") for number, call in enumerate(calls)]
    if legacy := message.get("function_call"):
        # It has no id. An id made from its position is the same each time the history is sent.
        converted.append(_call({"id": f"call_{place}", "function": legacy}, f"{place}.function_call", legacy=True))
    return converted


def _call(call: Any, place: str, *, legacy: bool = False) -> ToolCall:
    at = place if legacy else f"{place}.function"
    function = call.get("function") if isinstance(call, dict) else None
    if isinstance(call, dict) and call.get("type") == "custom" and isinstance(custom := call.get("custom"), dict):
        function = {"name": custom.get("name"), "arguments": {"input": custom.get("input")}}
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise RequestError(f"{at} must be an object with a name.", param=at)
    if not isinstance(call.get("id"), str) or not call["id"]:
        raise RequestError(f"{place}.id must be a string.", param=f"{place}.id")
    arguments = call_arguments(function.get("arguments"))
    if depth(arguments) > MAX_DEPTH:
        raise RequestError(f"{at}.arguments is nested more than {MAX_DEPTH} levels deep.", param=f"{at}.arguments")
    return ToolCall(name=function["name"], args=arguments, id=call["id"])


def call_arguments(value: Any) -> dict[str, Any]:
    """The arguments of a call. What a model broke off is completed; what is no object is kept under one name."""
    parsed = value
    for _ in range(2):  # some clients encode the string twice
        if isinstance(parsed, str):
            parsed = _parsed(parsed)
    if isinstance(parsed, dict):
        return parsed
    return {} if parsed in (None, "") else {"arguments": value}


def _parsed(text: str) -> Any:
    """The JSON value in `text`, which may have line breaks in strings or break off; otherwise `text` itself.

    Callers choose the text, so that all of this takes linear time.
    """
    for read in (orjson.loads, _with_line_breaks, _broken_off):
        try:
            return read(text)
        except (ValueError, RecursionError):
            continue
    return text


def _with_line_breaks(text: str) -> Any:
    return _sendable(json.loads(text, strict=False))


def _broken_off(text: str) -> Any:
    return _sendable(from_json(text, allow_inf_nan=False, allow_partial="trailing-strings"))


def _sendable(value: Any) -> Any:
    """`value` if it is JSON for everybody. Raises ValueError for an infinite number or half a character."""
    return orjson.loads(json.dumps(value))


def check_length(values: Sequence[Any], limit: int, place: str, kind: str) -> None:
    """Raise RequestError if there are more than `limit` values; `kind` says what they are."""
    if len(values) > limit:
        raise RequestError(f"{place} must contain at most {limit} {kind}, not {len(values)}.", param=place)


def with_placeholder_results(messages: Sequence[AnyMessage]) -> list[AnyMessage]:
    """The messages, with one result for each tool call right after it, where providers want it.

    A result that comes later, such as after what a person said meanwhile, moves there.
    """
    steps: list[tuple[AnyMessage, dict[str, ToolMessage]]] = []
    results_of: dict[str, dict[str, ToolMessage]] = {}
    for message in messages:
        if isinstance(message, ToolMessage):
            results_of[message.tool_call_id][message.tool_call_id] = message
            continue
        results: dict[str, ToolMessage] = {}
        steps.append((message, results))
        if isinstance(message, AIMessage):
            results_of |= {str(call["id"]): results for call in message.tool_calls}
    result: list[AnyMessage] = []
    for message, results in steps:
        result.append(message)
        for call in message.tool_calls if isinstance(message, AIMessage) else ():
            id = str(call["id"])
            result.append(results.get(id) or ToolMessage(content=NOT_ANSWERED, tool_call_id=id))
    return result
