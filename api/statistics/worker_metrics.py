"""What the workers of one server tell each other for `/metrics`: one file each, in a folder that their parent creates.

It works during an outage of the database, and knows this server alone, as Prometheus expects it.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import orjson

from agent.statistics.counts import Counts
from agent.turns import TurnService
from api.statistics.process_gauges import LoopLag, resident_memory
from router.background_loop import background_loop

WRITE_INTERVAL: Final = 0.8
"""Seconds between two writes of a worker's file."""

STALE: Final = 5.0
"""Seconds after which a worker that has not written its file counts as dead, even if its process id is in use."""


@dataclass(frozen=True, slots=True)
class ProcessMetrics:
    """What one process knows: its counts since its start, its running turns, and the state of each breaker.

    `ready` is the number of deployments of each model that have their key and a closed breaker. `lag` is the longest
    one of the event loop in the last minute, in seconds; `memory` is in bytes.
    """

    counts: Counts
    running: int = 0
    breakers: Mapping[str, str] = field(default_factory=dict)
    ready: Mapping[str, int] = field(default_factory=dict)
    lag: float = 0.0
    memory: int = 0


class WorkerMetrics:
    """The metrics of this worker, and those of the others in `folder`. None: this is the only one."""

    def __init__(self, turns: TurnService, folder: Path | None) -> None:
        self._turns = turns
        self._folder = folder
        self._file = f"{uuid4().hex}.json"
        self._lag = LoopLag()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Tell the other workers in the background while this is entered, and once more at the end."""
        if self._folder is None:
            async with self._lag.running():
                yield
            return
        try:
            async with (
                self._lag.running(),
                background_loop("worker metrics", self._write, pause=lambda: WRITE_INTERVAL),
            ):
                yield
        finally:
            await asyncio.to_thread(_write_file, self._folder / self._file, self.own(), 0.0)

    def own(self) -> ProcessMetrics:
        """The metrics of this process, but for its memory."""
        router, statistics = self._turns.router, self._turns.statistics
        deployments = router.registry.current.deployments
        breakers = {each.id: router.breakers.state(each.id) for each in deployments}
        ready: Counter[str] = Counter()
        for each in deployments:
            if not each.missing:
                ready[each.group] += breakers[each.id] == "closed"
        return ProcessMetrics(statistics.since_start, statistics.running, breakers, ready, self._lag.longest)

    def read_others(self) -> Sequence[ProcessMetrics]:
        """The metrics of the other workers. Of a dead worker, only what it has counted."""
        if self._folder is None:
            return ()
        return [_read_file(path) for path in self._folder.glob("*.json") if path.name != self._file]

    async def _write(self) -> None:
        assert self._folder is not None  # noqa: S101
        await asyncio.to_thread(_write_file, self._folder / self._file, self.own(), time.time())


def _write_file(path: Path, metrics: ProcessMetrics, seen: float) -> None:
    content = {
        "process": os.getpid(),
        "seen": seen,
        "running": metrics.running,
        "breakers": metrics.breakers,
        "ready": metrics.ready,
        "lag": metrics.lag,
        "memory": resident_memory() or 0,
        "counts": metrics.counts.to_json(),
    }
    whole = path.with_suffix(".new")
    whole.write_bytes(orjson.dumps(content))
    whole.replace(path)


def _read_file(path: Path) -> ProcessMetrics:
    content: dict[str, Any] = orjson.loads(path.read_bytes())
    counts = Counts.from_json(content["counts"])
    if time.time() - content["seen"] > STALE or not _is_alive(content["process"]):
        return ProcessMetrics(counts)
    gauges = {name: content[name] for name in ("running", "breakers", "ready", "lag", "memory")}
    return ProcessMetrics(counts, **gauges)


def _is_alive(process: int) -> bool:
    if sys.platform == "win32":
        return True  # signal 0 would end it
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True
