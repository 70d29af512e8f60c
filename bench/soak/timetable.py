"""What goes wrong during a soak, and when."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from time import perf_counter

import httpx

from bench.program import Progress
from bench.soak.ledger import Disturbance, Ledger
from bench.soak.resources import worker_pids
from bench.soak.stack import Stack
from tests.support.server_process import ServerProcess

REDIS_DOWN, DATABASE_DOWN, SERVER_DOWN, BROKEN_FILE = 3.0, 5.0, 2.0, 5.0
"""Seconds that each lasts."""
RELOAD_TIMEOUT = 20.0
"""Seconds in which all servers must report the invalid file, and then the valid one."""


@dataclass(frozen=True, slots=True)
class Event:
    """`at` is the share of the load's time that has passed when it begins."""

    at: float
    name: str
    happen: Callable[[Stack, Ledger], Awaitable[None]]


async def restart_redis(stack: Stack, ledger: Ledger) -> None:
    """Redis is killed and comes back empty."""
    assert stack.redis is not None
    await stack.redis.kill()
    await asyncio.sleep(REDIS_DOWN)
    await stack.redis.start()


async def restart_postgres(stack: Stack, ledger: Ledger) -> None:
    assert stack.postgres is not None
    await asyncio.to_thread(stack.postgres.stop)
    await asyncio.sleep(DATABASE_DOWN)
    await asyncio.to_thread(stack.postgres.start)


async def kill_worker(stack: Stack, ledger: Ledger) -> None:
    """One worker dies; its parent starts another one."""
    server = stack.servers[0]
    victim, *others = worker_pids(server)
    ledger.killed.append(perf_counter())
    os.kill(victim, signal.SIGKILL)
    while len(set(worker_pids(server)) - set(others) - {victim}) == 0:
        await asyncio.sleep(0.1)


async def kill_server(stack: Stack, ledger: Ledger) -> None:
    """A server dies with all its workers, and is started again."""
    server = stack.servers[0]
    ledger.killed.append(perf_counter())
    await server.kill()
    await asyncio.sleep(SERVER_DOWN)
    await server.start()


async def break_reload(stack: Stack, ledger: Ledger) -> None:
    """models.yaml becomes invalid for a while; the servers say so and go on with the old one. Raises TimeoutError."""
    valid = stack.models_file.read_text()
    stack.models_file.write_text(valid + "\nmodel_list: [\n")
    try:
        await _all_report(stack.servers, ok=False)
        await asyncio.sleep(BROKEN_FILE)
    finally:
        stack.models_file.write_text(valid)
    await _all_report(stack.servers, ok=True)


async def rolling_restart(stack: Stack, ledger: Ledger) -> None:
    """Each server is stopped with SIGTERM and started again, one after the other."""
    for server in stack.servers:
        await server.stop()
        await server.start()


TIMETABLE: Sequence[Event] = (
    Event(0.10, "Redis restarts", restart_redis),
    Event(0.24, "PostgreSQL restarts", restart_postgres),
    Event(0.38, "SIGKILL of a worker", kill_worker),
    Event(0.52, "SIGKILL of a server", kill_server),
    Event(0.66, "models.yaml is invalid", break_reload),
    Event(0.76, "rolling restart", rolling_restart),
)


async def run_timetable(
    events: Sequence[Event], seconds: float, stack: Stack, ledger: Ledger, progress: Progress
) -> None:
    """Let everything happen, and record when. An event that comes too late begins at once; one that fails is noted."""
    start = perf_counter()
    for event in events:
        await asyncio.sleep(max(0.0, start + event.at * seconds - perf_counter()))
        progress(f"{perf_counter() - start:6.0f} s: {event.name}")
        begun = perf_counter()
        # Recorded at once, so that a turn that ends meanwhile finds its cause.
        ledger.disturbances.append(Disturbance(event.name, begun, float("inf")))
        try:
            await event.happen(stack, ledger)
        except (TimeoutError, OSError, AssertionError, httpx.TransportError) as exc:
            ledger.problems.append(f"{event.name}: {type(exc).__name__} {exc}")
        ledger.disturbances[-1] = Disturbance(event.name, begun, perf_counter())


async def _all_report(servers: Sequence[ServerProcess], *, ok: bool) -> None:
    async with asyncio.timeout(RELOAD_TIMEOUT), httpx.AsyncClient(headers={"connection": "close"}) as http:
        for server in servers:
            while (await http.get(f"{server.url}/health")).json()["reload"]["ok"] is not ok:
                await asyncio.sleep(0.1)
