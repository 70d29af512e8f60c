"""Counts -> the JSON of `/stats` and `/stats/timeseries`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from agent.statistics.counts import Counts, Fields
from agent.statistics.histogram import quantile
from agent.statistics.statistics import MINUTE
from agent.statistics.store import Totals
from agent.statistics.turn_counts import (
    ATTEMPTS,
    COST,
    COST_UNITS,
    FIRST_TOKEN,
    HEDGES,
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    REQUESTS,
    SPLICED,
    TURN,
    TURNS,
    UNPRICED,
    Times,
)

QUANTILES: Final = {"p50": 0.5, "p95": 0.95, "p99": 0.99}

Json = dict[str, Any]


def totals(given: Totals) -> Json:
    return {
        "since": time_text(given.since.time),
        "reset_by": given.since.caller,
        "running": given.running,
        **summary(given.counts),
    }


def timeseries(minutes: Mapping[int, Counts]) -> Json:
    """One point for each minute, the oldest first."""
    return {
        "minutes": len(minutes),
        "points": [
            {"minute": time_text(datetime.fromtimestamp(minute * MINUTE, UTC)), **summary(counts)}
            for minute, counts in minutes.items()
        ],
    }


def summary(counts: Counts) -> Json:
    models, deployments, callers = counts.total("models"), counts.total("deployments"), counts.total("callers")
    return {
        "requests": callers[REQUESTS],
        **_turns(models),
        **_latencies(models),
        **_attempts(deployments),
        "models": {name: {**_turns(each), **_latencies(each)} for name, each in sorted(counts.group("models").items())},
        "deployments": {name: _deployment(each) for name, each in sorted(counts.group("deployments").items())},
        "callers": {
            name: {"requests": each[REQUESTS], **_turns(each)} for name, each in sorted(counts.group("callers").items())
        },
    }


def time_text(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds")


def with_prefix(fields: Fields, prefix: str) -> dict[str, int]:
    """The fields that begin with `prefix`, without it, sorted."""
    found = {name.removeprefix(prefix): count for name, count in fields.items() if name.startswith(prefix) and count}
    return dict(sorted(found.items()))


def buckets(fields: Fields, times: Times) -> dict[float, int]:
    """The counts of a histogram by upper bound in seconds."""
    return {float(bound): count for bound, count in with_prefix(fields, times.prefix).items()}


def _turns(fields: Fields) -> Json:
    outcomes = with_prefix(fields, TURNS)
    usage = _usage(fields)
    return {"turns": sum(outcomes.values()), "outcomes": outcomes, **usage, "unpriced_turns": fields[UNPRICED]}


def _usage(fields: Fields) -> Json:
    sent, answered = fields[INPUT_TOKENS], fields[OUTPUT_TOKENS]
    return {
        "input_tokens": sent,
        "output_tokens": answered,
        "total_tokens": sent + answered,
        # Nothing but unknown costs is no cost of zero.
        "total_cost": None if fields[UNPRICED] and not fields[COST] else fields[COST] / COST_UNITS,
    }


def _latencies(fields: Fields) -> Json:
    return {
        "first_token_ms": _percentiles(fields, FIRST_TOKEN),
        "turn_ms": _percentiles(fields, TURN),
        "hedges": fields[HEDGES],
        "spliced": fields[SPLICED],
    }


def _attempts(fields: Fields) -> Json:
    outcomes = with_prefix(fields, ATTEMPTS)
    failures = {code: count for code, count in outcomes.items() if code not in ("ok", "cancelled")}
    return {"attempts": sum(outcomes.values()), "failures": failures}


def _deployment(fields: Fields) -> Json:
    usage = {**_usage(fields), "unpriced_attempts": fields[UNPRICED]}
    return {**_attempts(fields), **usage, "first_token_ms": _percentiles(fields, FIRST_TOKEN)}


def _percentiles(fields: Fields, times: Times) -> dict[str, float | None]:
    counted = buckets(fields, times)
    values = {name: quantile(counted, share) for name, share in QUANTILES.items()}
    return {name: None if value is None else round(value * 1000, 1) for name, value in values.items()}
