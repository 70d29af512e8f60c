"""The loads: what is asked of every server, at which pace, and by how many callers at once."""

from __future__ import annotations

from bench.load import Heard, Load
from bench.quantiles import quantile

UNPACED = "fake-ok"
SPACED = "fake-ok?gap=1ms"
SHORT = "fake-ok?first=40ms&gap=5ms&tokens=4"
PACED = "fake-ok?first=200ms&gap=20ms&tokens=64"
ONE_TOKEN = "fake-ok?tokens=1"
SLOW = "fake-ok?gap=40ms&tokens=16"
MODELS = (UNPACED, SPACED, SHORT, PACED, ONE_TOKEN, SLOW)
_PACED_TURN = 0.2 + 63 * 0.02
GAP_LIMIT = 0.06
"""Seconds: the p99 of the gaps between the tokens of a stream that counts as held."""
CALLERS = (1, 2, 4, 8, 16, 32, 64)
"""The points of the curve of throughput against callers."""


def loads(seconds: float, turns: int) -> dict[str, Load]:
    """The loads of one round, by name. `seconds` for those that look for the rate, `turns` for those that time each."""
    return {
        "streamed": Load(UNPACED, callers=8, seconds=seconds),
        "spaced": Load(SPACED, callers=32, seconds=seconds),
        "whole": Load(UNPACED, callers=16, stream=False, seconds=seconds),
        "alone": Load(SHORT, callers=1, turns=turns * 25),
        "crowd": Load(PACED, callers=32, turns=turns, spread=_PACED_TURN),
    }


def paced(callers: int) -> Load:
    """Paced streams, to see whether a server holds that many."""
    return Load(PACED, callers=callers, turns=2, spread=_PACED_TURN)


def holds(heard: Heard) -> bool:
    """Whether nothing was lost and the gaps between tokens stayed small."""
    return not heard.broken and quantile([gap for turn in heard.turns for gap in turn.gaps], 0.99) < GAP_LIMIT
