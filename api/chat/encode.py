"""Encodes the events of a turn for simple clients, as SSE with typed events or as one JSON object. No I/O."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Any

import orjson

from agent.events import Event, HandOff, TextDelta, ToolFinished, ToolStarted, TurnFailed, TurnFinished, Usage
from api.http.usage import usage_fields
from config.errors import SwitchboardError


async def sse(
    events: AsyncGenerator[Event, None], start_message: str, more: Callable[[], Mapping[str, Any]] = dict
) -> AsyncGenerator[bytes, None]:
    """One `data:` line for each event: `start` at once, then `content`, `tool_start`, `tool_end` and `hand_off`.

    `complete` or `error` is the last one. `more` returns further fields of `complete`.
    """
    said: list[str] = []
    usage = Usage()
    async with aclosing(events) as stream:
        yield _line("start", message=start_message)
        async for event in stream:
            match event:
                case TextDelta(text):
                    said.append(text)
                    yield _line("content", chunk=text)
                case ToolStarted(_, name, arguments):
                    yield _line("tool_start", name=name, args=arguments)
                case ToolFinished(_, name, content, ok):
                    yield _line("tool_end", name=name, result=content, ok=ok)
                case HandOff():
                    yield _line("hand_off", **_hand_off(event))
                case Usage():
                    usage = event
                case TurnFinished():
                    yield _line("complete", full_content="".join(said), usage=usage_fields(usage), **more())
                case TurnFailed(error):
                    yield error_line(error)


def error_line(error: SwitchboardError) -> bytes:
    """The `error` event."""
    return _line("error", error=str(error), code=error.code)


async def answer(events: AsyncGenerator[Event, None]) -> dict[str, Any]:
    """The whole turn as `{"response", "usage"}`, and `"hand_offs"` if there are any.

    Raises:
        SwitchboardError: the turn failed.
    """
    said: list[str] = []
    hand_offs: list[dict[str, Any]] = []
    usage = Usage()
    async with aclosing(events) as stream:
        async for event in stream:
            match event:
                case TextDelta(text):
                    said.append(text)
                case HandOff():
                    hand_offs.append(_hand_off(event))
                case Usage():
                    usage = event
                case TurnFailed(error):
                    raise error
                case _:
                    pass
    whole = {"response": "".join(said), "usage": usage_fields(usage)}
    return whole | {"hand_offs": hand_offs} if hand_offs else whole


def _hand_off(call: HandOff) -> dict[str, Any]:
    return {"name": call.name, "arguments": call.arguments}


def _line(kind: str, **fields: Any) -> bytes:
    return b"data: " + orjson.dumps({"type": kind, **fields}) + b"\n\n"
