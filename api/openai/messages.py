"""OpenAI messages become LangChain messages, with errors that name the place.

Voice platforms re-send what was spoken, cut where the caller interrupted, so this is strict about what nobody can
interpret and lenient about what can be mended: a tool call that nobody answered is given an answer that says so, since
providers reject a history without one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage, ToolCall, ToolMessage

from config.errors import RequestError

NOT_ANSWERED = "No result was reported for this call."

ROLES = ("system", "developer", "user", "assistant", "tool", "function")


def to_langchain(messages: Sequence[Any]) -> list[AnyMessage]:
    """The messages of a request, in order.

    Raises:
        RequestError: `param` names the message or the field, as in `messages[2].tool_calls[0].function.arguments`.
    """
    if not messages:
        raise RequestError("messages must hold at least one message.", param="messages")
    reader = _Reader()
    for number, message in enumerate(messages):
        reader.read(message, f"messages[{number}]")
    return _with_every_call_answered(reader.read_so_far)


class _Reader:
    """Reads one message after the other; it knows which tool calls still wait for an answer."""

    def __init__(self) -> None:
        self.read_so_far: list[AnyMessage] = []
        self._unanswered: dict[str, str] = {}

    def read(self, message: Any, place: str) -> None:
        if not isinstance(message, dict):
            raise RequestError(f"{place} must be an object.", param=place)
        role = message.get("role")
        if role not in ROLES:
            raise RequestError(
                f"{place}.role is {role!r}; it must be one of {', '.join(ROLES)}.", param=f"{place}.role"
            )
        content = _content(message.get("content"), f"{place}.content")
        named = {"name": message["name"]} if isinstance(message.get("name"), str) else {}
        match role:
            case "system" | "developer":
                self.read_so_far.append(SystemMessage(content=content, additional_kwargs=named))
            case "user":
                self.read_so_far.append(HumanMessage(content=content, additional_kwargs=named))
            case "assistant":
                calls = _calls(message, place)
                self._unanswered |= {str(call["id"]): call["name"] for call in calls}
                self.read_so_far.append(AIMessage(content=content, tool_calls=calls, additional_kwargs=named))
            case _:
                call_id = self._answered_call(message, place)
                self.read_so_far.append(ToolMessage(content=content, tool_call_id=call_id))

    def _answered_call(self, message: dict[str, Any], place: str) -> str:
        if message["role"] == "tool":
            key, wanted = "tool_call_id", message.get("tool_call_id")
            call_id = wanted if isinstance(wanted, str) and wanted in self._unanswered else None
        else:  # the legacy form names the function instead of the call
            key, wanted = "name", message.get("name")
            call_id = next((each for each, name in self._unanswered.items() if name == wanted), None)
        if call_id is None:
            raise RequestError(
                f"{place} answers no tool call: {key} is {wanted!r}, but no earlier assistant message waits for it.",
                param=f"{place}.{key}",
            )
        del self._unanswered[call_id]
        return call_id


def _content(content: Any, place: str) -> str | list[str | dict[Any, Any]]:
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise RequestError(f"{place} must be a string, a list of parts or null.", param=place)
    for number, part in enumerate(content):
        if not isinstance(part, dict) or not isinstance(part.get("type"), str):
            raise RequestError(f"{place}[{number}] must be an object with a type.", param=f"{place}[{number}]")
        if part["type"] == "text" and not isinstance(part.get("text"), str):
            raise RequestError(f"{place}[{number}].text must be a string.", param=f"{place}[{number}].text")
    if all(part["type"] == "text" for part in content):
        # Not every provider takes parts where plain text says the same.
        return "".join(part["text"] for part in content)
    return content


def _calls(message: dict[str, Any], place: str) -> list[ToolCall]:
    calls = message.get("tool_calls") or []
    if not isinstance(calls, list):
        raise RequestError(f"{place}.tool_calls must be a list.", param=f"{place}.tool_calls")
    read = [_call(call, f"{place}.tool_calls[{number}]") for number, call in enumerate(calls)]
    if legacy := message.get("function_call"):
        # It has no id, so it gets one from its place: the same history reads the same every time.
        read.append(_call({"id": f"call_{place}", "function": legacy}, f"{place}.function_call", legacy=True))
    return read


def _call(call: Any, place: str, *, legacy: bool = False) -> ToolCall:
    at = place if legacy else f"{place}.function"
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise RequestError(f"{at} must be an object with a name.", param=at)
    if not isinstance(call.get("id"), str) or not call["id"]:
        raise RequestError(f"{place}.id must be a string.", param=f"{place}.id")
    arguments = function.get("arguments") or {}
    if isinstance(arguments, str):
        try:
            arguments = orjson.loads(arguments)
        except orjson.JSONDecodeError as exc:
            raise RequestError(f"{at}.arguments is not valid JSON.", param=f"{at}.arguments") from exc
    if not isinstance(arguments, dict):
        raise RequestError(f"{at}.arguments must be a JSON object.", param=f"{at}.arguments")
    return ToolCall(name=function["name"], args=arguments, id=call["id"])


def _with_every_call_answered(messages: list[AnyMessage]) -> list[AnyMessage]:
    answered = {message.tool_call_id for message in messages if isinstance(message, ToolMessage)}
    mended: list[AnyMessage] = []
    for message in messages:
        mended.append(message)
        if isinstance(message, AIMessage):
            mended += [
                ToolMessage(content=NOT_ANSWERED, tool_call_id=str(call["id"]))
                for call in message.tool_calls
                if call["id"] not in answered
            ]
    return mended
