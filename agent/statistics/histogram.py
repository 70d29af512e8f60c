"""Histograms of times that can be added up: fixed buckets, each named by its upper bound in seconds.

From 1 ms to 1000 s a bucket is at most a tenth of its lower bound wide. A quantile is the middle of its bucket, so it
is at most 5 % off.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Final


def _bounds() -> Iterable[float]:
    yield 0.001
    for power in range(-3, 3):
        for tenths in chain(range(11, 21), range(22, 51, 2), range(55, 101, 5)):
            yield round(tenths / 10 * 10.0**power, 6)


BOUNDS: Final = tuple(_bounds())
"""Upper bounds in seconds, ascending. Longer times count in one more bucket, without a bound."""

BUCKETS: Final = (*BOUNDS, float("inf"))


def bucket_of(seconds: float) -> int:
    """The index in `BUCKETS` of the bucket that `seconds` falls into."""
    return bisect_left(BOUNDS, seconds)


def quantile(buckets: Mapping[float, int], share: float) -> float | None:
    """The time in seconds that `share` of all counted times do not exceed; None when nothing was counted.

    `buckets` are counts by upper bound. A time without a bound counts as the longest bound.
    """
    left = share * sum(buckets.values())
    for bound in sorted(buckets):
        left -= buckets[bound]
        if left <= 0 and buckets[bound]:
            return _middle(bound)
    return None


def _middle(bound: float) -> float:
    index = bisect_left(BOUNDS, bound)
    if index == len(BOUNDS):
        return BOUNDS[-1]
    return (bound + (BOUNDS[index - 1] if index else 0.0)) / 2
