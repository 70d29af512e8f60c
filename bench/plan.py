"""How much is measured."""

from __future__ import annotations

from dataclasses import dataclass

from bench.loads import CALLERS
from bench.paced import MOST


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured: `seconds` for each rate, `turns` a caller for each time, and that `rounds` times.

    `starts` is how often each server is started before the run that measures it. `held` is the greatest number of paced
    streams that is tried; 0 leaves that search out. `memory_turns` are for the memory, which is weighed after each
    `weighed`, and ends after `memory_seconds` on a server that does not get so far. `callers` are the points of the
    curve of throughput.
    """

    rounds: int
    seconds: float
    turns: int = 2
    starts: int = 2
    held: int = MOST
    memory_turns: int = 10_000
    weighed: int = 200
    memory_seconds: float = 100.0
    callers: tuple[int, ...] = CALLERS
    curves: int = 2


QUICK = Plan(
    rounds=1, seconds=0.5, turns=1, starts=0, held=0, memory_turns=64, weighed=16, callers=(1, 8), curves=1
)  # fmt: skip
