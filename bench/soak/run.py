"""Runs a soak: starts both servers, generates load, and compares resources before and after."""

from __future__ import annotations

import asyncio
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from bench.exam.caller import Caller
from bench.memory import memory_growth
from bench.processes import free_port
from bench.program import Progress
from bench.servers import SWITCHBOARD, RunningServer
from bench.soak.load_generator import LoadGenerator, OutcomeCounts
from bench.soak.resources import ProcessResources
from bench.soak.traffic import SETTINGS, models_file, request_types
from router.fake.server.fake_provider import FakeProvider

SETTLE_TIMEOUT = 10.0
"""Seconds after the last turn within which the server must release its resources."""
MAX_WARM_UP = 10.0
"""Seconds."""
IDLE_TIMEOUT = 5.0
"""Interval in seconds at which the provider closes idle connections, as real providers do."""
MAX_GROWTH = 15.0
"""Allowed memory growth in MB; see `memory_growth`."""
MEMORY_SAMPLES = 40


@dataclass(frozen=True, slots=True)
class SoakResult:
    """The result of a soak.

    memory: `MEMORY_SAMPLES` samples of the server's memory in MB.
    tasks: asyncio tasks of the server before and after.
    in_flight: attempts that /health still counts after the last turn.
    provider_connections: connections that the provider still has open.
    tracebacks: excerpts from the server's log.
    seconds: duration of the load.
    """

    outcomes: OutcomeCounts
    before: ProcessResources
    after: ProcessResources
    memory: list[float]
    tasks: tuple[int, int]
    in_flight: int
    provider_connections: int
    tracebacks: list[str]
    seconds: float

    def failures(self) -> list[str]:
        """Describe broken turns, leaks and tracebacks."""
        failures = [f"{self.outcomes.count('broken')} broken turns"] if self.outcomes.broken else []
        failures += [f"leaked {each}" for each in self.after.leaks_since(self.before)]
        if (growth := memory_growth(self.memory)) > MAX_GROWTH:
            failures.append(f"the memory grew by {growth:.1f} MB in the second half")
        if self.tasks[1] > self.tasks[0]:
            failures.append(f"asyncio tasks: {self.tasks[0]} before, {self.tasks[1]} after")
        if self.in_flight:
            failures.append(f"{self.in_flight} attempts are still counted as in flight")
        if self.provider_connections:
            failures.append(f"{self.provider_connections} connections to the provider are still open")
        if self.tracebacks:
            failures.append(f"{len(self.tracebacks)} tracebacks in the server's log, the first:\n{self.tracebacks[0]}")
        if not self.outcomes.count("whole"):
            failures.append("no turn was whole")
        return failures


async def soak(seconds: float, callers: int, seed: int, progress: Progress) -> SoakResult:
    """Run a soak. Raises BenchError if the server does not start."""
    with tempfile.TemporaryDirectory(prefix="switchboard-soak-") as name:
        directory = Path(name)
        async with FakeProvider() as provider:
            models = models_file(provider.base_url, f"http://127.0.0.1:{free_port()}/v1")
            (directory / "models.yaml").write_text(yaml.safe_dump(models))
            async with SWITCHBOARD.run(directory, frozenset(), {}) as server:
                return await _SoakRun(provider, server, callers, seed, progress).run(seconds)


@dataclass(slots=True)
class _SoakRun:
    provider: FakeProvider
    server: RunningServer
    callers: int
    seed: int
    progress: Progress

    async def run(self, seconds: float) -> SoakResult:
        outcomes, memory = OutcomeCounts(), list[float]()
        # Caches fill and worker threads start during the warm-up; what grows after it is a leak.
        await self._generate_load(0, OutcomeCounts())
        await self._generate_load(min(MAX_WARM_UP, seconds), OutcomeCounts())
        before = await self._settle(self._resources())
        tasks = await self._task_count()
        async with asyncio.TaskGroup() as group:
            background = [
                group.create_task(self._sample_memory(memory, seconds, outcomes)),
                group.create_task(self._close_idle_connections()),
            ]
            await self._generate_load(seconds, outcomes)
            for task in background:
                task.cancel()
        after = await self._settle(before)
        log = self.server.process.log_file.read_text(errors="replace")
        return SoakResult(
            outcomes,
            before,
            after,
            memory,
            (tasks, await self._task_count()),
            await self._in_flight(),
            self.provider.open_connections,
            [log[max(0, each.start() - 300) : each.start() + 3000] for each in re.finditer("Traceback", log)],
            seconds,
        )

    async def _generate_load(self, seconds: float, outcomes: OutcomeCounts) -> None:
        """Run the callers for `seconds`; 0 runs each request type once."""
        async with self.server.client() as http:
            caller = Caller(http, SETTINGS["turn_deadline"] + 5)
            generator = LoadGenerator(caller, request_types(), self.callers, self.seed)
            await (generator.run(seconds, outcomes) if seconds else generator.run_each_once(outcomes))

    async def _sample_memory(self, memory: list[float], seconds: float, outcomes: OutcomeCounts) -> None:
        interval = seconds / MEMORY_SAMPLES
        while True:
            await asyncio.sleep(interval)
            memory.append(self._resources().memory)
            turns = outcomes.turns.total()
            self.progress(f"{len(memory) * interval:6.0f} s: {turns} turns, {memory[-1]:.1f} MB")

    async def _close_idle_connections(self) -> None:
        while True:
            await asyncio.sleep(IDLE_TIMEOUT)
            self.provider.close_idle_connections()

    async def _settle(self, before: ProcessResources) -> ProcessResources:
        """Wait up to `SETTLE_TIMEOUT` until the server holds no more than `before`; return what it holds then."""
        deadline = asyncio.get_running_loop().time() + SETTLE_TIMEOUT
        while True:
            self.provider.close_idle_connections()
            await asyncio.sleep(0.2)
            # Before the request to /health, whose connection would count.
            now, late = self._resources(), asyncio.get_running_loop().time() >= deadline
            if late or not (self.provider.open_connections or now.leaks_since(before) or await self._in_flight()):
                return now

    def _resources(self) -> ProcessResources:
        return ProcessResources.of(self.server.process.pid)

    async def _in_flight(self) -> int:
        return sum(each["in_flight"] for each in (await self._health())["deployments"])

    async def _task_count(self) -> int:
        return int((await self._health())["tasks"])

    async def _health(self) -> dict[str, Any]:
        target = self.server.target
        async with httpx.AsyncClient(headers={"connection": "close"}) as http:
            health: dict[str, Any] = (await http.get(f"http://{target.host}:{target.port}/health")).json()
        return health
