"""Quantiles that are samples: nothing is interpolated."""

from __future__ import annotations

import math
from collections.abc import Iterable


def quantile(samples: Iterable[float], share: float) -> float:
    """The smallest sample that at least `share` of the samples do not exceed; infinite when there are none."""
    ordered = sorted(samples)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.inf
