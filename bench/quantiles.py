"""Quantiles without interpolation."""

from __future__ import annotations

import math
from collections.abc import Iterable


def quantile(samples: Iterable[float], share: float) -> float:
    """Return the smallest sample that is not less than `share` of the samples; infinity if there are none."""
    ordered = sorted(samples)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.inf
