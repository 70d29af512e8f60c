"""Samples what the servers hold and how busy the machine is, at equal intervals."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import linear_regression
from time import perf_counter

from bench.memory import memory_growth
from bench.soak.ledger import Ledger
from bench.soak.resources import ProcessResources, database_connections, read_process, redis_connections, worker_pids
from bench.soak.stack import Stack

SAMPLES = 120
MIN_INTERVAL = 0.5
"""Seconds."""
IDLE_TIMEOUT = 5.0
"""Interval in seconds at which the provider closes idle connections, as real providers do."""
MIN_LIFE = 24
"""Samples of a worker that has lived long enough for a slope of its memory."""
STARTUP = 60.0
"""Seconds in which a worker that was started during the load imports its libraries; they do not count."""


@dataclass(frozen=True, slots=True)
class Sample:
    """`at` is in seconds since the load began. `busy` is the share of all cores that worked since the last sample."""

    at: float
    processes: dict[int, ProcessResources]
    provider: int
    database: int
    redis: int | None
    turns: int
    busy: float


@dataclass(slots=True)
class Sampler:
    stack: Stack
    ledger: Ledger
    samples: list[Sample] = field(default_factory=list)

    async def run(self, seconds: float) -> None:
        """Sample until cancelled, and let the provider close idle connections."""
        interval = max(MIN_INTERVAL, seconds / SAMPLES)
        start, closed = perf_counter(), perf_counter()
        cpu = _cpu_times()
        while True:
            await asyncio.sleep(interval)
            if perf_counter() - closed > IDLE_TIMEOUT:
                closed = perf_counter()
                self.stack.provider.close_idle_connections()
            before, cpu = cpu, _cpu_times()
            self.samples.append(await self._sample(perf_counter() - start, _busy(before, cpu)))

    async def _sample(self, at: float, busy: float) -> Sample:
        pids = [pid for server in self.stack.servers for pid in worker_pids(server)]
        return Sample(
            at,
            {pid: found for pid in pids if (found := read_process(pid)) is not None},
            self.stack.provider.open_connections,
            sum(database_connections(self.stack).values()),
            await redis_connections(self.stack),
            len(self.ledger.turns),
            busy,
        )


@dataclass(frozen=True, slots=True)
class MemoryCourse:
    """The memory of one worker in MB over its life, which began and ended with these samples, in seconds."""

    pid: int
    times: Sequence[float]
    memory: Sequence[float]

    @property
    def growth(self) -> float:
        """See `memory_growth`, in MB."""
        return memory_growth(self.memory)

    @property
    def slope(self) -> float:
        """MB per hour, over the second half of its life: caches fill in the first."""
        half = len(self.times) // 2
        return linear_regression(self.times[half:], self.memory[half:]).slope * 3600


def memory_courses(samples: Sequence[Sample]) -> list[MemoryCourse]:
    """Those of the workers that lived long enough."""
    pids = dict.fromkeys(pid for sample in samples for pid in sample.processes)
    courses = []
    for pid in pids:
        lived = [(sample.at, sample.processes[pid].memory) for sample in samples if pid in sample.processes]
        if lived[0][0] > samples[0].at:
            lived = [each for each in lived if each[0] > lived[0][0] + STARTUP]
        if len(lived) >= MIN_LIFE:
            courses.append(MemoryCourse(pid, *map(list, zip(*lived, strict=True))))  # type: ignore[arg-type]
    return courses


def _cpu_times() -> tuple[float, float]:
    """Ticks of all cores since the start of the machine: those that were idle, and all."""
    fields = [int(each) for each in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return fields[3] + fields[4], sum(fields)


def _busy(before: tuple[float, float], after: tuple[float, float]) -> float:
    idle, total = after[0] - before[0], after[1] - before[1]
    return 1 - idle / total if total else 0.0


def load_average() -> float:
    """The machine's load over the last minute."""
    return round(os.getloadavg()[0], 2)
