"""The loads of the benchmark: model behaviour, number of callers, duration."""

from __future__ import annotations

from bench.load import Load, LoadResult
from bench.quantiles import quantile

UNPACED = "fake-ok"
SPACED = "fake-ok?gap=1ms"
SHORT = "fake-ok?first=40ms&gap=5ms&tokens=4"
PACED = "fake-ok?first=200ms&gap=20ms&tokens=64"
ONE_TOKEN = "fake-ok?tokens=1"
SLOW = "fake-ok?gap=40ms&tokens=16"
MODELS = (UNPACED, SPACED, SHORT, PACED, ONE_TOKEN, SLOW)
_PACED_TURN_SECONDS = 0.2 + 63 * 0.02
MAX_GAP = 0.06
"""Seconds; a stream is sustained while the p99 of the gaps between its tokens is lower."""
THROUGHPUT_CALLERS = (1, 2, 4, 8, 16, 32, 64)
"""Numbers of callers on the throughput curve."""


def round_loads(seconds: float, turns: int) -> dict[str, Load]:
    """Return the loads of one round by name. Throughput loads run for `seconds`, latency loads for `turns`."""
    return {
        "streamed": Load(UNPACED, callers=8, seconds=seconds),
        "spaced": Load(SPACED, callers=32, seconds=seconds),
        "whole": Load(UNPACED, callers=16, stream=False, seconds=seconds),
        "alone": Load(SHORT, callers=1, turns=turns * 25),
        "crowd": Load(PACED, callers=32, turns=turns, ramp_up=_PACED_TURN_SECONDS),
    }


def paced_load(callers: int) -> Load:
    """Return the load of the capacity search."""
    return Load(PACED, callers=callers, turns=2, ramp_up=_PACED_TURN_SECONDS)


def is_sustained(result: LoadResult) -> bool:
    """Whether every answer was whole and the p99 gap between tokens was below `MAX_GAP`."""
    return not result.broken and quantile(result.gaps, 0.99) < MAX_GAP
