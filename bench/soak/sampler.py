"""Samples what the servers hold and how busy the machine is, at equal intervals."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import linear_regression
from time import perf_counter

from agent.storage.thread_memory import KEPT_THREADS
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


THREAD_MEMORY = 0.014
"""MB that a thread takes which a worker keeps in memory, measured with the traffic of the soak."""
REQUESTS = 1.7
"""Requests to a thread, on average over the callers."""


@dataclass(frozen=True, slots=True)
class Sample:
    """`at` is in seconds since the load began, and `threads` were begun since then.

    busy: the share of all cores that worked since the last sample.
    """

    at: float
    processes: dict[int, ProcessResources]
    provider: int
    database: int
    redis: int | None
    threads: int
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
            len(self.ledger.threads),
            busy,
        )


@dataclass(frozen=True, slots=True)
class MemoryCourse:
    """The memory of one worker in MB over its life, which began and ended with these samples, in seconds.

    `kept` is the part of it that the threads take which the worker keeps for their next turn. They are up to
    `KEPT_THREADS`, which takes longer than the load, so they do not count as growth.
    """

    pid: int
    times: Sequence[float]
    memory: Sequence[float]
    kept: Sequence[float]

    @property
    def growth(self) -> float:
        """See `memory_growth`, in MB, without the kept threads."""
        return memory_growth(self._others)

    @property
    def slope(self) -> float:
        """MB per hour without the kept threads, over the second half of its life: caches fill in the first."""
        half = len(self.times) // 2
        return linear_regression(self.times[half:], self._others[half:]).slope * 3600

    @property
    def _others(self) -> list[float]:
        return [memory - kept for memory, kept in zip(self.memory, self.kept, strict=True)]


def memory_courses(samples: Sequence[Sample]) -> list[MemoryCourse]:
    """Those of the workers that lived long enough."""
    pids = dict.fromkeys(pid for sample in samples for pid in sample.processes)
    workers = max((len(sample.processes) for sample in samples), default=1)
    courses = []
    for pid in pids:
        lived = [sample for sample in samples if pid in sample.processes]
        birth = lived[0]
        if birth.at > samples[0].at:
            lived = [each for each in lived if each.at > birth.at + STARTUP]
        if len(lived) >= MIN_LIFE:
            times = [each.at for each in lived]
            memory = [each.processes[pid].memory for each in lived]
            kept = [_kept(each.threads - birth.threads, workers) for each in lived]
            courses.append(MemoryCourse(pid, times, memory, kept))
    return courses


def _kept(begun: int, workers: int) -> float:
    """The memory in MB of the threads that a worker keeps, of those that were begun in its life.

    A proxy sends each request to any of the workers.
    """
    return THREAD_MEMORY * min(KEPT_THREADS, begun * (1 - (1 - 1 / workers) ** REQUESTS))


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
