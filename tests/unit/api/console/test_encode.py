"""The events of the console."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from types import SimpleNamespace
from typing import Any, cast

import orjson

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
from agent.statistics.statistics import Statistics
from agent.statistics.turn_counts import EndedTurn
from agent.turn import Turn
from api.console import encode
from config.errors import SwitchboardError
from router.turn_record import AttemptRecord, TurnRecord


async def test_every_event_has_its_form() -> None:
    events = await _encoded(
        TextDelta("Let me see."),
        ReasoningDelta("Six."),
        ToolStarted("c1", "multiply", {"a": 6}),
        ToolFinished("c1", "multiply", "42", ok=True),
        HandOff("c2", "transferCall", {"destination": "+1"}),
        Usage(3, 4, cost=0.5),
        TurnFinished("tool_calls"),
    )
    assert events[:5] == [
        {"type": "content", "chunk": "Let me see."},
        {"type": "reasoning", "chunk": "Six."},
        {"type": "tool_start", "id": "c1", "name": "multiply", "args": {"a": 6}},
        {"type": "tool_end", "id": "c1", "name": "multiply", "result": "42", "ok": True},
        {"type": "hand_off", "name": "transferCall", "arguments": {"destination": "+1"}},
    ]
    assert events[5] == {
        "type": "complete",
        "finish_reason": "tool_calls",
        "model": "standby",
        "deployment": "healthy",
        "first_token_ms": 250.0,
        "ms": 2000.0,
        "attempts": [],
        "usage": {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7, "total_cost": 0.5},
    }


async def test_a_continuation_comes_before_its_first_text() -> None:
    record = TurnRecord("asked", [AttemptRecord("asked", "faulty", first_token=0.1)], "standby", "healthy")

    async def events() -> AsyncGenerator[Event, None]:
        yield TextDelta("One ")
        record.attempts.append(AttemptRecord("standby", "healthy", continues=True))
        yield TextDelta("still the first, ")
        record.attempts[-1].first_token = 0.1
        yield TextDelta("two ")
        yield TextDelta("three.")

    kinds = [each["type"] for each in await _read(record, events())]
    assert kinds == ["content", "content", "continued", "content", "content"]


async def test_an_error_has_the_facts_too() -> None:
    [error] = await _encoded(TurnFailed(SwitchboardError("It failed.")))
    assert (error["type"], error["error"], error["ms"]) == ("error", "It failed.", 2000.0)


def test_the_last_turns_are_kept_with_their_attempts_and_no_more_than_a_hundred() -> None:
    statistics = Statistics(clock=lambda: 1000.0)
    attempts = [
        AttemptRecord("m", "a", outcome="provider_overloaded", began=50.0, seconds=0.5, input_tokens=3, cost=0.1),
        AttemptRecord("m", "b", outcome="ok", began=50.5, seconds=1.0, first_token=0.2, output_tokens=2, cost=0.2),
    ]
    for _ in range(120):
        statistics.turn_began()
        record = TurnRecord("m", attempts, "m", "b")
        statistics.turn_ended(EndedTurn("m", "caller", "stop", record, 1.5, 0.7, began=50.0))
    assert len(statistics.recent) == 100
    turn = encode.recent_turn(statistics.recent[-1])
    shown = [
        (each["deployment"], each["began_ms"], each["ms"], each["first_token_ms"]) for each in turn.pop("attempts")
    ]
    assert shown == [("a", 0.0, 500.0, None), ("b", 500.0, 1000.0, 200.0)]
    assert turn == {
        "id": 120, "ended": 1000.0, "model": "m", "served_model": "m", "deployment": "b", "outcome": "stop",
        "ms": 1500.0, "first_token_ms": 700.0, "input_tokens": 3, "output_tokens": 2, "cost": 0.1 + 0.2,
    }  # fmt: skip


async def _encoded(*events: Event) -> list[dict[str, Any]]:
    async def all_events() -> AsyncGenerator[Event, None]:
        for each in events:
            yield each

    return await _read(TurnRecord("asked", [], "standby", "healthy"), all_events())


async def _read(record: TurnRecord, events: AsyncGenerator[Event, None]) -> list[dict[str, Any]]:
    turn = SimpleNamespace(record=record, seconds=2.0, first_token=0.25, began=0.0)
    frames = [each async for each in encode.sse(cast(Turn, turn), events)]
    return [orjson.loads(each.removeprefix(b"data: ")) for each in frames]
