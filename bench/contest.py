"""The contest: every measurement on every server, one at a time."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench import loads
from bench.figures import BUSY, Figure, Measured, Rounds, once, rate
from bench.load import Heard, Load
from bench.memory import Course, course
from bench.paced import FIRST, most_held
from bench.plan import Plan
from bench.put import put
from bench.servers import Serving

Say = Callable[[str], None]
Throughput = dict[str, dict[int, Measured]]
"""By server and number of callers."""


@dataclass(frozen=True, slots=True)
class Contest:
    """The servers that run side by side; the first of `serving` is the provider. `say` is told what goes on."""

    plan: Plan
    serving: Sequence[Serving]
    say: Say

    async def put(self, load: Load, on: Serving) -> Heard:
        return await put(load, on, self.serving[0])

    async def warm_up(self) -> None:
        for each in self.serving:
            await Load(loads.UNPACED, callers=2, turns=15).run(each.target)

    async def courses(self) -> dict[str, Course]:
        """The memory of each server over the same number of turns."""
        found = {}
        for each in self.serving[1:]:
            self.say(f"memory over {self.plan.memory_turns} turns: {each.target.name}")
            plan = self.plan
            found[each.target.name] = await course(each, plan.memory_turns, plan.weighed, plan.memory_seconds)
        return found

    async def rounds(self) -> Rounds:
        """Every load on every server, one at a time; then all of it again."""
        rounds = Rounds()
        for number in range(self.plan.rounds):
            for name, load in loads.loads(self.plan.seconds, self.plan.turns).items():
                for each in self.serving:
                    self.say(f"round {number + 1} of {self.plan.rounds}: {name}, {each.target.name}")
                    rounds.add(name, each.target.name, await self.put(load, each))
        return rounds

    async def throughput(self, rounds: Rounds) -> Throughput:
        """Streamed turns a second, with more and more callers."""
        heard: dict[str, dict[int, list[Heard]]] = defaultdict(lambda: defaultdict(list))
        for _ in range(self.plan.curves):
            for callers in self.plan.callers:
                for each in self.serving:
                    self.say(f"throughput, {callers} callers: {each.target.name}")
                    load = Load(loads.UNPACED, callers=callers, seconds=self.plan.seconds / 3)
                    one = await self.put(load, each)
                    heard[each.target.name][callers].append(one)
                    rounds.add(f"throughput, {callers} callers", each.target.name, one)
        return {name: {callers: rate(each) for callers, each in points.items()} for name, points in heard.items()}

    async def held(self, rounds: Rounds) -> Figure:
        """The greatest number of paced streams that each server holds."""
        found: dict[str, int] = {}
        limited: list[str] = []
        taking_turns = asyncio.Lock()  # it lets in who waits the longest, so the searches go on side by side

        async def search(on: Serving, first: int) -> None:
            name, tries = on.target.name, dict[int, float]()

            async def holds(callers: int) -> bool:
                async with taking_turns:
                    heard = await self.put(loads.paced(callers), on)
                held = loads.holds(heard)
                self.say(f"{callers} paced streams: {name} {'holds' if held else 'does not hold'} them")
                tries[callers] = heard.busy
                if held:
                    rounds.add("held", name, heard)
                return held

            found[name] = most = await most_held(holds, first, self.plan.held)
            # What ended the search was the next number; at the greatest one of all it was the search itself.
            if most == self.plan.held or max(busy for callers, busy in tries.items() if callers >= most) > BUSY:
                limited.append(name)

        async with asyncio.TaskGroup() as searches:
            for each in self.serving:  # the provider holds more than any of the servers
                searches.create_task(search(each, self.plan.held if each is self.serving[0] else FIRST))
        held = {each.target.name: [found[each.target.name]] for each in self.serving}
        return once("paced streams held, p99 gap under 60 ms", "", True, held, limited)
