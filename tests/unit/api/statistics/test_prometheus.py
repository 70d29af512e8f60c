"""The metrics as Prometheus reads them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from prometheus_client.parser import text_string_to_metric_families

from agent.statistics.histogram import BOUNDS
from agent.statistics.statistics import Statistics
from agent.tasks.store import Backlog
from api.statistics.prometheus import FIRST_TOKEN_BOUNDS, TURN_BOUNDS, exposition
from api.statistics.worker_metrics import ProcessMetrics
from tests.support.counted_turns import answered, ended, failed

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples(own: ProcessMetrics, *others: ProcessMetrics) -> Samples:
    body, content_type = exposition(own, lambda: others, "")
    assert content_type.startswith("text/plain")
    families = list(text_string_to_metric_families(body.decode()))
    assert len({each.name for each in families}) == len(families)
    return {(each.name, frozenset(each.labels.items())): each.value for family in families for each in family.samples}


def value(found: Samples, name: str, **labels: str) -> float:
    return found[f"switchboard_{name}", frozenset(labels.items())]


def metrics(turns: Sequence[float] = (), **state: object) -> ProcessMetrics:
    """Of a process whose turns had these times to their first tokens."""
    statistics = Statistics()
    for first_token in turns:
        statistics.count_request("ann")
        statistics.turn_ended(ended(failed(), answered(), first_token=first_token))
    return ProcessMetrics(statistics.since_start, **state)  # type: ignore[arg-type]


def test_the_workers_add_up() -> None:
    found = samples(metrics([0.25], running=1), metrics([0.5, 0.9], running=2))
    assert value(found, "requests_total", caller="ann") == 3
    assert value(found, "turns_total", model="assistant", outcome="stop") == 3
    assert value(found, "attempts_total", deployment="a", **{"class": "rate_limited"}) == 3
    assert value(found, "attempts_total", deployment="a", **{"class": "ok"}) == 3
    assert value(found, "tokens_total", model="assistant", direction="input") == 120
    assert value(found, "cost_dollars_total", model="assistant") == 0.75
    assert value(found, "running_turns") == 3


def test_a_histogram_accumulates() -> None:
    found = samples(metrics([0.25, 0.5, 0.9, 100.0]))
    buckets = {
        le: value(found, "first_token_seconds_bucket", model="assistant", le=le)
        for le in ("0.2", "0.3", "0.5", "1.0", "20.0", "+Inf")
    }
    assert buckets == {"0.2": 0, "0.3": 1, "0.5": 2, "1.0": 3, "20.0": 3, "+Inf": 4}
    assert value(found, "first_token_seconds_count", model="assistant") == 4
    assert value(found, "first_token_seconds_sum", model="assistant") == 101.65
    assert value(found, "turn_seconds_bucket", model="assistant", le="2.0") == 4


def test_the_shown_bounds_are_bounds_of_what_is_counted() -> None:
    assert {*FIRST_TOKEN_BOUNDS, *TURN_BOUNDS} <= set(BOUNDS)


def test_the_state_of_a_breaker_is_the_number_of_workers_that_have_it() -> None:
    found = samples(metrics(breakers={"a": "open"}), metrics(breakers={"a": "open"}), metrics(breakers={"a": "closed"}))
    states = {
        each: value(found, "breaker_state", deployment="a", state=each) for each in ("open", "closed", "half-open")
    }
    assert states == {"open": 2, "closed": 1, "half-open": 0}


def test_gauges_of_workers_are_the_sum_or_the_worst() -> None:
    found = samples(metrics(ready={"a": 2, "b": 0}, lag=0.1), metrics(ready={"a": 1}, lag=0.3, memory=1000))
    assert (value(found, "ready_deployments", model="a"), value(found, "ready_deployments", model="b")) == (2, 0)
    assert value(found, "event_loop_lag_seconds") == 0.3
    assert value(found, "memory_bytes") > 1000  # with that of this process


def test_tasks_are_left_out_where_they_are_not_known() -> None:
    known, _ = exposition(metrics(), tuple, "", Backlog(3, 2, 7.5))
    unknown, _ = exposition(metrics(), tuple, "", None)
    assert b'switchboard_tasks{status="queued"} 3.0' in known and b"switchboard_task_wait_seconds 7.5" in known
    assert b"switchboard_task" not in unknown


def test_names_follow_the_conventions() -> None:
    """https://prometheus.io/docs/practices/naming/"""
    body, _ = exposition(metrics([0.5], breakers={"a": "open"}), tuple, "")
    for family in text_string_to_metric_families(body.decode()):
        assert re.fullmatch(r"switchboard_[a-z_]+", family.name)
        assert family.documentation.endswith(".")
        if family.type == "counter":
            assert all(each.name.endswith("_total") for each in family.samples)
        if family.type == "histogram":
            assert family.name.endswith("_seconds")


def test_openmetrics_is_sent_to_whoever_asks_for_it() -> None:
    body, content_type = exposition(metrics([0.5]), tuple, "application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")


def test_names_with_quotes_and_line_breaks_are_escaped() -> None:
    statistics = Statistics()
    statistics.turn_ended(ended(model='a "b"\n\\c'))
    found = samples(ProcessMetrics(statistics.since_start))
    assert value(found, "turns_total", model='a "b"\n\\c', outcome="stop") == 1
