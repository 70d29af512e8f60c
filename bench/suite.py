"""The measurements of the benchmark, run on all servers in turn."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from bench import loads
from bench.capacity import FIRST_ATTEMPT, find_capacity
from bench.figures import SATURATED, Figure, Measurement, RoundResults, throughput
from bench.load import Load, LoadResult
from bench.load_run import run_load
from bench.memory import MemoryCurve, measure_memory
from bench.plan import Plan
from bench.program import Progress
from bench.servers import RunningServer

ThroughputCurves = dict[str, dict[int, Measurement]]
"""By server and number of callers."""


@dataclass(frozen=True, slots=True)
class BenchmarkSuite:
    """Runs one load at a time; all servers run for the whole benchmark. The first of `servers` is the provider."""

    plan: Plan
    servers: Sequence[RunningServer]
    progress: Progress

    @property
    def provider(self) -> RunningServer:
        return self.servers[0]

    async def warm_up(self) -> None:
        for server in self.servers:
            await Load(loads.UNPACED, callers=2, turns=15).run(server.target)

    async def memory_curves(self) -> dict[str, MemoryCurve]:
        """Sample the memory of each server over the same number of turns."""
        plan, curves = self.plan, {}
        for server in self.servers[1:]:
            self.progress(f"memory over {plan.memory_turns} turns: {server.target.name}")
            curves[server.target.name] = await measure_memory(
                server, plan.memory_turns, plan.memory_interval, plan.memory_seconds
            )
        return curves

    async def rounds(self) -> RoundResults:
        """Run every load on every server, `plan.rounds` times."""
        results = RoundResults()
        for number in range(self.plan.rounds):
            for name, load in loads.round_loads(self.plan.seconds, self.plan.turns).items():
                for server in self.servers:
                    self.progress(f"round {number + 1} of {self.plan.rounds}: {name}, {server.target.name}")
                    results.add(name, server.target.name, await run_load(load, server, self.provider))
        return results

    async def throughput_curves(self, results: RoundResults) -> ThroughputCurves:
        """Measure streamed turns per second with a growing number of callers."""
        by_server: dict[str, dict[int, list[LoadResult]]] = defaultdict(lambda: defaultdict(list))
        for _ in range(self.plan.throughput_rounds):
            for callers in self.plan.throughput_callers:
                for server in self.servers:
                    self.progress(f"throughput, {callers} callers: {server.target.name}")
                    load = Load(loads.UNPACED, callers=callers, seconds=self.plan.seconds / 3)
                    result = await run_load(load, server, self.provider)
                    by_server[server.target.name][callers].append(result)
                    results.add(f"throughput, {callers} callers", server.target.name, result)
        return {
            name: {callers: throughput(rounds) for callers, rounds in curve.items()}
            for name, curve in by_server.items()
        }

    async def stream_capacity(self, results: RoundResults) -> Figure:
        """Search for the greatest number of concurrent paced streams that each server sustains."""
        capacities: dict[str, int] = {}
        limited: list[str] = []
        one_load_at_a_time = asyncio.Lock()  # asyncio's lock is fair, so the searches alternate

        async def search(server: RunningServer, first: int) -> None:
            name, utilization = server.target.name, dict[int, float]()

            async def sustains(callers: int) -> bool:
                async with one_load_at_a_time:
                    result = await run_load(loads.paced_load(callers), server, self.provider)
                sustained = loads.is_sustained(result)
                self.progress(f"{callers} paced streams: {name} {'sustains' if sustained else 'does not sustain'} them")
                utilization[callers] = result.load_utilization
                if sustained:
                    results.add("held", name, result)
                return sustained

            capacities[name] = capacity = await find_capacity(sustains, first, self.plan.max_streams)
            # The load may have caused the failure above the capacity; at `max_streams` the search itself ended.
            at_or_above = [share for callers, share in utilization.items() if callers >= capacity]
            if capacity == self.plan.max_streams or max(at_or_above) > SATURATED:
                limited.append(name)

        async with asyncio.TaskGroup() as searches:
            for server in self.servers:
                # The provider sustains more than any server behind it.
                first = self.plan.max_streams if server is self.provider else FIRST_ATTEMPT
                searches.create_task(search(server, first))
        by_server = {server.target.name: [capacities[server.target.name]] for server in self.servers}
        return Figure.of_values("paced streams held, p99 gap under 60 ms", "", True, by_server, limited)
