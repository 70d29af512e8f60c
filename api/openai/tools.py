"""Reads `tools`, `functions` and `tool_choice` of a request; errors name the invalid field."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from agent.tools.caller_tools import CallerTool
from config.errors import RequestError

TOOL_NAME = re.compile(r"[a-zA-Z0-9_.-]{1,128}")

ToolChoice = str | Mapping[str, Any] | None

_FUNCTION_FORM = '{"type": "function", "function": {"name": ..., "parameters": ...}}'


def read_tool(tool: Mapping[str, Any], place: str) -> CallerTool:
    """One entry of `tools`. Raises RequestError."""
    if (kind := tool.get("type", "function")) != "function":
        raise RequestError(
            f"{place}.type is {kind!r}; only 'function' is supported: {_FUNCTION_FORM}. Give a tool with free text one "
            "string parameter.",
            param=f"{place}.type",
        )
    return read_function(tool.get("function"), f"{place}.function")


def read_function(function: Any, place: str) -> CallerTool:
    """A function of `tools` or `functions`. Raises RequestError."""
    if not isinstance(function, dict):
        raise RequestError(f"{place} must be an object.", param=place)
    name, parameters = function.get("name"), function.get("parameters")
    if not isinstance(name, str) or not TOOL_NAME.fullmatch(name):
        raise RequestError(f"{place}.name must be 1 to 128 letters, digits, '_', '.' or '-'.", param=f"{place}.name")
    if parameters is not None and not isinstance(parameters, dict):
        raise RequestError(f"{place}.parameters must be a JSON schema, an object.", param=f"{place}.parameters")
    schema = {"type": "object", "properties": {}, **(parameters or {})}
    return CallerTool(name, read_description(function, place), schema, strict=function.get("strict"))


def read_description(tool: Mapping[str, Any], place: str) -> str:
    """What a tool of a request does; "" if it does not say. Raises RequestError."""
    description = tool.get("description")
    if description is not None and not isinstance(description, str):
        raise RequestError(f"{place}.description must be a string.", param=f"{place}.description")
    return description or ""


def check_tool_count(count: int, limit: int, param: str) -> None:
    """Raise RequestError if a request has more than `limit` tools."""
    if count > limit:
        raise RequestError(f"{param} must contain at most {limit} tools, not {count}.", param=param)


def check_tool_names(tools: Sequence[CallerTool]) -> None:
    """Raise RequestError if two tools have the same name."""
    repeated = [name for name, count in Counter(tool.name for tool in tools).items() if count > 1]
    if repeated:
        raise RequestError(f"Several tools have the name {repeated[0]!r}.", param="tools")


def read_tool_choice(
    choice: Any, tools: Sequence[CallerTool], param: str, *, nested: bool = True
) -> tuple[ToolChoice, frozenset[str] | None]:
    """The choice, None for "auto", and the names of the tools that are allowed, None for all.

    Both forms are read: that of chat completions, which is `nested` in `function` and `allowed_tools`, and that of
    responses. Errors speak of one.

    Raises:
        RequestError: it names a tool that the request does not have, or has an unknown type.
    """
    if choice is None or isinstance(choice, str):
        return (None if choice == "auto" else choice), None
    kind = choice.get("type", "function")
    if kind == "allowed_tools":
        place = f"{param}.allowed_tools" if nested else param
        return _allowed_tools(choice.get("allowed_tools", choice), tools, place, _form(nested))
    if kind != "function":
        raise RequestError(
            f"{param}.type is {kind!r}; it must be 'function' or 'allowed_tools'. A tool is named by {_form(nested)}.",
            param=f"{param}.type",
        )
    name = _name(choice)
    _check_names([name], tools, param)
    return {"type": "function", "function": {"name": name}}, None


def _form(nested: bool) -> str:
    return '{"type": "function", "function": {"name": ...}}' if nested else '{"type": "function", "name": ...}'


def _allowed_tools(given: Any, tools: Sequence[CallerTool], place: str, form: str) -> tuple[ToolChoice, frozenset[str]]:
    mode, listed = (given.get("mode", "auto"), given.get("tools")) if isinstance(given, dict) else (None, None)
    if mode not in ("auto", "required") or not isinstance(listed, list) or not listed:
        raise RequestError(f'{place} must have a mode, "auto" or "required", and tools, a list of {form}.', param=place)
    names = [_name(each) for each in listed]
    _check_names(names, tools, place)
    return (None if mode == "auto" else mode), frozenset(map(str, names))


def _name(choice: Any) -> Any:
    function = choice.get("function", choice) if isinstance(choice, dict) else None
    return function.get("name") if isinstance(function, dict) else None


def _check_names(names: Sequence[Any], tools: Sequence[CallerTool], param: str) -> None:
    known = [tool.name for tool in tools]
    for name in names:
        if not isinstance(name, str):
            raise RequestError(f"{param} has no name of a tool.", param=param)
        if name not in known:
            raise RequestError(f"{param} names {name!r}, which is not one of the request's tools.", param=param)
