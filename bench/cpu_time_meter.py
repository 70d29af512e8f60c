"""Measures the cost of a turn in CPU time. Needs no valgrind, but varies with how busy the machine is."""

from __future__ import annotations

import tempfile
from pathlib import Path

from bench import loads
from bench.cost_scenarios import COST_SCENARIOS, Costs, CostScenario, with_fixed_hash_seed
from bench.load import Load
from bench.load_run import run_load_unbroken
from bench.processes import BenchError, Cores, pinned
from bench.program import Progress
from bench.servers import FLOOR, SWITCHBOARD, RunningServer, run_provider, served_names

ROUNDS = 30
WARM_UP_ROUNDS = 4
FLOOR_MULTIPLE = 4
"""Turns of the floor per turn of Switchboard; they are that much cheaper."""


async def measure_cpu_time(rounds: int, progress: Progress) -> dict[str, Costs]:
    """Run every scenario on Switchboard and the floor in turn. Raises BenchError, also for a broken answer."""
    cores = Cores.of_this_machine()
    costs: dict[str, Costs] = {scenario.name: ([], []) for scenario in COST_SCENARIOS}
    with pinned(cores.load), tempfile.TemporaryDirectory(prefix="switchboard-bench-") as name:
        directory = Path(name)
        names = served_names(loads.MODELS)
        async with (
            run_provider(directory, cores, loads.MODELS) as provider,
            with_fixed_hash_seed(SWITCHBOARD).run(directory, cores.server, names) as switchboard,
            with_fixed_hash_seed(FLOOR).run(directory, cores.server, names) as floor,
        ):
            for number in range(1 - WARM_UP_ROUNDS, rounds + 1):
                progress(f"round {number} of {rounds}" if number > 0 else "warm-up")
                for scenario in COST_SCENARIOS:
                    pair = await _measure_pair(scenario, switchboard, floor, provider)
                    if number > 0:
                        for side, cost in zip(costs[scenario.name], pair, strict=True):
                            side.append(cost)
    return costs


async def _measure_pair(
    scenario: CostScenario, switchboard: RunningServer, floor: RunningServer, provider: RunningServer
) -> tuple[float, float]:
    """Run half of the floor's turns before Switchboard's and half after, so that a change of speed cancels out."""
    half = scenario.cpu_time_load_of(FLOOR_MULTIPLE // 2)
    before = await _measure(half, floor, provider)
    ours = await _measure(scenario.cpu_time_load_of(1), switchboard, provider)
    after = await _measure(half, floor, provider)
    return ours, (before + after) / 2


async def _measure(load: Load, server: RunningServer, provider: RunningServer) -> float:
    result = await run_load_unbroken(load, server, provider)
    if not result.server_cpu:
        raise BenchError("this system does not report the CPU time of another process; the check needs Linux")
    return result.cpu_per_turn
