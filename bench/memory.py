"""The memory of a server over thousands of turns."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter

from bench.load import Load
from bench.loads import UNPACED
from bench.servers import Serving
from bench.soak.figures import growth

CALLERS = 8


@dataclass(frozen=True, slots=True)
class Course:
    """Samples of the resident memory in MB, each with the number of turns before it, and the broken answers."""

    samples: list[tuple[int, float]]
    broken: list[str]

    @property
    def turns(self) -> int:
        return self.samples[-1][0]

    @property
    def grown(self) -> float:
        """MB by which the last quarter is above the second one. 0 is flat: the first quarter fills caches."""
        return growth([memory for _, memory in self.samples])


async def course(serving: Serving, turns: int, every: int, seconds: float) -> Course:
    """Put `turns` streamed turns on a server, weighed after each `every` of them; ends early after `seconds`."""
    load = Load(UNPACED, callers=CALLERS, turns=max(1, every // CALLERS))
    until, made = perf_counter() + seconds, 0
    found = Course([(0, serving.process.memory())], [])
    while made < turns and perf_counter() < until:
        heard = await load.run(serving.target)
        made += len(heard.turns) + len(heard.broken)
        found.broken.extend(heard.broken)
        found.samples.append((made, serving.process.memory()))
    return found
