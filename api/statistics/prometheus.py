"""Counts -> Prometheus's metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from math import inf
from typing import Final, get_args

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from agent.statistics.counts import Counts, Group
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
    TIME_UNITS,
    TURN,
    TURNS,
    UNPRICED,
    Times,
)
from agent.tasks.store import Backlog
from api.statistics.encode import buckets, with_prefix
from api.statistics.process_gauges import resident_memory
from api.statistics.worker_metrics import ProcessMetrics
from router.health.breaker import State

CANCELLED: Final = f"{TURNS}cancelled"

FIRST_TOKEN_BOUNDS: Final = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0)
TURN_BOUNDS: Final = (0.1, 0.2, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0)
"""Seconds. They are bounds of `agent.statistics.histogram` too, so that no time falls between two of its buckets."""

BREAKER_STATES: Final[tuple[State, ...]] = get_args(State)

COUNTERS: Final[tuple[tuple[str, str, Group, str, float], ...]] = (
    ("switchboard_requests", "HTTP requests that ask for a turn.", "callers", REQUESTS, 1),
    ("switchboard_cancelled_turns", "Turns that their caller cancelled or hung up on.", "models", CANCELLED, 1),
    ("switchboard_hedges", "Turns in which a second attempt raced for the first token.", "models", HEDGES, 1),
    ("switchboard_spliced_answers", "Answers that broke off and were continued.", "models", SPLICED, 1),
    ("switchboard_cost_dollars", "Known costs of model calls in US dollars.", "models", COST, COST_UNITS),
    ("switchboard_unpriced_turns", "Turns whose cost is not known, or only in part.", "models", UNPRICED, 1),
)
"""Name, description, group, field, and units of the field in one of the metric."""

OUTCOMES: Final[tuple[tuple[str, str, Group, str, str], ...]] = (
    ("switchboard_turns", "Turns that have ended.", "models", "outcome", TURNS),
    ("switchboard_attempts", "Attempts at deployments: ok, cancelled or the error.", "deployments", "class", ATTEMPTS),
)
"""Name, description, group, label, and the prefix of the fields."""

HISTOGRAMS: Final[tuple[tuple[str, str, Group, Times, tuple[float, ...]], ...]] = (
    (
        "switchboard_first_token_seconds",
        "From the beginning of a turn to its first text, hand-off or review.",
        "models",
        FIRST_TOKEN,
        FIRST_TOKEN_BOUNDS,
    ),
    ("switchboard_turn_seconds", "From the beginning to the end of a turn.", "models", TURN, TURN_BOUNDS),
    (
        "switchboard_attempt_first_token_seconds",
        "From the beginning of an attempt to its first token.",
        "deployments",
        FIRST_TOKEN,
        FIRST_TOKEN_BOUNDS,
    ),
)
"""Name, description, group, fields, and the bounds that are shown."""

LABELS: Final[dict[Group, str]] = {"models": "model", "deployments": "deployment", "callers": "caller"}


def exposition(
    own: ProcessMetrics,
    read_others: Callable[[], Sequence[ProcessMetrics]],
    accept: str,
    backlog: Backlog | None = None,
) -> tuple[bytes, str]:
    """The metrics of all workers in the format that `accept` asks for, and its content type. It reads files."""
    registry = CollectorRegistry(auto_describe=False)
    own = replace(own, memory=resident_memory() or 0)
    registry.register(WorkerCollector([own, *read_others()], backlog))
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


class WorkerCollector(Collector):
    """The sum over all workers of one server, for prometheus-client. `backlog` is of all servers; None: not known."""

    def __init__(self, workers: Sequence[ProcessMetrics], backlog: Backlog | None) -> None:
        self._workers = workers
        self._backlog = backlog

    def collect(self) -> Iterator[Metric]:
        counts = Counts.sum(*(each.counts for each in self._workers))
        for name, text, group, field, units in COUNTERS:
            metric = CounterMetricFamily(name, text, labels=[LABELS[group]])
            for each, fields in counts.group(group).items():
                metric.add_metric([each], fields[field] / units)
            yield metric
        for name, text, group, label, prefix in OUTCOMES:
            metric = CounterMetricFamily(name, text, labels=[LABELS[group], label])
            for each, fields in counts.group(group).items():
                for outcome, count in with_prefix(fields, prefix).items():
                    metric.add_metric([each, outcome], count)
            yield metric
        yield _tokens(counts)
        for name, text, group, times, bounds in HISTOGRAMS:
            yield _histogram(name, text, counts, group, times, bounds)
        running = sum(each.running for each in self._workers)
        yield GaugeMetricFamily("switchboard_running_turns", "Turns that run now.", value=running)
        yield _breakers(self._workers)
        yield _ready(self._workers)
        yield GaugeMetricFamily(
            "switchboard_event_loop_lag_seconds",
            "The longest time in the last minute by which a worker's event loop was late.",
            value=max(each.lag for each in self._workers),
        )
        yield GaugeMetricFamily(
            "switchboard_memory_bytes",
            "Resident memory of all workers; on Linux only.",
            value=sum(each.memory for each in self._workers),
        )
        if self._backlog is not None:
            yield from _tasks(self._backlog)


def _tokens(counts: Counts) -> Metric:
    metric = CounterMetricFamily(
        "switchboard_tokens", "Tokens that the providers report, or estimates.", labels=["model", "direction"]
    )
    for model, fields in counts.group("models").items():
        metric.add_metric([model, "input"], fields[INPUT_TOKENS])
        metric.add_metric([model, "output"], fields[OUTPUT_TOKENS])
    return metric


def _histogram(name: str, text: str, counts: Counts, group: Group, times: Times, bounds: Sequence[float]) -> Metric:
    metric = HistogramMetricFamily(name, text, labels=[LABELS[group]])
    for each, fields in counts.group(group).items():
        counted = buckets(fields, times)
        shown = [
            (_bound_text(bound), float(sum(count for upper, count in counted.items() if upper <= bound)))
            for bound in (*bounds, inf)
        ]
        metric.add_metric([each], shown, fields[times.sum] / TIME_UNITS)
    return metric


def _bound_text(bound: float) -> str:
    return "+Inf" if bound == inf else str(bound)


def _breakers(workers: Sequence[ProcessMetrics]) -> Metric:
    metric = GaugeMetricFamily(
        "switchboard_breaker_state",
        "Worker processes in which the circuit breaker of the deployment is in this state.",
        labels=["deployment", "state"],
    )
    states = Counter(pair for each in workers for pair in each.breakers.items())
    for deployment in dict.fromkeys(deployment for deployment, _ in states):
        for state in BREAKER_STATES:
            metric.add_metric([deployment, state], states[deployment, state])
    return metric


def _ready(workers: Sequence[ProcessMetrics]) -> Metric:
    metric = GaugeMetricFamily(
        "switchboard_ready_deployments",
        "Deployments of the model that have their key and a closed circuit breaker.",
        labels=["model"],
    )
    for model in dict.fromkeys(model for each in workers for model in each.ready):
        metric.add_metric([model], max(each.ready.get(model, 0) for each in workers))
    return metric


def _tasks(backlog: Backlog) -> Iterator[Metric]:
    metric = GaugeMetricFamily(
        "switchboard_tasks", "Background tasks of all servers that wait or run.", labels=["status"]
    )
    metric.add_metric(["queued"], backlog.queued)
    metric.add_metric(["running"], backlog.running)
    yield metric
    yield GaugeMetricFamily(
        "switchboard_task_wait_seconds",
        "Time since the oldest background task that waits was submitted.",
        value=backlog.longest_wait,
    )
