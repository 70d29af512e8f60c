"""The resident memory of a server over thousands of turns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter

from bench.load import Load
from bench.loads import UNPACED
from bench.servers import RunningServer

CALLERS = 8


@dataclass(frozen=True, slots=True)
class MemoryCurve:
    """Pairs of (turns so far, resident memory in MB), and the broken answers."""

    samples: list[tuple[int, float]]
    broken: list[str]

    @property
    def turns(self) -> int:
        return self.samples[-1][0]

    @property
    def growth(self) -> float:
        """See `memory_growth`; in MB."""
        return memory_growth([memory for _, memory in self.samples])


def memory_growth(samples: Sequence[float]) -> float:
    """Return the median of the last quarter of the samples minus that of the second quarter.

    The first quarter does not count: caches fill, and the allocator reserves memory.
    """
    quarter = len(samples) // 4
    if not quarter:
        return 0.0
    return median(samples[-quarter:]) - median(samples[quarter : 2 * quarter])


async def measure_memory(server: RunningServer, turns: int, interval: int, seconds: float) -> MemoryCurve:
    """Run `turns` streamed turns and sample the memory after every `interval`; ends early after `seconds`."""
    load = Load(UNPACED, callers=CALLERS, turns=max(1, interval // CALLERS))
    deadline, done = perf_counter() + seconds, 0
    curve = MemoryCurve([(0, server.process.memory())], [])
    while done < turns and perf_counter() < deadline:
        result = await load.run(server.target)
        done += len(result.turns) + len(result.broken)
        curve.broken.extend(result.broken)
        curve.samples.append((done, server.process.memory()))
    return curve
