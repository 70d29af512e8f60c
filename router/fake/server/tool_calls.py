"""Behaviours of the fake provider that call a tool."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import orjson

from router.fake.sample_json import sample_arguments
from router.fake.sample_text import pieces_of
from router.fake.server import wire
from router.fake.server.completion_request import CompletionRequest


async def call_tool(request: CompletionRequest) -> None:
    """Calls a tool, or quotes its result. Answers with text when no tool is offered."""
    if request.last.get("role") == "tool":
        await request.answer(tuple(pieces_of(f"The tool answered: {request.last.get('content')}")))
        return
    function = _function(request)
    if function is None:
        await request.answer(request.pieces())
    elif not request.record.stream:
        request.respond(200, await _completion(request, function))
    else:
        await _begin_call(request, function["name"], function["arguments"])
        request.finish_stream("tool_calls", 1)


async def cut_tool_call(request: CompletionRequest) -> None:
    """Closes the connection inside a tool call's arguments. Answers with text when no tool is offered."""
    function = _function(request)
    if function is None:
        await request.answer(request.pieces())
        return
    if request.record.stream:
        arguments = function["arguments"]
        await _begin_call(request, function["name"], arguments[: len(arguments) // 2])
        request.flush()
    else:
        request.respond_partially(await _completion(request, function))
    request.connection.close()


async def _completion(request: CompletionRequest, function: dict[str, str]) -> bytes:
    call = {"id": _call_id(), "type": "function", "function": function}
    return await request.completion({"content": None, "tool_calls": [call]}, "tool_calls", 1)


async def _begin_call(request: CompletionRequest, name: str, arguments: str) -> None:
    """Sends a tool call in fragments. Only the first has the id and the name."""
    request.begin_stream()
    if request.timing.first:
        request.flush()
        await asyncio.sleep(request.timing.first)
    head = {"index": 0, "id": _call_id(), "type": "function", "function": {"name": name, "arguments": ""}}
    request.send(wire.role(request.model) + wire.delta(request.model, {"tool_calls": [head]}))
    for start in range(0, len(arguments), 8):
        fragment = {"index": 0, "function": {"arguments": arguments[start : start + 8]}}
        request.send(wire.delta(request.model, {"tool_calls": [fragment]}))


def _function(request: CompletionRequest) -> dict[str, str] | None:
    """The tool to call, with its arguments: the one that `tool_choice` names, else the first."""
    choice = request.body.get("tool_choice")
    wanted = choice.get("function", {}).get("name") if isinstance(choice, dict) else None
    tools: list[dict[str, Any]] = [tool for tool in request.body.get("tools") or () if _named(tool)]
    tool = next((each for each in tools if wanted in (None, each["function"]["name"])), None)
    if tool is None or choice == "none":
        return None
    return {"name": tool["function"]["name"], "arguments": orjson.dumps(sample_arguments(tool)).decode()}


def _named(tool: Any) -> bool:
    return isinstance(tool, dict) and isinstance(tool.get("function"), dict) and bool(tool["function"].get("name"))


def _call_id() -> str:
    return f"call_{uuid4().hex[:24]}"
