"""Makes a LangChain tool of what a Python file defines: a LangChain tool, or a typed function."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from langchain_core.tools import BaseTool, StructuredTool
from langchain_core.utils.function_calling import convert_to_openai_tool

from agent.tools.own.threads import in_thread


def python_tool(value: Any, name: str) -> BaseTool:
    """The LangChain tool for `value`, which agent.yaml calls `name`. A synchronous function runs in a thread.

    Raises:
        ValueError: it is no tool; the text says why.
    """
    match value:
        case BaseTool():
            made = _checked(value)
        case type():
            raise ValueError(f"{name} is a class; give the name of an instance or of a function")
        case _ if inspect.isroutine(value):
            made = _from_function(value, name)
        case _:
            raise ValueError(
                f"{name} is no tool: it is of type {type(value).__name__}, not a function or LangChain tool"
            )
    if isinstance(made, StructuredTool) and made.func is not None and made.coroutine is None:
        made = made.model_copy(update={"coroutine": in_thread(made.func)})
    try:
        convert_to_openai_tool(made)
    except Exception as exc:
        raise ValueError(f"the arguments of {name} cannot be described as JSON schema: {_first_line(exc)}") from exc
    return made


def _checked(tool: BaseTool) -> BaseTool:
    if tool.return_direct:
        raise ValueError(f"{tool.name} has return_direct=True, which would end the turn without an answer")
    if not tool.description.strip():
        raise ValueError(f"{tool.name} has no description, which tells the model when to call it")
    return tool


def _from_function(function: Callable[..., Any], name: str) -> BaseTool:
    if not (inspect.getdoc(function) or "").strip():
        raise ValueError(f"{name} has no docstring, which tells the model when to call it")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ValueError(f"{name} yields; a tool returns its result")
    for each in inspect.signature(function).parameters.values():
        if each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD, each.POSITIONAL_ONLY):
            raise ValueError(f"the parameter {each} of {name} cannot be passed by name")
        if each.annotation is each.empty:
            raise ValueError(f"the parameter {each.name} of {name} has no type")
    functions: dict[str, Any] = {"coroutine" if inspect.iscoroutinefunction(function) else "func": function}
    try:
        made: BaseTool = StructuredTool.from_function(**functions, name=name, parse_docstring=True)
    except Exception as exc:
        raise ValueError(f"{name} cannot be made a tool: {_first_line(exc)}") from exc
    return made


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
