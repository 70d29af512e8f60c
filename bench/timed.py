"""The cost of a turn in CPU time: works on every Linux, and is as restless as the machine."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from bench import loads
from bench.load import Load
from bench.processes import BenchFailed, Cores, pinned
from bench.put import put
from bench.scenarios import SCENARIOS, Costs, Scenario, repeatable
from bench.servers import FLOOR, SWITCHBOARD, Serving, provider, served_names

ROUNDS = 30
WARM_UP = 4
"""Rounds before the first that counts."""
FLOOR_TURNS = 4
"""Turns of the floor for each of Switchboard's: they are that much shorter."""


async def timed(rounds: int, say: Callable[[str], None]) -> dict[str, Costs]:
    """Put every scenario on Switchboard and the floor in turn. Raises BenchFailed, also for a broken answer."""
    cores = Cores.of_this_machine()
    costs: dict[str, Costs] = {scenario.name: ([], []) for scenario in SCENARIOS}
    with pinned(cores.load), tempfile.TemporaryDirectory(prefix="switchboard-bench-") as name:
        directory = Path(name)
        names = served_names(loads.MODELS)
        async with (
            provider(directory, cores, loads.MODELS) as own,
            repeatable(SWITCHBOARD).serving(directory, cores.server, names) as ours,
            repeatable(FLOOR).serving(directory, cores.server, names) as floor,
        ):
            for number in range(1 - WARM_UP, rounds + 1):
                say(f"round {number} of {rounds}" if number > 0 else "warm-up")
                for scenario in SCENARIOS:
                    one = await _round(scenario, ours, floor, own)
                    for kept, cost in zip(costs[scenario.name], one, strict=True):
                        kept.extend([cost] if number > 0 else [])
    return costs


async def _round(scenario: Scenario, ours: Serving, floor: Serving, own: Serving) -> tuple[float, float]:
    """Half of the floor's turns come before and half after: a machine that gets slower must not favour one side."""
    half = scenario.timed_turns(FLOOR_TURNS // 2)
    before = await _cost(half, floor, own)
    mine = await _cost(scenario.timed_turns(1), ours, own)
    after = await _cost(half, floor, own)
    return mine, (before + after) / 2


async def _cost(load: Load, on: Serving, own: Serving) -> float:
    heard = await put(load, on, own)
    if heard.broken:
        raise BenchFailed(f"{on.target.name} gave {len(heard.broken)} broken answers, for example: {heard.broken[0]}")
    if not heard.cpu:
        raise BenchFailed("this system does not tell the CPU time of another process; the check needs Linux")
    return heard.cpu_per_turn
