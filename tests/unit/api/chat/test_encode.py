from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import orjson
import pytest

from agent.events import (
    Event,
    HandOff,
    ReasoningDelta,
    TextDelta,
    ToolFinished,
    ToolStarted,
    TurnFailed,
    TurnFinished,
    Usage,
)
from api.chat import encode
from config.errors import AnswerInterrupted

TOOL = ToolStarted("c1", "multiply", {"a": 6}), ToolFinished("c1", "multiply", "42", True)
TRANSFER = HandOff("c2", "transferCall", {"destination": "+1234567890"})
FAILED = TurnFailed(AnswerInterrupted("The answer broke off."))
USAGE = Usage(45, 120, cost=0.00033)
COUNTED = {"input_tokens": 45, "output_tokens": 120, "total_tokens": 165, "total_cost": 0.00033}


async def events(*given: Event) -> AsyncGenerator[Event, None]:
    for each in given:
        yield each


async def sent(*given: Event) -> list[dict[str, Any]]:
    lines = [line async for line in encode.sse(events(*given), "开始")]
    assert all(line.startswith(b"data: ") and line.endswith(b"\n\n") and line.count(b"\n") == 2 for line in lines)
    return [orjson.loads(line[6:]) for line in lines]


async def test_the_words_come_between_start_and_complete() -> None:
    assert await sent(TextDelta("春"), ReasoningDelta("Hm."), TextDelta("天\n"), USAGE, TurnFinished("stop")) == [
        {"type": "start", "message": "开始"},
        {"type": "content", "chunk": "春"},
        {"type": "content", "chunk": "天\n"},
        {"type": "complete", "full_content": "春天\n", "usage": COUNTED},
    ]


async def test_tools_and_hand_offs_have_events_of_their_own() -> None:
    assert await sent(*TOOL, TextDelta("Bye."), TRANSFER, USAGE, TurnFinished("tool_calls")) == [
        {"type": "start", "message": "开始"},
        {"type": "tool_start", "name": "multiply", "args": {"a": 6}},
        {"type": "tool_end", "name": "multiply", "result": "42", "ok": True},
        {"type": "content", "chunk": "Bye."},
        {"type": "hand_off", "name": "transferCall", "arguments": {"destination": "+1234567890"}},
        {"type": "complete", "full_content": "Bye.", "usage": COUNTED},
    ]


async def test_nothing_follows_an_error() -> None:
    assert (await sent(TextDelta("Hel"), FAILED))[1:] == [
        {"type": "content", "chunk": "Hel"},
        {"type": "error", "error": "The answer broke off.", "code": "answer_interrupted"},
    ]


async def test_the_start_does_not_wait_for_the_turn() -> None:
    begun = []

    async def turn() -> AsyncGenerator[Event, None]:
        begun.append(True)
        yield TurnFinished("stop")

    stream = encode.sse(turn(), "Go")
    assert b'"start"' in await anext(stream)
    assert begun == []
    await stream.aclose()


async def test_an_answer_without_streaming_is_the_fold() -> None:
    asked = TextDelta("Hel"), *TOOL, TextDelta("lo."), USAGE, TurnFinished("stop")
    assert await encode.answer(events(*asked)) == {"response": "Hello.", "usage": COUNTED}
    called = await encode.answer(events(TRANSFER, Usage(1, 2), TurnFinished("tool_calls")))
    assert called["hand_offs"] == [{"name": "transferCall", "arguments": {"destination": "+1234567890"}}]
    assert called["usage"]["total_cost"] is None
    with pytest.raises(AnswerInterrupted):
        await encode.answer(events(TextDelta("Hel"), FAILED))
