"""How much the benchmark measures."""

from __future__ import annotations

from dataclasses import dataclass

from bench.capacity import MAX_STREAMS
from bench.loads import THROUGHPUT_CALLERS


@dataclass(frozen=True, slots=True)
class Plan:
    """Durations and repetitions of a run.

    rounds: how often every load runs on every server.
    seconds: duration of a throughput load.
    turns: turns of each caller in a latency load.
    startups: how often the startup time of each server is measured before the run.
    max_streams: greatest number of paced streams to attempt; 0 skips the capacity search.
    memory_turns: turns of the memory measurement, which takes a sample after every `memory_interval` turns and ends
        early after `memory_seconds`.
    throughput_callers: numbers of callers on the throughput curve, which is measured `throughput_rounds` times.
    """

    rounds: int
    seconds: float
    turns: int = 2
    startups: int = 2
    max_streams: int = MAX_STREAMS
    memory_turns: int = 10_000
    memory_interval: int = 200
    memory_seconds: float = 100.0
    throughput_callers: tuple[int, ...] = THROUGHPUT_CALLERS
    throughput_rounds: int = 2


QUICK = Plan(
    rounds=1,
    seconds=0.5,
    turns=1,
    startups=0,
    max_streams=0,
    memory_turns=64,
    memory_interval=16,
    throughput_callers=(1, 8),
    throughput_rounds=1,
)
