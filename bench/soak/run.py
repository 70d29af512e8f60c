"""One soak: both servers started, the crowd let loose on them, and everything counted before and after."""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from bench.exam.caller import Caller
from bench.processes import free_port
from bench.servers import SWITCHBOARD, Serving
from bench.soak.callers import Crowd, Tally
from bench.soak.figures import Holdings, growth
from bench.soak.mix import SETTINGS, mix, models_file
from router.fake.server.fake_provider import FakeProvider

Say = Callable[[str], None]
SETTLED = 10.0
"""Seconds after the last turn within which everything that it held must be given back."""
WARM_UP = 10.0
"""Seconds of the same crowd, at most, before anything is counted."""
IDLE = 5.0
"""Seconds after which the provider hangs up on connections that nobody uses, as real ones do."""
MOST_GROWTH = 15.0
"""MB that the memory may grow from the second quarter of a soak to its last."""


@dataclass(frozen=True, slots=True)
class Soaked:
    """What a soak found. `memory` is in MB, forty samples over the whole time; `in_flight` is what /health counts after
    the last turn, `provider_lines` what the provider still has open.
    """

    tally: Tally
    before: Holdings
    after: Holdings
    memory: list[float]
    tasks: tuple[int, int]
    in_flight: int
    provider_lines: int
    tracebacks: list[str]
    seconds: float

    def faults(self) -> list[str]:
        """Everything that must not be."""
        found = [f"{self.tally.count('broken')} broken turns"] if self.tally.broken else []
        found += [f"leaked {each}" for each in self.after.leaked(self.before)]
        if (grown := growth(self.memory)) > MOST_GROWTH:
            found.append(f"the memory grew by {grown:.1f} MB in the second half")
        if self.tasks[1] > self.tasks[0]:
            found.append(f"asyncio tasks: {self.tasks[0]} before, {self.tasks[1]} after")
        if self.in_flight:
            found.append(f"{self.in_flight} attempts are still counted as under way")
        if self.provider_lines:
            found.append(f"{self.provider_lines} lines to the provider are still open")
        if self.tracebacks:
            found.append(f"{len(self.tracebacks)} tracebacks in the server's log, the first:\n{self.tracebacks[0]}")
        if not self.tally.count("whole"):
            found.append("not one turn was whole")
        return found


async def soak(seconds: float, callers: int, seed: int, say: Say) -> Soaked:
    """Run it. Raises BenchFailed when the server does not start."""
    with tempfile.TemporaryDirectory(prefix="switchboard-soak-") as name:
        directory = Path(name)
        async with FakeProvider() as provider:
            written = models_file(provider.base_url, f"http://127.0.0.1:{free_port()}/v1")
            (directory / "models.yaml").write_text(yaml.safe_dump(written))
            async with SWITCHBOARD.serving(directory, frozenset(), {}) as serving:
                return await _Soak(provider, serving, directory, callers, seed, say).run(seconds)


@dataclass(slots=True)
class _Soak:
    provider: FakeProvider
    serving: Serving
    directory: Path
    callers: int
    seed: int
    say: Say

    async def run(self, seconds: float) -> Soaked:
        pid, tally, memory = self.serving.process.pid, Tally(), []
        # Caches fill and worker threads start with the first crowd; what grows after it is a leak.
        await self._asking(0, Tally())
        await self._asking(min(WARM_UP, seconds), Tally())
        before = await self._settled(Holdings.of(pid))
        tasks = await self._tasks()
        async with asyncio.TaskGroup() as group:
            around = [group.create_task(self._sampling(memory, seconds, tally)), group.create_task(self._hanging_up())]
            await self._asking(seconds, tally)
            for each in around:
                each.cancel()
        after = await self._settled(before)
        log = (self.directory / f"switchboard-{self.serving.target.port}.log").read_text(errors="replace")
        return Soaked(
            tally,
            before,
            after,
            memory,
            (tasks, await self._tasks()),
            await self._in_flight(),
            self.provider.open_connections,
            [log[max(0, at.start() - 300) : at.start() + 3000] for at in re.finditer("Traceback", log)],
            seconds,
        )

    async def _asking(self, seconds: float, tally: Tally) -> None:
        """The crowd for so long, or one caller once through the mix."""
        target = self.serving.target
        async with httpx.AsyncClient(
            base_url=f"http://{target.host}:{target.port}",
            headers={"Authorization": f"Bearer {target.token}"},
            limits=httpx.Limits(max_connections=None),
            timeout=None,
        ) as http:
            crowd = Crowd(Caller(http, SETTINGS["turn_deadline"] + 5), mix(), self.callers, self.seed)
            await (crowd.run(seconds, tally) if seconds else crowd.each_once(tally))

    async def _sampling(self, memory: list[float], seconds: float, tally: Tally) -> None:
        """Forty samples of the memory, each with the turns so far."""
        while True:
            await asyncio.sleep(seconds / 40)
            memory.append(Holdings.of(self.serving.process.pid).memory)
            turns = sum(tally.turns.values())
            self.say(f"{len(memory) * seconds / 40:6.0f} s: {turns} turns, {memory[-1]:.1f} MB")

    async def _hanging_up(self) -> None:
        while True:
            await asyncio.sleep(IDLE)
            self.provider.close_idle_connections()

    async def _settled(self, before: Holdings) -> Holdings:
        """Wait until nothing more is held than `before`, but not for ever; what is held then."""
        until = asyncio.get_running_loop().time() + SETTLED
        while True:
            self.provider.close_idle_connections()
            await asyncio.sleep(0.2)
            # Counted before /health is asked, whose own connection would count too.
            now, late = Holdings.of(self.serving.process.pid), asyncio.get_running_loop().time() >= until
            if late or not (self.provider.open_connections or now.leaked(before) or await self._in_flight()):
                return now

    async def _in_flight(self) -> int:
        return sum(each["in_flight"] for each in (await self._health())["deployments"])

    async def _tasks(self) -> int:
        return int((await self._health())["tasks"])

    async def _health(self) -> dict[str, Any]:
        target = self.serving.target
        async with httpx.AsyncClient(headers={"connection": "close"}) as http:
            health: dict[str, Any] = (await http.get(f"http://{target.host}:{target.port}/health")).json()
        return health
