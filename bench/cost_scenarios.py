"""The kinds of turn whose cost `bench.check` compares with the baseline."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from bench import loads
from bench.load import Load
from bench.servers import Server

Meter = Literal["instructions", "time"]
"""The unit of a cost: executed instructions, or seconds of CPU time."""
Costs = tuple[list[float], list[float]]
"""The cost of a turn by round, of Switchboard and of the floor."""
CPU_TIME_TURNS = 48
_INSTRUCTION_TURNS = 12


@dataclass(frozen=True, slots=True)
class CostScenario:
    """One kind of turn, with a load for each meter.

    A server under valgrind is fifty times slower, so `instruction_load` is short and its chunks are further apart.
    """

    name: str
    cpu_time_load: Load
    instruction_load: Load

    def cpu_time_load_of(self, multiple: int) -> Load:
        """Return the CPU time load with `multiple` times `CPU_TIME_TURNS`, over all callers together."""
        return replace(self.cpu_time_load, turns=CPU_TIME_TURNS * multiple // self.cpu_time_load.callers)


COST_SCENARIOS = (
    CostScenario(
        "streamed turn",
        Load(loads.UNPACED, callers=8),
        Load(loads.UNPACED, callers=1, turns=_INSTRUCTION_TURNS),
    ),
    CostScenario(
        "streamed turn, chunks apart",
        Load(loads.SPACED, callers=16),
        Load(loads.SLOW, callers=1, turns=_INSTRUCTION_TURNS),
    ),
    CostScenario(
        "non-stream turn",
        Load(loads.UNPACED, callers=8, stream=False),
        Load(loads.UNPACED, callers=1, turns=_INSTRUCTION_TURNS, stream=False),
    ),
    CostScenario(
        "first token: a streamed turn of one chunk",
        Load(loads.ONE_TOKEN, callers=1),
        Load(loads.ONE_TOKEN, callers=1, turns=_INSTRUCTION_TURNS),
    ),
)


def with_fixed_hash_seed(server: Server) -> Server:
    """Return the server with PYTHONHASHSEED set, so that the layout of sets and dicts does not vary between starts."""
    return replace(server, environment=(*server.environment, ("PYTHONHASHSEED", "0")))
