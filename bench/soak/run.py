"""Runs a soak: starts everything, sends the traffic while things go wrong, and checks what is left."""

from __future__ import annotations

import asyncio
import re
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

from bench.program import Progress
from bench.soak.audit import Audit, audit
from bench.soak.callers.crowd import Crowd
from bench.soak.callers.persona import create_personas
from bench.soak.callers.rig import Rig
from bench.soak.gateway import Gateway, open_gateway
from bench.soak.hang_ups import LIMIT, HangUps
from bench.soak.ledger import Ledger
from bench.soak.resources import Holdings, holdings
from bench.soak.result import SoakResult
from bench.soak.sampler import Sampler, load_average
from bench.soak.stack import Layout, Stack, running_stack
from bench.soak.timetable import Event, run_timetable
from bench.soak.traffic import FAILING, PLAIN, RESCUED, Pace
from tests.support.serving import TOKEN

WARM_UP = 15.0
"""Seconds at most. Caches fill and worker threads start before what is held is counted."""
SETTLE_TIMEOUT = 20.0
"""Seconds after the last turn within which the servers must release their resources."""
POOL_SIZE = 10
"""The default of SWITCHBOARD_DATABASE_POOL_SIZE. A process has two such pools."""


@dataclass(frozen=True, slots=True)
class Soak:
    """What to run. `seconds` is the duration of the load; `logs` is a folder for the servers' logs, with each turn."""

    seconds: float
    callers: int
    seed: int = 1
    layout: Layout = field(default_factory=Layout)
    events: Sequence[Event] = ()
    pace: Pace = field(default_factory=Pace)
    logs: Path | None = None

    async def run(self, progress: Progress) -> SoakResult:
        """Run it. Raises BenchError if something does not start."""
        with tempfile.TemporaryDirectory(prefix="switchboard-soak-") as name:
            Path(name).chmod(0o755)
            log_level = "INFO" if self.logs else "WARNING"
            async with AsyncExitStack() as closing:
                stack = await closing.enter_async_context(
                    running_stack(Path(name), self.layout, self.pace, log_level=log_level)
                )
                if self.logs is not None:
                    closing.callback(_copy_logs, stack.folder, self.logs)
                gateway = await closing.enter_async_context(open_gateway(stack.urls, TOKEN))
                return await _Run(self, stack, gateway, progress).run()


@dataclass(slots=True)
class _Run:
    soak: Soak
    stack: Stack
    gateway: Gateway
    progress: Progress

    async def run(self) -> SoakResult:
        load_before = load_average()
        personas = await create_personas(self.gateway, (PLAIN, *RESCUED, *FAILING))
        self.progress("warming up")
        warm_up = Rig(self.gateway, HangUps(self.stack.provider), self.soak.pace, Ledger(), personas)
        await Crowd(warm_up, self.soak.callers, self.soak.seed, "warm-up").run(min(WARM_UP, self.soak.seconds))
        before = await self._settle(None)
        rig = Rig(self.gateway, HangUps(self.stack.provider), self.soak.pace, Ledger(), personas)
        sampler = Sampler(self.stack, rig.ledger)
        start = perf_counter()
        await self._load(rig, sampler)
        self.progress("checking what is left")
        after = await self._settle(before)
        rig.hang_ups.check(float("inf"))
        return SoakResult(
            soak_seconds=self.soak.seconds,
            callers=self.soak.callers,
            layout=self.soak.layout,
            started=start,
            ledger=rig.ledger,
            hang_ups=rig.hang_ups,
            audit=await self._audit(rig),
            before=before,
            after=after,
            leaks=after.leaks_since(before, self._pool_limit),
            samples=sampler.samples,
            tracebacks=_tracebacks(self.stack.logs),
            load=(load_before, load_average()),
            proxy=len(self.stack.urls) < len(self.stack.servers),
        )

    async def _load(self, rig: Rig, sampler: Sampler) -> None:
        async with asyncio.TaskGroup() as group:
            background = [
                group.create_task(sampler.run(self.soak.seconds)),
                group.create_task(rig.hang_ups.run()),
                group.create_task(self._report_progress(rig.ledger)),
            ]
            happening = group.create_task(
                run_timetable(self.soak.events, self.soak.seconds, self.stack, rig.ledger, self.progress)
            )
            await Crowd(rig, self.soak.callers, self.soak.seed).run(self.soak.seconds)
            await happening
            await asyncio.sleep(LIMIT)  # for the last hang-ups
            for task in background:
                task.cancel()

    async def _report_progress(self, ledger: Ledger) -> None:
        while True:
            await asyncio.sleep(max(1.0, self.soak.seconds / 20))
            self.progress(f"{len(ledger.turns)} turns, {ledger.count('whole')} whole")

    async def _audit(self, rig: Rig) -> Audit:
        return await audit(self.gateway, rig.ledger, self.stack.marks)

    async def _settle(self, before: Holdings | None) -> Holdings:
        """Wait until the servers hold no more than `before`, at most `SETTLE_TIMEOUT`; return what they hold then.

        Without `before`, wait only until no connection is open.
        """
        deadline = perf_counter() + SETTLE_TIMEOUT
        while True:
            self.stack.provider.close_idle_connections()
            await asyncio.sleep(0.5)
            now = await holdings(self.stack)
            if not now.leaks_since(before or now, self._pool_limit) or perf_counter() > deadline:
                return now

    @property
    def _pool_limit(self) -> int:
        return self.soak.layout.servers * self.soak.layout.workers * 2 * POOL_SIZE


def _tracebacks(log: str) -> list[str]:
    return [log[max(0, each.start() - 300) : each.start() + 3000] for each in re.finditer("Traceback", log)]


def _copy_logs(folder: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for log in folder.rglob("*.log"):
        shutil.copy(log, target)
