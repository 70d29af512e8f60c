"""One worker against two: what a second process of the server is worth on two cores."""

from __future__ import annotations

import statistics
import tempfile
from collections import defaultdict
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import loads
from bench.figures import Measured, rate
from bench.load import Heard, Load
from bench.processes import BenchFailed, Cores
from bench.put import put
from bench.servers import Serving, provider, served_names, switchboard

CALLERS = 32
WORKERS = (1, 2)


@dataclass(frozen=True, slots=True)
class Workers:
    """Turns a second by number of workers; `shares` is how much of the server's CPU time its busiest worker took."""

    rates: dict[int, Measured]
    shares: dict[int, float]

    @property
    def ratio(self) -> float:
        """What two workers do for each turn of one."""
        return self.rates[2].value / self.rates[1].value

    def show(self, console: Console) -> None:
        """Print it as a table."""
        table = Table("workers", "streamed turns/s", "lowest - highest", "busiest worker's share of the CPU time")
        for workers, measured in self.rates.items():
            spread = f"{min(measured.rounds):.0f} - {max(measured.rounds):.0f}"
            table.add_row(str(workers), f"{measured.value:.1f}", spread, f"{self.shares[workers]:.0%}")
        console.print(table)
        console.print(
            f"2 workers do {self.ratio:.2f} x of what 1 does ({CALLERS} callers, unpaced). "
            "The provider and the load run on the same cores, so 2.0 is out of reach on two of them.",
            markup=False,
        )


async def compare_workers(rounds: int, seconds: float, say: Callable[[str], None]) -> Workers:
    """Measure Switchboard with one and with two workers in turn, nothing pinned. Raises BenchFailed."""
    anywhere = Cores(frozenset(), frozenset())
    heard: dict[int, list[Heard]] = defaultdict(list)
    shares: dict[int, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="switchboard-bench-") as name:
        directory = Path(name)
        async with provider(directory, anywhere, loads.MODELS) as own, AsyncExitStack() as stack:
            serving = {
                workers: await stack.enter_async_context(
                    switchboard(workers).serving(directory, frozenset(), served_names(loads.MODELS))
                )
                for workers in WORKERS
            }
            load = Load(loads.UNPACED, callers=CALLERS, seconds=seconds)
            for each in serving.values():
                await Load(loads.UNPACED, callers=CALLERS, turns=3).run(each.target)
            for number in range(rounds):
                for workers, each in serving.items():
                    say(f"round {number + 1} of {rounds}: {each.target.name}")
                    one, share = await _put(load, each, own)
                    heard[workers].append(one)
                    shares[workers].append(share)
    return Workers(
        {workers: rate(each) for workers, each in heard.items()},
        {workers: statistics.median(each) for workers, each in shares.items()},
    )


async def _put(load: Load, on: Serving, own: Serving) -> tuple[Heard, float]:
    before = on.process.cpu_by_process()
    heard = await put(load, on, own)
    if heard.broken:
        raise BenchFailed(f"{on.target.name} gave {len(heard.broken)} broken answers, for example: {heard.broken[0]}")
    taken = [after - before.get(pid, 0.0) for pid, after in on.process.cpu_by_process().items()]
    return heard, max(taken) / sum(taken) if sum(taken) else 0.0
