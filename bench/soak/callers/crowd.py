"""All callers of a soak, by kind."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from random import Random

from bench.soak.callers.chat import chat_turn
from bench.soak.callers.persona import PersonaCaller
from bench.soak.callers.review import ReviewCaller
from bench.soak.callers.rig import Rig
from bench.soak.callers.session import SessionCaller
from bench.soak.callers.task import TaskCaller
from bench.soak.ledger import Kind
from bench.soak.traffic import TurnPlan, plan_turn

MIX: dict[Kind, float] = {"chat": 0.5, "session": 0.2, "review": 0.1, "persona": 0.1, "task": 0.1}
"""Share of the callers."""
MAX_PAUSE = 0.1
"""Seconds between two turns of one caller."""

Turn = Callable[[TurnPlan], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Crowd:
    """`callers` callers, each with one turn at a time. `seed` determines what they do; `name` begins their marks."""

    rig: Rig
    callers: int
    seed: int
    name: str = "turn"

    async def run(self, seconds: float) -> None:
        """Start turns for `seconds`, and finish those in progress."""
        deadline = asyncio.get_running_loop().time() + seconds
        async with asyncio.TaskGroup() as group:
            for number, kind in enumerate(self._kinds()):
                group.create_task(self._call(kind, number, deadline))

    async def _call(self, kind: Kind, number: int, deadline: float) -> None:
        random = Random(f"{self.seed}/{number}")
        turn = self._turn(kind, f"{self.name}-user-{number}", random)
        loop = asyncio.get_running_loop()
        # Otherwise all streams would tick at the same instant.
        await asyncio.sleep(random.uniform(0, min(self.rig.pace.seconds, (deadline - loop.time()) / 2)))
        turns = 0
        while loop.time() < deadline:
            turns += 1
            await turn(plan_turn(random, f"{self.name}-{kind}-{number}-{turns}", self.rig.pace))
            await asyncio.sleep(random.uniform(0, MAX_PAUSE))

    def _turn(self, kind: Kind, user: str, random: Random) -> Turn:
        match kind:
            case "chat":
                return partial(chat_turn, self.rig)
            case "session":
                return SessionCaller(self.rig, user).turn
            case "review":
                return ReviewCaller(self.rig, user, random).turn
            case "persona":
                return PersonaCaller(self.rig).turn
            case "task":
                return TaskCaller(self.rig, user).turn

    def _kinds(self) -> Iterator[Kind]:
        counts = {kind: max(1, round(self.callers * share)) for kind, share in MIX.items()}
        for kind, count in counts.items():
            yield from [kind] * count
