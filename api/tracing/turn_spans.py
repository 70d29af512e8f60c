"""A turn that has ended -> its spans: one for the turn, and below it one for each attempt and each tool that ran.

They are made from the records of the turn, so a running turn costs nothing more. No content is in them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, set_span_in_context
from opentelemetry.util.types import AttributeValue
from structlog.contextvars import get_contextvars

from agent.statistics.turn_counts import EndedTurn
from agent.tools.tool_record import ToolRecord
from api.tracing import attributes as names
from router.turn_record import AttemptRecord

NANOSECONDS: Final = 1_000_000_000

FINISH_REASONS: Final = frozenset({"stop", "length", "content_filter", "tool_calls", "interrupted"})
NO_ERRORS: Final = frozenset({*FINISH_REASONS, "ok", "cancelled", "superseded"})
"""Outcomes of turns and attempts. A caller that hangs up, or speaks on, is no error."""

Attributes = dict[str, AttributeValue]


class TurnSpans:
    """Makes the spans of turns with `tracer`."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def record(self, turn: EndedTurn) -> None:
        """Make the spans of a turn that ends now, as children of the current span."""
        now = time.time_ns()
        clock = _WallClock(now - _nanoseconds(turn.began + turn.seconds))
        agent = turn.ids.agent if turn.ids else None
        span = self._tracer.start_span(
            f"invoke_agent {agent}" if agent else "invoke_agent",
            attributes=_turn_attributes(turn),
            start_time=clock.at(turn.began),
        )
        if span.is_recording():
            self._record_attempts(span, turn.record.attempts, clock)
            self._record_tools(span, turn.tools, clock)
            if turn.outcome not in NO_ERRORS:
                span.set_status(Status(StatusCode.ERROR, turn.outcome))
        span.end(now)

    def _record_attempts(self, turn: Span, attempts: Sequence[AttemptRecord], clock: _WallClock) -> None:
        context = set_span_in_context(turn)
        for number, (attempt, why) in enumerate(zip(attempts, _reasons(attempts), strict=True), 1):
            provider, model = _provider_and_model(attempt.provider_model)
            span = self._tracer.start_span(
                f"chat {model}",
                context,
                SpanKind.CLIENT,
                {**_attempt_attributes(attempt, provider, model), names.ATTEMPT: number, names.WHY: why},
                start_time=clock.at(attempt.began),
            )
            if attempt.outcome not in NO_ERRORS:
                span.set_status(Status(StatusCode.ERROR, attempt.reason or attempt.outcome))
            span.end(clock.at(attempt.began + attempt.seconds))

    def _record_tools(self, turn: Span, tools: Sequence[ToolRecord], clock: _WallClock) -> None:
        context = set_span_in_context(turn)
        for tool in tools:
            attributes = _tool_attributes(tool)
            if not tool.ran:
                turn.add_event(f"switchboard.tool.{tool.outcome}", attributes, clock.at(tool.began))
                continue
            span = self._tracer.start_span(
                f"execute_tool {tool.name}", context, attributes=attributes, start_time=clock.at(tool.began)
            )
            if tool.outcome == "error":
                span.set_status(Status(StatusCode.ERROR, "The tool failed, or refused the call."))
            span.end(clock.at(tool.began + tool.seconds))


class _WallClock:
    """Times of the router's clock, in nanoseconds since 1970. `zero` is that of 0."""

    def __init__(self, zero: int) -> None:
        self._zero = zero

    def at(self, seconds: float) -> int:
        return self._zero + _nanoseconds(seconds)


def _nanoseconds(seconds: float) -> int:
    return round(seconds * NANOSECONDS)


def _turn_attributes(turn: EndedTurn) -> Attributes:
    record, ids = turn.record, turn.ids
    served = next((each for each in reversed(record.attempts) if each.first_token is not None), None)
    answered_as = (served.answered_as or _provider_and_model(served.provider_model)[1]) if served else None
    return _known(
        {
            names.OPERATION: "invoke_agent",
            names.PROVIDER: "switchboard",
            names.AGENT: ids.agent if ids else None,
            names.CONVERSATION: ids.session_id if ids else None,
            names.REQUEST_MODEL: turn.model,
            names.RESPONSE_MODEL: answered_as,
            names.FINISH_REASONS: [turn.outcome] if turn.outcome in FINISH_REASONS else None,
            names.FIRST_TOKEN: turn.first_token,
            names.INPUT_TOKENS: sum(each.input_tokens for each in record.attempts),
            names.OUTPUT_TOKENS: sum(each.output_tokens for each in record.attempts),
            names.ERROR: None if turn.outcome in NO_ERRORS else turn.outcome,
            names.REQUEST_ID: get_contextvars().get("request_id"),
            names.TURN_ID: ids.turn_id if ids else None,
            names.CALLER: turn.caller,
            names.OUTCOME: turn.outcome,
            names.MODEL: record.served_model,
            names.DEPLOYMENT: record.served_deployment,
            names.COST: record.cost,
            names.ATTEMPTS: len(record.attempts),
            names.HEDGED: record.hedged,
            names.CONTINUED: record.spliced,
        }
    )


def _attempt_attributes(attempt: AttemptRecord, provider: str, model: str) -> Attributes:
    host, port = _host_and_port(attempt.server)
    return _known(
        {
            names.OPERATION: "chat",
            names.PROVIDER: provider,
            names.REQUEST_MODEL: model,
            names.RESPONSE_MODEL: attempt.answered_as,
            names.FINISH_REASONS: [attempt.finish_reason] if attempt.finish_reason else None,
            names.FIRST_TOKEN: attempt.first_token,
            names.INPUT_TOKENS: attempt.input_tokens,
            names.OUTPUT_TOKENS: attempt.output_tokens,
            names.ERROR: None if attempt.outcome in NO_ERRORS else attempt.outcome,
            names.STATUS: attempt.status,
            names.SERVER_ADDRESS: host,
            names.SERVER_PORT: port,
            names.OUTCOME: attempt.outcome,
            names.MODEL: attempt.model,
            names.DEPLOYMENT: attempt.deployment,
            names.STEP: attempt.step,
            names.COST: attempt.cost,
        }
    )


def _tool_attributes(tool: ToolRecord) -> Attributes:
    return _known(
        {
            names.OPERATION: "execute_tool",
            names.TOOL_NAME: tool.name,
            names.TOOL_CALL: tool.call_id,
            # A "function" is carried out by the caller, an "extension" by the agent.
            names.TOOL_TYPE: "function" if tool.hands_off else "extension",
            names.ERROR: "tool_error" if tool.outcome == "error" else None,
            names.OUTCOME: tool.outcome,
        }
    )


def _known(attributes: Mapping[str, AttributeValue | None]) -> Attributes:
    return {name: value for name, value in attributes.items() if value is not None}


def _reasons(attempts: Sequence[AttemptRecord]) -> Iterator[str]:
    """Why each attempt was made."""
    before: AttemptRecord | None = None
    for attempt in attempts:
        if attempt.hedge:
            yield "hedge"
        elif attempt.continues:
            yield "continue"
        elif before is None or before.step != attempt.step:
            yield "first"
        elif before.deployment == attempt.deployment:
            yield "retry"
        else:
            yield "next_deployment" if before.model == attempt.model else "fallback"
        before = attempt


def _provider_and_model(name: str) -> tuple[str, str]:
    """The two parts of LiteLLM's name of a model."""
    provider, slash, model = name.partition("/")
    return (names.PROVIDERS.get(provider, provider), model) if slash else ("_OTHER", name)


def _host_and_port(server: str | None) -> tuple[str | None, int | None]:
    host, _, port = (server or "").rpartition(":")
    return (host, int(port)) if host and port.isdecimal() else (server, None)
