"""Events of a turn -> the SSE of the console: those of `/chat/stream`, and how the answer came about. No I/O."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

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
from agent.statistics.statistics import RecentTurn
from agent.turn import Turn
from api.http.usage import usage_fields
from config.errors import SwitchboardError
from config.models.deployments import Deployment
from router.health.rate_limits import DeploymentUsage
from router.turn_record import AttemptRecord, TurnRecord


async def sse(turn: Turn, events: AsyncGenerator[Event, None]) -> AsyncGenerator[bytes, None]:
    """`content`, `reasoning`, `tool_start`, `tool_end`, `hand_off`, and `continued` where another deployment went on.

    `complete` or `error` is the last one. Both have the facts: who served, how fast, at what cost, in which attempts.
    """
    record = turn.record
    usage, continued = Usage(), 0
    async with aclosing(events) as stream:
        async for event in stream:
            match event:
                case TextDelta(text):
                    if (now := _continuations(record)) > continued:
                        continued = now
                        yield _line("continued", deployment=record.served_deployment)
                    yield _line("content", chunk=text)
                case ReasoningDelta(text):
                    yield _line("reasoning", chunk=text)
                case ToolStarted(call_id, name, arguments):
                    yield _line("tool_start", id=call_id, name=name, args=arguments)
                case ToolFinished(call_id, name, content, ok):
                    yield _line("tool_end", id=call_id, name=name, result=content, ok=ok)
                case HandOff(_, name, arguments):
                    yield _line("hand_off", name=name, arguments=arguments)
                case Usage():
                    usage = event
                case TurnFinished(reason):
                    yield _line("complete", finish_reason=reason, **_facts(turn, usage))
                case TurnFailed(error):
                    yield error_line(error, **_facts(turn, usage))


def error_line(error: SwitchboardError, **facts: Any) -> bytes:
    return _line("error", error=str(error), code=error.code, **facts)


def recent_turn(recent: RecentTurn) -> dict[str, Any]:
    """A turn that has ended. `ended` is in seconds since 1970, other times are in milliseconds."""
    turn = recent.turn
    attempts = turn.record.attempts
    return {
        "id": recent.number,
        "ended": recent.ended,
        "model": turn.model,
        "served_model": turn.record.served_model,
        "deployment": turn.record.served_deployment,
        "outcome": turn.outcome,
        "ms": _ms(turn.seconds),
        "first_token_ms": _ms(turn.first_token),
        "input_tokens": sum(each.input_tokens for each in attempts),
        "output_tokens": sum(each.output_tokens for each in attempts),
        "cost": turn.record.cost,
        "attempts": [attempt(each, turn.began) for each in attempts],
    }


def attempt(record: AttemptRecord, began: float) -> dict[str, Any]:
    """One attempt of a turn that `began` at that time; times are in milliseconds."""
    return {
        "deployment": record.deployment,
        "model": record.model,
        "outcome": record.outcome,
        "began_ms": _ms(record.began - began),
        "ms": _ms(record.seconds),
        "first_token_ms": _ms(record.first_token),
        "hedge": record.hedge,
        "continues": record.continues,
    }


def limit(deployment: Deployment, used: DeploymentUsage) -> dict[str, Any]:
    return {"rpm": deployment.rpm, "tpm": deployment.tpm, "requests": used.requests, "tokens": used.tokens}


def _facts(turn: Turn, usage: Usage) -> dict[str, Any]:
    record = turn.record
    return {
        "model": record.model,
        "deployment": record.served_deployment,
        "first_token_ms": _ms(turn.first_token),
        "ms": _ms(turn.seconds),
        "attempts": [attempt(each, turn.began) for each in record.attempts],
        "usage": usage_fields(usage),
    }


def _continuations(record: TurnRecord) -> int:
    return sum(each.continues and each.first_token is not None for each in record.attempts)


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)


def _line(kind: str, **fields: Any) -> bytes:
    return b"data: " + orjson.dumps({"type": kind, **fields}) + b"\n\n"
