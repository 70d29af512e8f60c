"""The fake provider's answers that call a tool."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import orjson

from router.fake.sample_json import sample_arguments
from router.fake.sample_text import pieces_of
from router.fake.server import wire
from router.fake.server.ask import Ask


async def call_tool(ask: Ask) -> None:
    """Calls a tool; quotes its result when there is one, and just speaks when no tool is offered."""
    if ask.last.get("role") == "tool":
        await ask.answer(tuple(pieces_of(f"The tool answered: {ask.last.get('content')}")))
        return
    function = _function(ask)
    if function is None:
        await ask.answer(ask.pieces())
    elif not ask.record.stream:
        ask.respond(200, await _completion(ask, function))
    else:
        await _begin_call(ask, function["name"], function["arguments"])
        ask.finish("tool_calls", 1)


async def cut_tool_call(ask: Ask) -> None:
    """Hangs up in the middle of a tool call's arguments; just speaks when no tool is offered."""
    function = _function(ask)
    if function is None:
        await ask.answer(ask.pieces())
        return
    if ask.record.stream:
        arguments = function["arguments"]
        await _begin_call(ask, function["name"], arguments[: len(arguments) // 2])
        ask.flush()
    else:
        ask.respond_in_part(await _completion(ask, function))
    ask.line.close()


async def _completion(ask: Ask, function: dict[str, str]) -> bytes:
    call = {"id": _call_id(), "type": "function", "function": function}
    return await ask.completion({"content": None, "tool_calls": [call]}, "tool_calls", 1)


async def _begin_call(ask: Ask, name: str, arguments: str) -> None:
    """A tool call in fragments, as providers send it: only the first has the id and the name."""
    ask.begin()
    if ask.timing.first:
        ask.flush()
        await asyncio.sleep(ask.timing.first)
    head = {"index": 0, "id": _call_id(), "type": "function", "function": {"name": name, "arguments": ""}}
    ask.send(wire.role(ask.model) + wire.delta(ask.model, {"tool_calls": [head]}))
    for start in range(0, len(arguments), 8):
        fragment = {"index": 0, "function": {"arguments": arguments[start : start + 8]}}
        ask.send(wire.delta(ask.model, {"tool_calls": [fragment]}))


def _function(ask: Ask) -> dict[str, str] | None:
    """The tool to call and its arguments: the one that the request insists on, else the first."""
    choice = ask.body.get("tool_choice")
    wanted = choice.get("function", {}).get("name") if isinstance(choice, dict) else None
    tools: list[dict[str, Any]] = [tool for tool in ask.body.get("tools") or () if _named(tool)]
    tool = next((each for each in tools if wanted in (None, each["function"]["name"])), None)
    if tool is None or choice == "none":
        return None
    return {"name": tool["function"]["name"], "arguments": orjson.dumps(sample_arguments(tool)).decode()}


def _named(tool: Any) -> bool:
    return isinstance(tool, dict) and isinstance(tool.get("function"), dict) and bool(tool["function"].get("name"))


def _call_id() -> str:
    return f"call_{uuid4().hex[:24]}"
