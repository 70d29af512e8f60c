"""Reads `input`: its items in one form, and as LangChain messages; errors name the invalid field.

A call without an output gets a placeholder result, as on chat completions: voice platforms send the conversation cut
where the caller interrupted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage, ToolCall, ToolMessage

from api.http.body import MAX_DEPTH, depth
from api.openai.messages import (
    MAX_CALLS,
    MAX_MESSAGES,
    MAX_PARTS,
    call_arguments,
    check_length,
    content_of,
    with_placeholder_results,
)
from config.errors import RequestError

Item = Mapping[str, Any]

ROLES = ("user", "assistant", "system", "developer")

IGNORED = ("reasoning",)
"""Thoughts of a model, which no other model may be sent."""


def items_of(given: str | Sequence[Any]) -> list[Item]:
    """`input` as a list of items, each with its type.

    Raises:
        RequestError: there are too many, or one is not an object; `param` names it.
    """
    if isinstance(given, str):
        return [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": given}]}]
    check_length(given, MAX_MESSAGES, "input", "items")
    return [_typed(each, f"input[{number}]") for number, each in enumerate(given)]


def messages_of(earlier: Sequence[Item], new: Sequence[Item]) -> list[AnyMessage]:
    """The messages of a conversation: `earlier` items, which are valid, and those of `input`.

    Raises:
        RequestError: an item of `input` is invalid or not supported; `param` names the field.
    """
    check_length([*earlier, *new], MAX_MESSAGES, "input", "items together with those of the previous responses")
    converter = _Converter()
    for item in earlier:
        converter.add(item, "input")
    for number, item in enumerate(new):
        converter.add(item, f"input[{number}]")
    return with_placeholder_results(converter.converted)


class _Converter:
    """Converts one item after the other, and keeps track of the calls without an output."""

    def __init__(self) -> None:
        self.converted: list[AnyMessage] = []
        self._open: set[str] = set()

    def add(self, item: Item, place: str) -> None:
        match item["type"]:
            case "message":
                self._add_message(item, place)
            case "function_call":
                self._add_call(item, place)
            case "function_call_output":
                self._add_output(item, place)
            case kind if kind not in IGNORED:
                raise RequestError(
                    f"{place}.type is {kind!r}; it must be 'message', 'function_call', 'function_call_output' or "
                    "'reasoning'. Tools that OpenAI hosts are not available here.",
                    param=f"{place}.type",
                )

    def _add_message(self, item: Item, place: str) -> None:
        content = _content(item.get("content"), f"{place}.content")
        match item.get("role"):
            case "user":
                self.converted.append(HumanMessage(content=content))
            case "assistant":
                self.converted.append(AIMessage(content=content))
            case "system" | "developer":
                if not isinstance(content, str) or content.strip():  # a blank one must not replace the agent's prompt
                    self.converted.append(SystemMessage(content=content))
            case role:
                raise RequestError(
                    f"{place}.role is {role!r}; it must be one of {', '.join(ROLES)}.", param=f"{place}.role"
                )

    def _add_call(self, item: Item, place: str) -> None:
        """A call belongs to the message before it, if that is the model's."""
        name, call_id = _text(item, "name", place), _text(item, "call_id", place)
        arguments = call_arguments(item.get("arguments"))
        if depth(arguments) > MAX_DEPTH:
            param = f"{place}.arguments"
            raise RequestError(f"{param} is nested more than {MAX_DEPTH} levels deep.", param=param)
        last = self.converted[-1] if self.converted else None
        said = last if isinstance(last, AIMessage) else None
        calls = [*(said.tool_calls if said else ()), ToolCall(name=name, args=arguments, id=call_id)]
        check_length(calls, MAX_CALLS, place, "calls without a message or an output between them")
        message = AIMessage(content=said.content if said else "", tool_calls=calls)
        self.converted[len(self.converted) - bool(said) :] = [message]
        self._open.add(call_id)

    def _add_output(self, item: Item, place: str) -> None:
        call_id, output = _text(item, "call_id", place), item.get("output")
        if call_id not in self._open:
            raise RequestError(
                f"No tool call found for function call output with call_id {call_id}.", param=f"{place}.call_id"
            )
        if not isinstance(output, str | list):
            raise RequestError(f"{place}.output must be a string or a list of parts.", param=f"{place}.output")
        self._open.remove(call_id)
        self.converted.append(ToolMessage(content=_content(output, f"{place}.output"), tool_call_id=call_id))


def _typed(item: Any, place: str) -> Item:
    if not isinstance(item, dict):
        raise RequestError(f"{place} must be an object.", param=place)
    kind = item.get("type") or ("message" if "role" in item else None)
    if not isinstance(kind, str):
        raise RequestError(f"{place}.type is missing.", param=f"{place}.type")
    return {**item, "type": kind}


def _content(content: Any, place: str) -> str | list[str | dict[Any, Any]]:
    if isinstance(content, list):
        check_length(content, MAX_PARTS, place, "parts")
        content = [_part(each, f"{place}[{number}]") for number, each in enumerate(content)]
    return content_of(content, place)


def _part(part: Any, place: str) -> dict[str, Any]:
    """A part in the form of chat completions."""
    kind = part.get("type") if isinstance(part, dict) else None
    match kind:
        case "input_text" | "output_text" | "text" | "summary_text":
            kept = {key: value for key, value in part.items() if key not in ("annotations", "logprobs")}
            return {**kept, "type": "text"}
        case "refusal" | "input_audio":
            return dict(part)
        case "input_image":
            detail = {"detail": part["detail"]} if part.get("detail") in ("low", "high", "auto") else {}
            return {"type": "image_url", "image_url": {"url": _inline(part, "image_url", place), **detail}}
        case "input_file":
            name = {"filename": part["filename"]} if isinstance(part.get("filename"), str) else {}
            return {"type": "file", "file": {"file_data": _inline(part, "file_data", place), **name}}
    raise RequestError(
        f"{place}.type is {kind!r}; it must be 'input_text', 'input_image', 'input_file', 'input_audio', 'output_text' "
        "or 'refusal'.",
        param=f"{place}.type",
    )


def _inline(part: Mapping[str, Any], key: str, place: str) -> str:
    if isinstance(value := part.get(key), str) and value:
        return value
    if part.get("file_id"):
        raise RequestError(
            f"{place}.file_id is not supported: files are not stored here. Send {key}.", param=f"{place}.file_id"
        )
    raise RequestError(f"{place}.{key} must be a string.", param=f"{place}.{key}")


def _text(item: Item, key: str, place: str) -> str:
    if not isinstance(value := item.get(key), str) or not value:
        raise RequestError(f"{place}.{key} must be a string.", param=f"{place}.{key}")
    return value
