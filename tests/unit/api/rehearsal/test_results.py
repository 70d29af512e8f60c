"""Latencies over all calls."""

from __future__ import annotations

from api.rehearsal.results import Latency, latency


def test_percentiles_are_values_that_were_measured() -> None:
    assert latency([None, *range(100, 0, -1)]) == Latency(100, 50, 99, 100)
    assert latency([3.0]) == Latency(1, 3, 3, 3)
    assert latency([2.0, 1.0]) == Latency(2, 1, 2, 2)


def test_nothing_was_measured() -> None:
    assert latency([None]) == Latency(0, None, None, None)
