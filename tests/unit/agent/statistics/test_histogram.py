"""Quantiles of times that were only counted in buckets."""

from __future__ import annotations

from collections import Counter
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.statistics.histogram import BOUNDS, BUCKETS, bucket_of, quantile

TIMES = st.lists(st.floats(min_value=0.001, max_value=1000, exclude_min=True), min_size=1, max_size=200)


def counted(*times: float) -> Counter[float]:
    return Counter(BUCKETS[bucket_of(each)] for each in times)


@given(TIMES, st.sampled_from([0.01, 0.5, 0.95, 0.99, 1.0]))
def test_a_quantile_is_at_most_five_per_cent_off(times: list[float], share: float) -> None:
    exact = sorted(times)[ceil(share * len(times)) - 1]
    assert quantile(counted(*times), share) == pytest.approx(exact, rel=0.0501)


@given(TIMES, TIMES)
def test_histograms_of_two_servers_add_up(here: list[float], there: list[float]) -> None:
    assert counted(*here) + counted(*there) == counted(*here, *there)


def test_the_bounds_ascend_from_a_millisecond_to_a_thousand_seconds() -> None:
    assert list(BOUNDS) == sorted(set(BOUNDS))
    assert (BOUNDS[0], BOUNDS[-1]) == (0.001, 1000)


def test_a_time_on_a_bound_counts_below_it() -> None:
    assert counted(0.3) == {0.3: 1}


def test_times_beyond_the_bounds_count_as_the_nearest() -> None:
    assert quantile(counted(0.0), 0.5) == 0.0005
    assert quantile(counted(5000.0), 0.5) == 1000


def test_nothing_counted_has_no_quantile() -> None:
    assert quantile({}, 0.5) is None
