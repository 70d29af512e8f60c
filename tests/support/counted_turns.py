"""Turns that have ended, for tests of the statistics."""

from __future__ import annotations

from agent.statistics.turn_counts import EndedTurn
from router.turn_record import AttemptRecord, TurnRecord


def ended(
    *attempts: AttemptRecord,
    model: str = "assistant",
    caller: str = "ann",
    outcome: str = "stop",
    seconds: float = 2.0,
    first_token: float | None = 0.5,
) -> EndedTurn:
    """A turn with `attempts`; without any, one that went well."""
    record = TurnRecord(model, list(attempts or [answered()]))
    return EndedTurn(model, caller, outcome, record, seconds, first_token, began=0.0)


def answered(deployment: str = "a", cost: float | None = 0.25, first_token: float = 0.5) -> AttemptRecord:
    return AttemptRecord(
        "assistant", deployment, outcome="ok", first_token=first_token, cost=cost, input_tokens=40, output_tokens=10
    )


def failed(code: str = "rate_limited", deployment: str = "a") -> AttemptRecord:
    return AttemptRecord("assistant", deployment, outcome=code, cost=0.0)
