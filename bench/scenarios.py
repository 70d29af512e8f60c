"""The turns whose cost is guarded."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from bench import loads
from bench.load import Load
from bench.servers import Server

Meter = Literal["instructions", "time"]
"""In what a cost is measured: executed instructions, or seconds of CPU time."""
Costs = tuple[list[float], list[float]]
"""The cost of a turn, round by round: Switchboard's and the floor's."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One kind of turn: the load whose CPU time is taken, of `TIMED_TURNS`, and the one whose instructions are counted.

    Counting makes a server fifty times slower, so its load is short, and its chunks come further apart.
    """

    name: str
    timed: Load
    counted: Load

    def timed_turns(self, times: int) -> Load:
        """The load with that many times the turns, all callers together."""
        return replace(self.timed, turns=TIMED_TURNS * times // self.timed.callers)


TIMED_TURNS = 48
_COUNTED_TURNS = 12
SCENARIOS = (
    Scenario("streamed turn", Load(loads.UNPACED, callers=8), Load(loads.UNPACED, callers=1, turns=_COUNTED_TURNS)),
    Scenario(
        "streamed turn, chunks apart", Load(loads.SPACED, callers=16), Load(loads.SLOW, callers=1, turns=_COUNTED_TURNS)
    ),
    Scenario(
        "non-stream turn",
        Load(loads.UNPACED, callers=8, stream=False),
        Load(loads.UNPACED, callers=1, turns=_COUNTED_TURNS, stream=False),
    ),
    Scenario(
        "first token: a streamed turn of one chunk",
        Load(loads.ONE_TOKEN, callers=1),
        Load(loads.ONE_TOKEN, callers=1, turns=_COUNTED_TURNS),
    ),
)


def repeatable(server: Server) -> Server:
    """The server with the same order of its sets at every start: it changes what is near to what."""
    return replace(server, environment=(*server.environment, ("PYTHONHASHSEED", "0")))
