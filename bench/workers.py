"""Compares the throughput of one worker process with that of two."""

from __future__ import annotations

import statistics
import tempfile
from collections import defaultdict
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import loads
from bench.figures import Measurement, throughput
from bench.load import Load, LoadResult
from bench.load_run import run_load_unbroken
from bench.processes import Cores
from bench.program import Progress
from bench.servers import RunningServer, run_provider, served_names, switchboard_with_workers

CALLERS = 32
WORKERS = (1, 2)


@dataclass(frozen=True, slots=True)
class WorkerComparison:
    """Turns per second by number of workers; `busiest_shares` is the busiest worker's share of the CPU time."""

    rates: dict[int, Measurement]
    busiest_shares: dict[int, float]

    @property
    def ratio(self) -> float:
        """Throughput of two workers divided by that of one."""
        return self.rates[2].value / self.rates[1].value

    def show(self, console: Console) -> None:
        """Print the comparison as a table."""
        table = Table("workers", "streamed turns/s", "lowest - highest", "busiest worker's share of the CPU time")
        for workers, measurement in self.rates.items():
            spread = f"{min(measurement.rounds):.0f} - {max(measurement.rounds):.0f}"
            table.add_row(str(workers), f"{measurement.value:.1f}", spread, f"{self.busiest_shares[workers]:.0%}")
        console.print(table)
        console.print(
            f"2 workers reach {self.ratio:.2f} x the throughput of 1 ({CALLERS} callers, unpaced). "
            "The provider and the load share the cores, so two cores cannot reach 2.0.",
            markup=False,
        )


async def compare_workers(rounds: int, seconds: float, progress: Progress) -> WorkerComparison:
    """Measure Switchboard with one and two workers in turn, without pinning. Raises BenchError."""
    any_core = Cores(frozenset(), frozenset())
    results: dict[int, list[LoadResult]] = defaultdict(list)
    shares: dict[int, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="switchboard-bench-") as name:
        directory = Path(name)
        async with run_provider(directory, any_core, loads.MODELS) as provider, AsyncExitStack() as stack:
            servers = {
                workers: await stack.enter_async_context(
                    switchboard_with_workers(workers).run(directory, frozenset(), served_names(loads.MODELS))
                )
                for workers in WORKERS
            }
            load = Load(loads.UNPACED, callers=CALLERS, seconds=seconds)
            for server in servers.values():
                await Load(loads.UNPACED, callers=CALLERS, turns=3).run(server.target)
            for number in range(rounds):
                for workers, server in servers.items():
                    progress(f"round {number + 1} of {rounds}: {server.target.name}")
                    result, share = await _measure(load, server, provider)
                    results[workers].append(result)
                    shares[workers].append(share)
    return WorkerComparison(
        {workers: throughput(each) for workers, each in results.items()},
        {workers: statistics.median(each) for workers, each in shares.items()},
    )


async def _measure(load: Load, server: RunningServer, provider: RunningServer) -> tuple[LoadResult, float]:
    """Return the result and the busiest worker's share of the CPU time."""
    before = server.process.cpu_by_process()
    result = await run_load_unbroken(load, server, provider)
    used = [after - before.get(pid, 0.0) for pid, after in server.process.cpu_by_process().items()]
    return result, max(used) / sum(used) if sum(used) else 0.0
