"""What is counted of a turn, and under which fields.

| group | fields |
|---|---|
| models, callers | `turns.OUTCOME`, tokens, cost |
| models | `first_token.BOUND`, `turn.BOUND` and their sums, `hedges`, `spliced` |
| deployments | `attempts.OUTCOME`, tokens, cost, `first_token.BOUND` and its sum |
| callers | `requests` |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from agent.statistics.counts import Fields
from agent.statistics.histogram import BUCKETS, bucket_of
from agent.tools.tool_record import ToolRecord
from agent.turn_ids import TurnIds
from router.turn_record import AttemptRecord, TurnRecord

REQUESTS: Final = "requests"
INPUT_TOKENS: Final = "input_tokens"
OUTPUT_TOKENS: Final = "output_tokens"
COST: Final = "cost"
UNPRICED: Final = "unpriced"
HEDGES: Final = "hedges"
SPLICED: Final = "spliced"
TURNS: Final = "turns."
ATTEMPTS: Final = "attempts."

COST_UNITS: Final = 1_000_000_000
"""Units of `cost` in a dollar."""

TIME_UNITS: Final = 1_000_000
"""Units of a sum of times in a second."""


@dataclass(frozen=True, slots=True)
class Times:
    """The fields of a histogram of times: one for each bucket, and one for the sum."""

    prefix: str
    sum: str
    buckets: tuple[str, ...]

    @classmethod
    def named(cls, name: str) -> Times:
        return cls(f"{name}.", f"{name}_us", tuple(f"{name}.{bound:g}" for bound in BUCKETS))

    def count(self, fields: Fields, seconds: float) -> None:
        fields[self.buckets[bucket_of(seconds)]] += 1
        fields[self.sum] += round(seconds * TIME_UNITS)


FIRST_TOKEN: Final = Times.named("first_token")
TURN: Final = Times.named("turn")


@dataclass(frozen=True, slots=True)
class EndedTurn:
    """A turn that has ended. `outcome` is its finish reason, "cancelled" or an error code; times are in seconds.

    `first_token` is the time from the beginning of the turn to the first text, hand-off or review; None when there was
    none. It `began` at that time of the router's clock. A turn of the agent's own work has no `ids`.
    """

    model: str
    caller: str
    outcome: str
    record: TurnRecord
    seconds: float
    first_token: float | None
    began: float
    ids: TurnIds | None = None
    tools: Sequence[ToolRecord] = ()


def count_turn(turn: EndedTurn, model: Fields, caller: Fields) -> None:
    """Count everything of a turn but its attempts."""
    attempts = turn.record.attempts
    sent = sum([each.input_tokens for each in attempts])
    answered = sum([each.output_tokens for each in attempts])
    known = [each.cost for each in attempts if each.cost is not None]
    cost, unpriced = sum(known), len(known) < len(attempts)
    outcome = TURNS + turn.outcome
    for fields in (model, caller):
        fields[outcome] += 1
        _count_usage(fields, sent, answered, cost, unpriced=unpriced)
    TURN.count(model, turn.seconds)
    if turn.first_token is not None:
        FIRST_TOKEN.count(model, turn.first_token)
    if len(attempts) > 1:
        model[HEDGES] += turn.record.hedged
        model[SPLICED] += turn.record.spliced


def count_attempt(attempt: AttemptRecord, deployment: Fields) -> None:
    """Count one attempt at `deployment`."""
    deployment[ATTEMPTS + attempt.outcome] += 1
    sent, answered = attempt.input_tokens, attempt.output_tokens
    _count_usage(deployment, sent, answered, attempt.cost or 0.0, unpriced=attempt.cost is None)
    if attempt.first_token is not None:
        FIRST_TOKEN.count(deployment, attempt.first_token)


def _count_usage(fields: Fields, sent: int, answered: int, cost: float, *, unpriced: bool) -> None:
    fields[INPUT_TOKENS] += sent
    fields[OUTPUT_TOKENS] += answered
    fields[COST] += round(cost * COST_UNITS)
    if unpriced:
        fields[UNPRICED] += 1
